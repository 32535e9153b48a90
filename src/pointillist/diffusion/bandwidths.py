r"""The bandwidth that measured points themselves ask for: the maximum of the leave-one-out likelihood.

.. math:: L(h) = \sum_i \pi_i \log \sum_{j \ne i} \frac{\pi_j}{1 - \pi_i} \mathcal{N}(x_i; x_j, h^2 I)

(Habbema et al. 1974; Duin 1976). What is left out with a point is all that lies at its place: points that
repeat are one place of their joint weight, since otherwise each copy would tell of the other at any
bandwidth, and the maximum would be at 0.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pointillist.diffusion.coarse import CoarseMixture
from pointillist.diffusion.density import GaussianMixture
from pointillist.errors import PointillistError

LEAST, GREATEST = 1e-4, 1.0
"""What data.bandwidth may be."""

# Up to here every pair of points is taken; above it some are left out in turn, beside cells finer than h.
_FEW, _SOME = 4096, 1024
# Neighbours at first: of all, and of some, where cells cost most while they are finer than gaps.
_NEIGHBOURS, _MANY_NEIGHBOURS = 64, 1024
# Of a Gaussian, in two dimensions, 0.03 % lies beyond.
_REACH = 4.0
# Of an even number between two neighbours none is the one that lies halfway, which was tried before.
_GRID, _REFINED = 16, 6


class Choice(NamedTuple):
    """A bandwidth, and the curve of which it is the maximum."""

    bandwidth: float
    tried: Tensor
    """Bandwidths, rising, (K,)."""
    likelihood: Tensor
    """Mean leave-one-out log-likelihood at each, in nats, (K,)."""

    def to_dict(self) -> dict[str, Any]:
        """Return the bandwidth and the curve as numbers and lists of them, by these names."""
        return {
            "bandwidth": self.bandwidth,
            "tried": self.tried.tolist(),
            "likelihood": self.likelihood.tolist(),
        }


def choose(points: Tensor, weights: Tensor | None, generator: torch.Generator) -> Choice:
    """Choose the bandwidth of points (N, 2), float64, standardised, with weights (N,).

    Of more than 4,096 points some thousand, drawn by weight, are left out in turn, and all count.

    Raises
    ------
    PointillistError
        If fewer than three places differ, or no bandwidth that is allowed is the best.
    """
    curve = _LeaveOneOut(points, weights, generator)
    tried = _even(min(max(LEAST, curve.least), GREATEST / 10), GREATEST, _GRID)
    found = torch.stack([curve(h) for h in tried.tolist()])
    best = int(found.argmax())
    if best in (0, len(tried) - 1):
        end = "small" if best == 0 else "great"
        raise PointillistError(
            f"data.bandwidth=auto: the likelihood of these points is greatest at the {end} end, "
            f"{tried[best]:g}, so they don't say how wide a dot is. Give it: --params data.bandwidth=0.01"
        )
    finer = _even(tried[best - 1].item(), tried[best + 1].item(), _REFINED + 2)[1:-1]
    tried, order = torch.cat((tried, finer)).sort()
    found = torch.cat((found, torch.stack([curve(h) for h in finer.tolist()])))[order]
    best = int(found.argmax())
    return Choice(_vertex(tried.log(), found, best), tried, found)


class _LeaveOneOut:
    """The curve L(h), with what all bandwidths have in common."""

    def __init__(self, points: Tensor, weights: Tensor | None, generator: torch.Generator) -> None:
        from scipy.spatial import KDTree

        # As complex numbers, which sort much sooner than rows.
        found, inverse = np.unique(torch.view_as_complex(points.contiguous()), return_inverse=True)
        places, index = torch.view_as_real(torch.from_numpy(found)), torch.from_numpy(inverse)
        counts = torch.ones(len(points), dtype=torch.float64) if weights is None else weights
        shares = torch.zeros(len(places), dtype=torch.float64).index_add_(0, index, counts.double())
        if len(places) < 3:
            raise PointillistError(
                f"data.bandwidth=auto: {len(places)} different points don't say how wide a dot is. Give "
                "it: --params data.bandwidth=0.01"
            )
        self._places, self._shares = places, shares / shares.sum()
        exact = GaussianMixture(places, 0.0, self._shares)
        self._all: GaussianMixture | CoarseMixture = exact
        if len(places) <= _FEW:
            self._rows, self._counts = torch.arange(len(places)), self._shares
        else:
            # One for all bandwidths, since neighbouring ones share their cells.
            self._all = CoarseMixture(exact)
            self._rows = exact.draw_anchors(_SOME, generator)
            self._counts = torch.full((_SOME,), 1 / _SOME, dtype=torch.float64)
        self._own = self._shares[self._rows]
        neighbours = _NEIGHBOURS if len(places) <= _FEW else _MANY_NEIGHBOURS
        k = min(neighbours + 1, len(places))
        distances, near = KDTree(places.numpy()).query(places[self._rows].numpy(), k=k)
        # The first is the place itself.
        self._squares = torch.from_numpy(distances[:, 1:]).square()
        self.least = 0.25 * self._squares[:, 0].median().sqrt().item()
        """Far below what half of the points have as their nearest other, L falls steeply."""
        self._near = self._shares[torch.from_numpy(near[:, 1:])].log()
        self._all_near = k == len(places)

    def __call__(self, h: float) -> Tensor:
        """Return L(h)."""
        log_mass = (self._near - self._squares / (2 * h * h)).logsumexp(-1)
        within = self._squares[:, -1] < (_REACH * h) ** 2
        if within.any() and not self._all_near:
            log_mass[within] = self._from_all(self._rows[within], self._own[within], h)
        log_mass = log_mass - math.log(2 * math.pi * h * h) - (1 - self._own).log()
        return (self._counts * log_mass).sum()

    def _from_all(self, rows: Tensor, own: Tensor, h: float) -> Tensor:
        """Return the logarithm of all other places' kernels at `rows`, for rows with many nearby."""
        log_density = self._all.log_prob(self._places[rows], 1.0, h)
        kernels = (log_density + math.log(2 * math.pi * h * h)).exp()
        return (kernels - own).clamp(min=torch.finfo(kernels.dtype).tiny).log()


def _even(low: float, high: float, n: int) -> Tensor:
    """Return n bandwidths from low to high, even in their logarithm."""
    return torch.linspace(math.log(low), math.log(high), n, dtype=torch.float64).exp()


def _vertex(x: Tensor, y: Tensor, best: int) -> float:
    """Return exp of where the parabola through the best and its neighbours has its maximum."""
    left, middle, right = x[best - 1 : best + 2].tolist()
    down, up = (y[best] - y[best - 1]).item(), (y[best] - y[best + 1]).item()
    low, high = middle - left, right - middle
    curvature = low * up + high * down
    if curvature <= 0:
        return math.exp(middle)
    return math.exp(middle + (high**2 * down - low**2 * up) / (2 * curvature))
