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
    time = denoiser.embed_time(denoiser.noise_label(t, c).reshape(-1, 1))
    # Two products, not one of the joined inputs: a time that all points share is embedded once.
    columns = denoiser.input.weight.shape[1] - time.shape[1]
    weight_place, weight_time = denoiser.input.weight.split((columns, time.shape[1]), 1)
    place = c.c_in[..., None] * x
    embedding = denoiser.embed_input
    if isinstance(embedding, IntegratedFourierFeatures):
        place, weight_place = faded_features(
            place, c.c_in * c.tau, embedding.frequencies, weight_place
        )
    else:
        place = embedding(place)
    shift = nn.functional.linear(time, weight_time, denoiser.input.bias)
    h = _activate(torch.addmm(shift, place, weight_place.T), network.activation)
    for layer in denoiser.hidden:
        update = _activate(layer(h), network.activation)
        h = _add(update, h, network.activation) if network.residual else update
    return denoiser.output(h)


def _activate(h: Tensor, activation: str) -> Tensor:
    function = getattr(nn.functional, activation)
    # Where no gradient asks for the old numbers again, writing over them spares the memory.
    if torch.is_grad_enabled() or activation == "gelu":
        return function(h)
    return function(h, inplace=True)


def _add(update: Tensor, h: Tensor, activation: str) -> Tensor:
    # Of the activations, only relu's gradient asks for its own output again.
    if torch.is_grad_enabled() and activation == "relu":
        return h + update
    return update.add_(h)
