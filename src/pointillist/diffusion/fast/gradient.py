"""The gradient of the loss, written out: no graph is kept, and each slope lands where it belongs.

Backpropagation through the perceptron alone (Rumelhart, Hinton & Williams 1986): the embeddings before it
have nothing to learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pointillist.diffusion.fast.network import activate, entry

if TYPE_CHECKING:
    from pointillist.diffusion.batches import Batch
    from pointillist.diffusion.denoiser import Denoiser
    from pointillist.diffusion.optimizers import FlatWeights


@torch.no_grad()
def loss_and_gradient(
    denoiser: Denoiser, weights: FlatWeights, batch: Batch, points: int
) -> tuple[Tensor, Tensor]:
    """Return what `batch` adds to the mean loss over so many points, and to its gradient, (P,)."""
    flat = torch.empty_like(weights.values)
    slopes = _Slopes(weights.views(flat))
    network = denoiser.network
    place, weight_place, time, weight_time = entry(denoiser, batch.x, batch.t, batch.coefficients)
    first = torch.addmm(denoiser.input.bias, place, weight_place.T).addmm_(time, weight_time.T)
    h = activate(first, network.activation)
    passed: list[tuple[nn.Linear, Tensor, Tensor]] = []
    for layer in denoiser.layers():
        z = torch.addmm(layer.bias, h, layer.weight.T)
        passed.append((layer, h, z))
        update = activate(z, network.activation)
        h = update.add_(h) if network.residual else update
    error = denoiser.output(h).sub_(batch.target)
    slope = batch.weight * error
    loss = torch.dot(slope.flatten(), error.flatten()) / (2 * points)
    slope /= points
    slopes.add(denoiser.output, slope, h)
    slope = slope @ denoiser.output.weight
    for layer, before, z in reversed(passed):
        inner = _backwards(slope, z, network.activation)
        slopes.add(layer, inner, before)
        straight = network.residual
        slope = torch.addmm(slope, inner, layer.weight) if straight else inner @ layer.weight
    inner = _backwards(slope, first, network.activation)
    into, columns = slopes.of[denoiser.input.weight], place.shape[1]
    torch.mm(inner.T, place, out=into[:, :columns])
    torch.mm(inner.T, time, out=into[:, columns:])
    torch.sum(inner, 0, out=slopes.of[denoiser.input.bias])
    return loss, flat


class _Slopes:
    """Where the slopes of each layer's weights go; a layer that is passed several times adds them up."""

    def __init__(self, of: dict[Tensor, Tensor]) -> None:
        self.of, self._begun = of, set[nn.Linear]()

    def add(self, layer: nn.Linear, slope: Tensor, inputs: Tensor) -> None:
        weight, bias = self.of[layer.weight], self.of[layer.bias]
        if layer in self._begun:
            weight.addmm_(slope.T, inputs)
            bias.add_(slope.sum(0))
            return
        self._begun.add(layer)
        torch.mm(slope.T, inputs, out=weight)
        torch.sum(slope, 0, out=bias)


def _backwards(slope: Tensor, z: Tensor, activation: str) -> Tensor:
    """Return the slope by z (B, width) of what has `slope` by the activation of z."""
    if activation == "silu":
        return torch.ops.aten.silu_backward(slope, z)
    if activation == "gelu":
        return torch.ops.aten.gelu_backward(slope, z)
    return torch.ops.aten.threshold_backward(slope, z, 0)
