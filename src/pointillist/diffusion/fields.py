r"""Scores and densities on a grid: those of a denoiser beside the exact ones.

Grids are in model coordinates seen variance-preserving, :math:`y = x_t / \sqrt{\alpha^2 + \sigma^2}`, in
which the cloud has about the extent of the shape at every noise level.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pointillist.diffusion.coarse import tractable
from pointillist.diffusion.denoiser import DTYPE, Denoise
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.likelihood import BLOCK, Frame, ode_log_probs
from pointillist.diffusion.schedules import Level, Path, noisiest

_DRAWS = 4096


@dataclass(frozen=True)
class Field:
    """A denoiser on a grid (rows, columns) at one noise level; rows go up, columns to the right."""

    noise_ratio: float
    exact: Tensor
    """(rows, columns, 2): score times sigma, from the ideal denoiser."""
    learned: Tensor
    """(rows, columns, 2): the same from the network."""
    error: Tensor
    """(rows, columns): abs(D - D*), model coordinates."""
    log_density: Tensor
    """(rows, columns): of the truth at this level."""
    edge: float
    """The log-density above which 99% of the truth lie."""
    step: int
    metrics: dict[str, float] = field(default_factory=dict)


def grid(low: tuple[float, float], high: tuple[float, float], side: int) -> Tensor:
    """Return the centres (rows, columns, 2), float64, of the `side` x `side` cells of a window."""
    axes = [
        a + (b - a) * (torch.arange(side, dtype=torch.float64) + 0.5) / side
        for a, b in zip(low, high, strict=True)
    ]
    return torch.stack(torch.meshgrid(*axes, indexing="xy"), -1)


def fields(
    denoise: Denoise,
    density: GaussianMixture,
    path: Path,
    noise_ratios: Sequence[float],
    places: Tensor,
    generator: torch.Generator,
) -> Iterator[Field]:
    r"""Yield the scores of `denoise` and of the truth at `places` (rows, columns, 2), level by level.

    The levels are the path's nearest to `noise_ratios`, each once. The score is
    :math:`\nabla \log p_t(x) = (\alpha E[x_0 | x] - x) / \sigma^2` (Tweedie; Efron 2011).
    """
    y, truth = places.reshape(-1, 2), tractable(density)
    # Of a path with few levels, one may be the nearest to two.
    levels = dict.fromkeys(noisiest(path, wanted) for wanted in noise_ratios)
    for step, level in enumerate(levels, start=1):
        alpha, sigma = level.alpha, level.sigma
        x = y * math.hypot(alpha, sigma)
        exact = truth.denoise(x, alpha, sigma)
        learned = _evaluate(denoise, x, level)
        noisy, _ = density.sample(_DRAWS, generator, alpha, sigma)
        edge = truth.log_prob(noisy, alpha, sigma).quantile(0.01).item()
        shape = places.shape[:2]
        yield Field(
            level.noise_ratio,
            ((alpha * exact - x) / sigma).reshape(places.shape),
            ((alpha * learned - x) / sigma).reshape(places.shape),
            (learned - exact).norm(dim=-1).reshape(shape),
            truth.log_prob(x, alpha, sigma).reshape(shape),
            edge,
            step,
        )


@dataclass(frozen=True)
class Densities:
    """The truth and the probability-flow ODE's density on a grid (rows, columns), per unit of y."""

    noise_ratio: float
    exact: Tensor
    learned: Tensor
    cell: float
    """Area of a cell."""

    @property
    def masses(self) -> tuple[float, float]:
        """What of each lies on the grid: 1, but for what is outside and for the size of the cells."""
        return self.exact.sum().item() * self.cell, self.learned.sum().item() * self.cell

    @property
    def divergence(self) -> float:
        """KL(truth || ODE) on the grid, nats."""
        log_ratio = self.exact.clamp_min(1e-300).log() - self.learned.clamp_min(1e-300).log()
        return (self.exact * log_ratio).sum().item() * self.cell


def densities(
    denoise: Denoise,
    density: GaussianMixture,
    start: tuple[Tensor, Tensor],
    levels: Sequence[Level],
    places: Tensor,
) -> Densities:
    """Return the exact density at `places` (rows, columns, 2) and the one the ODE makes of `start`.

    The ODE runs along the rising `levels`, at the first of which both are taken; see
    `likelihood.ode_log_prob`.
    """
    first = levels[0]
    size = math.hypot(1.0, first.noise_ratio)
    y = places.reshape(-1, 2) * size
    log_p = tractable(density).log_prob(y, 1.0, first.noise_ratio)
    log_q = ode_log_probs(denoise, y, levels, start, Frame.of(density))
    step = places[1, 1] - places[0, 0]
    # Per unit of y rather than of x / alpha.
    per_unit, shape = 2 * math.log(size), places.shape[:2]
    return Densities(
        first.noise_ratio,
        (log_p + per_unit).exp().reshape(shape),
        (log_q + per_unit).exp().reshape(shape),
        (step[0] * step[1]).item(),
    )


def _evaluate(denoise: Denoise, x: Tensor, level: Level) -> Tensor:
    assert level.time is not None
    time = torch.tensor(level.time, dtype=DTYPE)
    with torch.no_grad():
        return torch.cat([denoise(rows.to(DTYPE), time) for rows in x.split(BLOCK)]).to(x)
