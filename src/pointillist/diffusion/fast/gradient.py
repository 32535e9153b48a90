"""The gradient of the loss, written out: no graph is kept, and each slope lands where it belongs.

Backpropagation through the perceptron alone (Rumelhart, Hinton & Williams 1986): the embeddings before it
have nothing to learn. With stacked weights, of many networks side by side, every operation serves all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from pointillist.diffusion.embeddings import IntegratedFourierFeatures
from pointillist.diffusion.fast.calls import OneCall
from pointillist.diffusion.fast.features import faded
from pointillist.diffusion.fast.network import activate, backwards

if TYPE_CHECKING:
    from pointillist.diffusion.batches import Batch
    from pointillist.diffusion.denoiser import Denoiser
    from pointillist.diffusion.optimizers import FlatWeights
    from pointillist.diffusion.preconditioning import Coefficients


class Entry(NamedTuple):
    """What enters the first layer, worked out while batches are drawn: it has nothing to learn."""

    place: Tensor
    """The embedded points (B, features); where features fade, (c_in x, 1), (B, 3), to be embedded."""
    variance: Tensor
    """Of the noise around c_in x, (B, 1)."""
    time: Tensor
    """The embedded noise levels, (B, features)."""


def entry(denoiser: Denoiser, x: Tensor, t: Tensor, c: Coefficients) -> Entry:
    """Return what of points x (B, 2) at times t (B,) enters the network."""
    place = c.c_in[:, None] * x
    embedding = denoiser.embed_input
    faded = isinstance(embedding, IntegratedFourierFeatures)
    place = nn.functional.pad(place, (0, 1), value=1.0) if faded else embedding(place)
    time = denoiser.embed_time(denoiser.noise_label(t, c)[:, None])
    return Entry(place, (c.c_in * c.tau).square()[:, None], time)


@torch.no_grad()
def loss_and_gradient(
    denoiser: Denoiser, weights: FlatWeights, batch: Batch, points: int, part: int = 0
) -> tuple[Tensor, Tensor]:
    """Return what `batch` adds to the mean loss over so many points, and to its gradient, (P,).

    The gradient is that of `weights.buffer(part)`, which the next call for the part writes over. Of M
    networks, stacked in `weights` and in the fields of `batch`, the losses are (M,).
    """
    flat, slopes = weights.buffer(part)
    inputs = (*batch.entry, batch.target, batch.weight, *weights.shaped.values(), *slopes.values())

    def loss(*inputs: Tensor) -> Tensor:
        return _loss(denoiser, weights.parameters, points, *inputs)

    return weights.calls.setdefault(points, OneCall(loss))(*inputs), flat


def _loss(denoiser: Denoiser, parameters: list[Tensor], points: int, *inputs: Tensor) -> Tensor:
    """Return the loss, and write its slopes.

    `inputs` are the three of `Entry`, target, weight, all parameters, and all of their slopes.
    """
    place, variance, time, target, weight, *rest = inputs
    of = dict(zip(parameters, rest[: len(parameters)], strict=True))
    slopes = _Slopes(dict(zip(parameters, rest[len(parameters) :], strict=True)))
    network, layers = denoiser.network, denoiser.layers()
    if isinstance(denoiser.embed_input, IntegratedFourierFeatures):
        place = faded(place, variance, denoiser.embed_input)
    columns = place.shape[-1]
    first = _affine(of[denoiser.input.bias], place, of[denoiser.input.weight][..., :columns])
    _add_product(first, time, of[denoiser.input.weight][..., columns:].mT)
    h = activate(first, network.activation)
    passed = []
    for layer in layers:
        z = _affine(of[layer.bias], h, of[layer.weight])
        passed.append((layer, h, z))
        update = activate(z, network.activation)
        h = update.add_(h) if network.residual else update
    last = denoiser.output
    error = _affine(of[last.bias], h, of[last.weight]).sub_(target)
    slope = weight * error
    loss = (slope * error).sum((-1, -2)) / (2 * points)
    slope /= points
    slopes.add(last, slope, h)
    slope = slope @ of[last.weight]
    for layer, before, z in reversed(passed):
        inner = backwards(slope, z, network.activation)
        slopes.add(layer, inner, before)
        slope = slope if network.residual else torch.zeros_like(slope)
        _add_product(slope, inner, of[layer.weight])
    inner = backwards(slope, first, network.activation)
    into = slopes.of[denoiser.input.weight]
    _product(inner.mT, place, into[..., :columns])
    _product(inner.mT, time, into[..., columns:])
    torch.sum(inner, -2, out=slopes.of[denoiser.input.bias])
    return loss


class _Slopes:
    """Where the slopes of each layer's weights go; a layer that is passed several times adds them up."""

    def __init__(self, of: dict[Tensor, Tensor]) -> None:
        self.of, self._begun = of, set[nn.Linear]()

    def add(self, layer: nn.Linear, slope: Tensor, inputs: Tensor) -> None:
        weight, bias = self.of[layer.weight], self.of[layer.bias]
        if layer in self._begun:
            _add_product(weight, slope.mT, inputs)
            bias.add_(slope.sum(-2))
            return
        self._begun.add(layer)
        _product(slope.mT, inputs, weight)
        torch.sum(slope, -2, out=bias)


def _affine(bias: Tensor, h: Tensor, weight: Tensor) -> Tensor:
    if h.ndim == 2:
        return torch.addmm(bias, h, weight.T)
    return torch.baddbmm(bias[:, None], h, weight.mT)


def _product(a: Tensor, b: Tensor, out: Tensor) -> None:
    (torch.mm if a.ndim == 2 else torch.bmm)(a, b, out=out)


def _add_product(to: Tensor, a: Tensor, b: Tensor) -> None:
    if a.ndim == 2:
        to.addmm_(a, b)
    else:
        to.baddbmm_(a, b)
