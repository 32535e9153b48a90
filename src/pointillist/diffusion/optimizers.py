"""Optimizers on flat weights: Adam, AdamW, and Muon for the matrices between layers.

A small network spends its time in launching operations, not in arithmetic. So all weights lie in one
vector and all gradients in another: an update, a norm or an average is then a handful of operations
for the whole network, and matrices of one shape are one stacked view.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pointillist.diffusion.denoiser import Denoiser
from pointillist.parameters import Training

Update = Callable[[float], None]
"""factor -> None: updates its weights in place, at `factor` times its peak learning rate."""


@dataclass(frozen=True)
class FlatWeights:
    """The weights of a denoiser as one vector, and their gradients as another."""

    values: Tensor
    """(P,); the module's parameters are views of it."""
    gradients: Tensor
    """(P,); their .grad are views of it, so backward adds to it."""
    matrix_shapes: list[tuple[int, int, int]]
    """The matrices between layers, at the head of the vector: stacks of (L, rows, columns)."""

    @classmethod
    def of(cls, denoiser: Denoiser) -> FlatWeights:
        """Move the parameters of `denoiser` into one vector, the matrices first."""
        hidden = [p for p in denoiser.hidden.parameters() if p.ndim == 2]
        entry = denoiser.input.weight
        chosen = {id(m) for m in (*hidden, entry)}
        ordered = [*hidden, entry, *(p for p in denoiser.parameters() if id(p) not in chosen)]
        values = nn.utils.parameters_to_vector(ordered).detach().clone()
        gradients = torch.zeros_like(values)
        start = 0
        for p in ordered:
            span = slice(start, start + p.numel())
            p.data = values[span].view_as(p)
            p.grad = gradients[span].view_as(p)
            start = span.stop
        width = denoiser.network.width
        return cls(values, gradients, [(len(hidden), width, width), (1, *entry.shape)])


def adam(
    values: Tensor,
    gradients: Tensor,
    learning_rate: float,
    beta2: float = 0.999,
    weight_decay: float = 0.0,
) -> Update:
    """Adam (Kingma & Ba 2015, algorithm 1), with decoupled weight decay (Loshchilov & Hutter 2019)."""
    beta1, eps = 0.9, 1e-8
    mean, square = torch.zeros_like(values), torch.zeros_like(values)
    step = 0

    def update(factor: float) -> None:
        nonlocal step
        step += 1
        rate = learning_rate * factor
        mean.lerp_(gradients, 1 - beta1)
        square.mul_(beta2).addcmul_(gradients, gradients, value=1 - beta2)
        root = square.sqrt().div_(math.sqrt(1 - beta2**step)).add_(eps)
        if weight_decay:
            values.mul_(1 - rate * weight_decay)
        values.addcdiv_(mean, root, value=-rate / (1 - beta1**step))

    return update


def orthogonalize(matrices: Tensor, iterations: int = 3) -> Tensor:
    """Push the singular values of `matrices` (L, m, n) towards 1 by a quintic Newton-Schulz iteration.

    Coefficients of Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon): they converge
    fast to within [0.7, 1.2] rather than slowly to 1.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonalize(matrices.mT, iterations).mT
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def muon(
    matrices: Tensor, gradients: Tensor, learning_rate: float, momentum: float = 0.95
) -> Update:
    """Orthogonalised Nesterov momentum for matrices (L, m, n) (Jordan et al. 2024).

    An orthogonal matrix has elements of root mean square 1 / sqrt(max(m, n)). Scaled by the root of
    the longer over the shorter side, every matrix moves as far an element as a square one of the
    shorter side (Liu et al. 2025, arXiv:2502.16982, section 2.2).
    """
    average = torch.zeros_like(matrices)
    short, long = sorted(matrices.shape[1:])
    rate = learning_rate * math.sqrt(long / short)

    def update(factor: float) -> None:
        average.lerp_(gradients, 1 - momentum)
        ahead = gradients.lerp(average, momentum)
        matrices.add_(orthogonalize(ahead), alpha=-rate * factor)

    return update


def make_updates(weights: FlatWeights, training: Training) -> list[Update]:
    """Return the updates that together move every weight once a step."""
    values, gradients, rate = weights.values, weights.gradients, training.learning_rate
    if training.optimizer == "adam":
        return [adam(values, gradients, rate)]
    if training.optimizer == "adamw":
        return [adam(values, gradients, rate, weight_decay=0.01)]
    updates, start = [], 0
    for shape in weights.matrix_shapes:
        span = slice(start, start + math.prod(shape))
        stack, slope = values[span].view(shape), gradients[span].view(shape)
        updates.append(muon(stack, slope, training.muon_learning_rate))
        start = span.stop
    # Its second moment forgets as fast as the short training moves on.
    return [*updates, adam(values[start:], gradients[start:], rate, beta2=0.99)]
