r"""The truth of very many anchors at one noise level, at a cost that hardly grows with their number.

Detail much finer than the noise :math:`r = \tau / \alpha` does not show. So the anchors in each cell of
a grid of pitch :math:`\delta \le r / 8` are joined at their mean, and their mean scatter :math:`v`
about it, over all cells, is put back as noise:

.. math:: \sum_i \pi_i \mathcal{N}(y; a_i, r^2 I) \approx \sum_c m_c \mathcal{N}(y; \mu_c, (r^2 + v) I)

for :math:`y = x_t / \alpha`: mass, mean and trace of the covariance are kept exactly. What is left is
how cells differ in scatter; it moves the posterior mean by about :math:`10^{-3} r`. Kernels below
exp(-37) of the nearest are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pointillist.diffusion.density import GaussianMixture

FEW = 2**15
"""Anchors up to which the truth is taken as it is."""

_CELLS_PER_NOISE = 8
_LEAST_EXPONENT = 37.0
_ROWS = 64


class _Cells(NamedTuple):
    pitch: float
    mixture: GaussianMixture
    """The cells' means, rising in x, with their masses; without bandwidth."""
    scatter: float
    """Mean variance per axis within a cell."""


class CoarseMixture:
    """`GaussianMixture.denoise` and `log_prob` of a mixture on the CPU, at one noise level a call.

    Noise levels are best taken in order: the cells of the last pitch are kept.
    """

    def __init__(self, exact: GaussianMixture) -> None:
        self.exact = exact
        self._last: _Cells | None = None

    def log_prob(self, x: Tensor, alpha: float = 1.0, sigma: float = 0.0) -> Tensor:
        """Log-density of x_t (B, 2) in nats, (B,)."""
        cells, noise = self._level(alpha, sigma)

        def surprise(y: Tensor, near: GaussianMixture, share: Tensor) -> Tensor:
            return near.log_prob(y, 1.0, noise) + share.log()

        return _by_strips(surprise, x / alpha, cells.mixture, noise) - 2 * math.log(alpha)

    def denoise(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Return the ideal denoiser E[x_0 | x_t = x], (B, 2)."""
        cells, noise = self._level(alpha, sigma)

        def mean(y: Tensor, near: GaussianMixture, share: Tensor) -> Tensor:  # noqa: ARG001
            return near.denoise(y, 1.0, noise)

        y = x / alpha
        mean_cell = _by_strips(mean, y, cells.mixture, noise)
        mean_anchor = mean_cell + cells.scatter / noise**2 * (y - mean_cell)
        h2 = self.exact.bandwidth**2
        return (sigma**2 * mean_anchor + alpha * h2 * x) / (alpha**2 * h2 + sigma**2)

    def _level(self, alpha: float, sigma: float) -> tuple[_Cells, float]:
        """Return the cells for a level, and the noise around each, their scatter put back."""
        ratio = math.hypot(self.exact.bandwidth, sigma / alpha)
        cells = self._cells(ratio)
        return cells, math.sqrt(ratio**2 + cells.scatter)

    def _cells(self, ratio: float) -> _Cells:
        # Pitches are powers of the root of 2, so that neighbouring levels share their cells.
        pitch = 2 ** (math.floor(2 * math.log2(ratio / _CELLS_PER_NOISE)) / 2)
        cells = self._last
        if cells is None or cells.pitch != pitch:
            # Several threads may ask: each goes on with what it found itself.
            cells = self._last = _joined(self.exact, pitch)
        return cells


def tractable(exact: GaussianMixture) -> GaussianMixture | CoarseMixture:
    """Return a mixture of up to `FEW` anchors as it is, a larger one, on the CPU, as `CoarseMixture`."""
    few = len(exact.anchors) <= FEW or exact.covariances is not None
    return exact if few else CoarseMixture(exact)


def _joined(exact: GaussianMixture, pitch: float) -> _Cells:
    anchors, shares = exact.anchors, exact.shares
    cell = (anchors / pitch).floor().long()
    cell -= cell.amin(0)
    _, index = torch.unique(cell[:, 0] * (cell[:, 1].max() + 1) + cell[:, 1], return_inverse=True)
    masses = shares.new_zeros(int(index.max()) + 1).index_add_(0, index, shares)
    sums = anchors.new_zeros(len(masses), 2).index_add_(0, index, shares[:, None] * anchors)
    means = sums / masses[:, None]
    scatter = (shares @ (anchors - means[index]).square_()).sum().item() / 2
    order = means[:, 0].argsort()
    return _Cells(pitch, GaussianMixture(means[order], 0.0, masses[order]), scatter)


def _by_strips(
    ask: Callable[[Tensor, GaussianMixture, Tensor], Tensor],
    y: Tensor,
    cells: GaussianMixture,
    noise: float,
) -> Tensor:
    """Ask of queries y (B, 2), strip by strip, the part of the cells that reaches them in x.

    `ask` is given queries, that part as a mixture of its own, and its share of the mass.
    """
    assert cells.weights is not None
    across, order = cells.anchors[:, 0].contiguous(), y[:, 0].argsort()
    answers = []
    for rows in y[order].split(_ROWS):
        reach = _reach(rows, cells.anchors, across, noise)
        ends = torch.stack((rows[0, 0] - reach, rows[-1, 0] + reach))
        near = slice(*torch.searchsorted(across, ends).tolist())
        part = GaussianMixture(cells.anchors[near], 0.0, cells.weights[near])
        answers.append(ask(rows, part, cells.weights[near].sum()))
    return torch.cat(answers)[order.argsort()]


def _reach(y: Tensor, anchors: Tensor, across: Tensor, noise: float) -> float:
    """Return the distance beyond which no cell's kernel counts beside that of the nearest."""
    middle = torch.searchsorted(across, y[:, 0].contiguous())[:, None]
    # The nearest cell is no further than the best of a few that stand at about the same x.
    some = (middle + torch.arange(-32, 33)).clamp(0, len(across) - 1)
    near = (anchors[some] - y[:, None]).square().sum(-1).amin(-1).max().item()
    return math.sqrt(near + 2 * _LEAST_EXPONENT * noise**2)
