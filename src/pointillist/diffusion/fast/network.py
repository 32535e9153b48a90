"""The network's output in fewer passes over memory.

On so small a network an operation's cost is that of starting it and of moving what it touches. So
products are split where one factor is shared by all points, and where no gradient needs them again, old
numbers are written over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pointillist.diffusion.embeddings import IntegratedFourierFeatures
from pointillist.diffusion.fast.features import faded_features

if TYPE_CHECKING:
    from pointillist.diffusion.denoiser import Denoiser
    from pointillist.diffusion.preconditioning import Coefficients


def predict(denoiser: Denoiser, x: Tensor, t: Tensor, c: Coefficients) -> Tensor:
    """Return what ``denoiser.predict_as_written`` does, (B, 2)."""
    network = denoiser.network
    place, weight_place, time, weight_time = _entry(denoiser, x, t, c)
    shift = nn.functional.linear(time, weight_time, denoiser.input.bias)
    # Where no gradient asks for the old numbers again, writing over them spares the memory.
    over = not torch.is_grad_enabled()
    h = activate(torch.addmm(shift, place, weight_place.T), network.activation, over)
    for layer in denoiser.hidden:
        update = activate(layer(h), network.activation, over)
        h = _add(update, h, network.activation) if network.residual else update
    return denoiser.output(h)


def _entry(
    denoiser: Denoiser, x: Tensor, t: Tensor, c: Coefficients
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what enters the first layer, and the columns of its weight for each: place and time.

    Two products, not one of the joined inputs: a time that all points share is embedded once.
    """
    weight = denoiser.input.weight
    time = denoiser.embed_time(denoiser.noise_label(t, c).reshape(-1, 1))
    columns = weight.shape[-1] - time.shape[-1]
    weight_place, weight_time = weight.split((columns, time.shape[-1]), -1)
    place = c.c_in[..., None] * x
    embedding = denoiser.embed_input
    if not isinstance(embedding, IntegratedFourierFeatures):
        return embedding(place), weight_place, time, weight_time
    faded = faded_features(place, c.c_in * c.tau, embedding.frequencies, weight_place)
    return *faded, time, weight_time


def activate(h: Tensor, activation: str, over: bool = False) -> Tensor:
    """Return the activation of h, written `over` it where there is such a form."""
    function = getattr(nn.functional, activation)
    return function(h, inplace=True) if over and activation != "gelu" else function(h)


def _add(update: Tensor, h: Tensor, activation: str) -> Tensor:
    # Of the activations, only relu's gradient asks for its own output again.
    if torch.is_grad_enabled() and activation == "relu":
        return h + update
    return update.add_(h)
