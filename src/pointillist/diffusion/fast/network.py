"""The network's output in fewer passes over memory.

On so small a network an operation's cost is that of starting it and of moving what it touches. So
products are split where one factor is shared by all points, and where no gradient needs them again, old
numbers are written over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pointillist.diffusion.embeddings import IntegratedFourierFeatures
from pointillist.diffusion.fast.features import faded_features, faded_weight

if TYPE_CHECKING:
    from pointillist.diffusion.denoiser import Denoiser
    from pointillist.diffusion.preconditioning import Coefficients


def predict(denoiser: Denoiser, x: Tensor, t: Tensor, c: Coefficients) -> Tensor:
    """Return what ``denoiser.predict_as_written`` does, (B, 2)."""
    if not t.ndim:
        return at_level(denoiser, t, c)(x)
    shift, weight_place = _time(denoiser, t, c)
    place = c.c_in[:, None] * x
    embedding = denoiser.embed_input
    if isinstance(embedding, IntegratedFourierFeatures):
        place, weight_place = faded_features(
            place, c.c_in * c.tau, embedding.frequencies, weight_place
        )
    else:
        place = embedding(place)
    return _through(denoiser, torch.addmm(shift, place, weight_place.T))


def at_level(denoiser: Denoiser, t: Tensor, c: Coefficients) -> Callable[[Tensor], Tensor]:
    """Return `predict` at a time t () that all points share, with what depends on it worked out."""
    shift, weight = _time(denoiser, t, c)
    embedding = denoiser.embed_input
    if not isinstance(embedding, IntegratedFourierFeatures):
        return lambda x: _through(denoiser, torch.addmm(shift, embedding(c.c_in * x), weight.T))
    phases, weight = faded_weight(c.c_in * c.tau, embedding.frequencies, weight)

    def output(x: Tensor) -> Tensor:
        features = (nn.functional.pad(c.c_in * x, (0, 1), value=1.0) @ phases).cos_()
        return _through(denoiser, torch.addmm(shift, features, weight.T))

    return output


def _time(denoiser: Denoiser, t: Tensor, c: Coefficients) -> tuple[Tensor, Tensor]:
    """Return what the noise level adds to the first layer, and that layer's columns for the place.

    Two products, not one of the joined inputs: a time that all points share is embedded once.
    """
    time = denoiser.embed_time(denoiser.noise_label(t, c).reshape(-1, 1))
    columns = denoiser.input.weight.shape[1] - time.shape[1]
    weight_place, weight_time = denoiser.input.weight.split((columns, time.shape[1]), 1)
    return nn.functional.linear(time, weight_time, denoiser.input.bias), weight_place


def _through(denoiser: Denoiser, h: Tensor) -> Tensor:
    """Return the output for what the first layer makes, (B, width), before its activation."""
    network = denoiser.network
    # Where no gradient asks for the old numbers again, writing over them spares the memory.
    over = not torch.is_grad_enabled()
    h = activate(h, network.activation, over)
    for layer in denoiser.hidden:
        update = activate(layer(h), network.activation, over)
        h = _add(update, h, network.activation) if network.residual else update
    return denoiser.output(h)


def activate(h: Tensor, activation: str, over: bool = False) -> Tensor:
    """Return the activation of h, written `over` it where there is such a form."""
    function = getattr(nn.functional, activation)
    return function(h, inplace=True) if over and activation != "gelu" else function(h)


def _add(update: Tensor, h: Tensor, activation: str) -> Tensor:
    # Of the activations, only relu's gradient asks for its own output again.
    if torch.is_grad_enabled() and activation == "relu":
        return h + update
    return update.add_(h)
