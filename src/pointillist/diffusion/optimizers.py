"""Optimizers on flat weights: Adam, AdamW, and Muon for the matrices between layers.

A small network spends its time in launching operations, not in arithmetic. So all weights lie in one
vector and all gradients in another: an update, a norm or an average is then a handful of operations
for the whole network, and matrices of one shape are one stacked view.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn

from pointillist.diffusion.config import Training
from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.fast.calls import OneCall


class Update(Protocol):
    """Updates its weights in place, step by step."""

    memory: dict[str, Tensor]
    """What it carries from step to step, by name."""

    def __call__(self, step: int, factor: float) -> None:
        """Make step number `step`, counted from 0, at `factor` times the peak learning rate."""


@dataclass(frozen=True)
class FlatWeights:
    """The weights of a denoiser as one vector, and their gradients as another."""

    values: Tensor
    """(P,); the module's parameters are views of it."""
    gradients: Tensor
    """(P,), what the updates read."""
    parameters: list[Tensor]
    """In the order of the vector."""
    matrix_shapes: list[tuple[int, int, int]]
    """The matrices between layers, at the head of the vector: stacks of (L, rows, columns)."""
    members: int | None = None
    """How many networks' weights lie there: each parameter's, of one after the other. None: of one."""

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
            start = span.stop
        width = denoiser.network.width
        shapes = [(len(hidden), width, width), (1, *entry.shape)]
        return cls(values, gradients, ordered, shapes)

    @contextmanager
    def replaced(self, values: Tensor) -> Iterator[None]:
        """Let the network have other weights, (P,), while the block runs."""
        own = self.values.clone()
        self.values.copy_(values)
        try:
            yield
        finally:
            self.values.copy_(own)

    @cached_property
    def shaped(self) -> dict[Tensor, Tensor]:
        """`views` of the values themselves."""
        return self.views(self.values)

    def buffer(self, part: int) -> tuple[Tensor, dict[Tensor, Tensor]]:
        """Return a vector (P,) for the gradient of a numbered part, and its `views`; they are kept."""
        if part not in self._buffers:
            flat = torch.empty_like(self.values)
            self._buffers[part] = flat, self.views(flat)
        return self._buffers[part]

    @cached_property
    def calls(self) -> dict[int, OneCall[Tensor]]:
        """The loss of so many points as one call, which `fast.gradient` makes once."""
        return {}

    @cached_property
    def _buffers(self) -> dict[int, tuple[Tensor, dict[Tensor, Tensor]]]:
        return {}

    def views(self, flat: Tensor) -> dict[Tensor, Tensor]:
        """Return the part of `flat` (P,) that belongs to each parameter, in its shape.

        Of several members, with a dimension of them before it.
        """
        stacked = () if self.members is None else (self.members,)
        parts = flat.split([p.numel() * (self.members or 1) for p in self.parameters])
        return {p: v.view(*stacked, *p.shape) for p, v in zip(self.parameters, parts, strict=True)}


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1), with decoupled weight decay (Loshchilov & Hutter 2019)."""

    _beta1, _eps = 0.9, 1e-8

    def __init__(
        self,
        values: Tensor,
        gradients: Tensor,
        learning_rate: float,
        beta2: float = 0.999,
        weight_decay: float = 0.0,
    ) -> None:
        self._values, self._gradients = values, gradients
        self._learning_rate, self._beta2, self._decay = learning_rate, beta2, weight_decay
        self.memory = {"mean": torch.zeros_like(values), "square": torch.zeros_like(values)}

    def __call__(self, step: int, factor: float) -> None:
        """Make a step."""
        mean, square = self.memory["mean"], self.memory["square"]
        rate = self._learning_rate * factor
        mean.lerp_(self._gradients, 1 - self._beta1)
        square.mul_(self._beta2).addcmul_(self._gradients, self._gradients, value=1 - self._beta2)
        root = square.sqrt().div_(math.sqrt(1 - self._beta2 ** (step + 1))).add_(self._eps)
        if self._decay:
            self._values.mul_(1 - rate * self._decay)
        self._values.addcdiv_(mean, root, value=-rate / (1 - self._beta1 ** (step + 1)))


def orthogonalize(matrices: Tensor, iterations: int = 3) -> Tensor:
    """Push the singular values of `matrices` (L, m, n) towards 1 by a quintic Newton-Schulz iteration.

    Coefficients of Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon): they converge
    fast to within [0.7, 1.2] rather than slowly to 1. A step is X -> P X with P = a + b G + c G^2 and
    G = X X^T, and makes P G P of G. So only the m x m matrices are iterated, and X is multiplied once.
    Rounding errors of G grow tenfold an iteration: it is for few.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonalize(matrices.mT, iterations).mT
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    gram = x @ x.mT
    product: Tensor | None = None
    for left in reversed(range(iterations)):
        step = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        step.diagonal(dim1=-2, dim2=-1).add_(a)
        product = step if product is None else step @ product
        if left:
            gram = step @ gram @ step
    return x if product is None else product @ x


class Muon:
    """Orthogonalised Nesterov momentum for matrices (L, m, n) (Jordan et al. 2024).

    An orthogonal matrix has elements of root mean square 1 / sqrt(max(m, n)). Scaled by the root of
    the longer over the shorter side, every matrix moves as far an element as a square one of the
    shorter side (Liu et al. 2025, arXiv:2502.16982, section 2.2).
    """

    def __init__(
        self, matrices: Tensor, gradients: Tensor, learning_rate: float, momentum: float = 0.95
    ) -> None:
        self._matrices, self._gradients, self._momentum = matrices, gradients, momentum
        short, long = sorted(matrices.shape[1:])
        self._rate = learning_rate * math.sqrt(long / short)
        self.memory = {"average": torch.zeros_like(matrices)}

    def __call__(self, step: int, factor: float) -> None:  # noqa: ARG002 - the same at every step
        """Make a step."""
        average = self.memory["average"]
        average.lerp_(self._gradients, 1 - self._momentum)
        ahead = self._gradients.lerp(average, self._momentum)
        self._matrices.add_(orthogonalize(ahead), alpha=-self._rate * factor)


def make_updates(weights: FlatWeights, training: Training) -> list[Update]:
    """Return the updates that together move every weight once a step."""
    values, gradients, rate = weights.values, weights.gradients, training.learning_rate
    if training.optimizer == "adam":
        return [Adam(values, gradients, rate)]
    if training.optimizer == "adamw":
        return [Adam(values, gradients, rate, weight_decay=0.01)]
    updates: list[Update] = []
    start = 0
    for shape in weights.matrix_shapes:
        span = slice(start, start + math.prod(shape))
        stack, slope = values[span].view(shape), gradients[span].view(shape)
        updates.append(Muon(stack, slope, training.muon_learning_rate))
        start = span.stop
    # Its second moment forgets as fast as the short training moves on.
    return [*updates, Adam(values[start:], gradients[start:], rate, beta2=0.99)]
