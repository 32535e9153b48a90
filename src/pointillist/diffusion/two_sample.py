r"""Two-sample tests: can samples x_1 … x_n be told from a draw y_1 … y_n of the truth?

With every pair of points taken once,

.. math::
    \mathrm{energy}^2 &= \frac{1}{n^2} \Bigl( 2 \sum_{ij} |x_i - y_j|
        - \sum_{ij} |x_i - x_j| - \sum_{ij} |y_i - y_j| \Bigr) \\
    \mathrm{MMD}^2 &= \frac{1}{n (n - 1)} \sum_{i \ne j} \bigl( k(x_i, x_j) + k(y_i, y_j) \bigr)
        - \frac{2}{n^2} \sum_{ij} k(x_i, y_j)

The kernel is a sum of Gaussians, :math:`k(x, y) = \sum_s \exp(-|x - y|^2 / 2 s^2)`, whose `BANDWIDTHS` s
reach from the size of the shape to that of its finest detail: one alone is blind to the others.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor

from pointillist.diffusion import trees
from pointillist.diffusion.fast.calls import OneCall
from pointillist.errors import PointillistError

BANDWIDTHS = (0.25, 0.0625, 0.015625)
"""Bandwidths of the kernel, standardised units."""
MOST_TRANSPORTED = 10_000
"""Points up to which `exact_wasserstein` is taken: its matrix of costs is n x n."""

# Every pair is visited: with more points than this, those that come first stand for all.
_MOST_PAIRED = 4096
# Few enough for a block's pairs to stay in caches.
_BLOCK_ROWS = 32
# Powers of 2 below any digit of a sum, and above the smallest numbers, which a processor is slow with.
_LEAST_EXPONENT = -115.0
_SIMPLEX_STEPS = 10_000_000


class PairSums(NamedTuple):
    """Sums over all pairs (i, j) of two samples."""

    distance: float
    kernel: float
    n: int
    """Points in each of the two samples."""


def pair_sums(x: Tensor, y: Tensor) -> PairSums:
    """Return the sums over the pairs of x (n, 2) and y (n, 2), in bounded memory.

    Terms are in single precision: of as many the sum is good to eight digits.
    """
    x, y = x[:_MOST_PAIRED].float(), y[:_MOST_PAIRED].float()
    with torch.no_grad():
        sums = [_block_sums(rows, y) for rows in x.split(_BLOCK_ROWS)]
    distance, kernel = torch.stack(sums).sum(0).tolist()
    return PairSums(distance, kernel, len(x))


def self_sums(x: Tensor) -> PairSums:
    """Return `pair_sums` of x with itself: half of the pairs, counted twice.

    The diagonal counts too: distance 0, kernel `len(BANDWIDTHS)`.
    """
    x = x[:_MOST_PAIRED].float()
    sums = []
    with torch.no_grad():
        for start in range(0, len(x), _BLOCK_ROWS):
            rows, rest = x[start : start + _BLOCK_ROWS], x[start + _BLOCK_ROWS :]
            sums += [_block_sums(rows, rows), 2 * _block_sums(rows, rest)]
    distance, kernel = torch.stack(sums).sum(0).tolist()
    return PairSums(distance, kernel, len(x))


@OneCall
def _block_sums(x: Tensor, y: Tensor) -> Tensor:
    """Return the sums of distance and kernel over all pairs, (2,), float64."""
    across = y.mT.contiguous()
    horizontal, vertical = x[:, :1] - across[0], x[:, 1:] - across[1]
    squared = (horizontal * horizontal).addcmul_(vertical, vertical)
    sums = [torch.sqrt(squared, out=vertical).sum(), torch.zeros(())]
    for bandwidth in BANDWIDTHS:
        bits = torch.mul(squared, -0.5 / math.log(2) / bandwidth**2, out=vertical)
        sums[1] = sums[1] + bits.clamp_(min=_LEAST_EXPONENT).exp2_().sum()
    return torch.stack(sums).double()


def energy_distance(xx: PairSums, yy: PairSums, xy: PairSums) -> float:
    """Energy distance, standardised units^(1/2): the root of the V-statistic.

    Székely & Rizzo 2013, *J. Stat. Plan. Inference* 143, 1249 (there its square).
    """
    squared = (2 * xy.distance - xx.distance - yy.distance) / xy.n**2
    return max(squared, 0.0) ** 0.5


def squared_mmd(xx: PairSums, yy: PairSums, xy: PairSums) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy: 0 in the mean for equal laws.

    Gretton et al. 2012, *JMLR* 13, 723, eq. 3; it can be below 0.
    """
    n, diagonal = xy.n, len(BANDWIDTHS) * xy.n
    within = (xx.kernel + yy.kernel - 2 * diagonal) / (n * (n - 1))
    return within - 2 * xy.kernel / n**2


def classifier_accuracy(x: Tensor, y: Tensor) -> float:
    """Classifier two-sample test: held-out accuracy of telling x (n, d) from y (n, d), rows of features.

    Lopez-Paz & Oquab 2017 (arXiv 1610.06545), section 3. Near 1/2 nothing tells them apart; the
    standard error there is about 1 / sqrt(8 n). Half of the rows train boosted `trees`, the other half
    is held out, and the two change places.
    """
    rows = torch.cat((x, y)).numpy()
    label = torch.arange(len(rows)).ge(len(x)).numpy()
    half = torch.arange(len(rows)).remainder(2).bool().numpy()
    right = 0
    for held_out in (half, ~half):
        answers = trees.predict(rows[~held_out], label[~held_out], rows[held_out])
        right += int((answers == label[held_out]).sum())
    return right / len(rows)


def require_exact_w2(n: int) -> None:
    """Refuse what `exact_wasserstein` can't do for n points, before anything is computed for it.

    Raises
    ------
    PointillistError
        If POT is not installed or n is above `MOST_TRANSPORTED`.
    """
    if n > MOST_TRANSPORTED:
        raise PointillistError(
            f"evaluation.exact_w2 takes at most {MOST_TRANSPORTED} points and got {n}: add "
            f"--params evaluation.n_eval={MOST_TRANSPORTED}"
        )
    if find_spec("ot") is None:
        raise PointillistError(
            "evaluation.exact_w2 needs the package POT. Install it with: make .venv/.installed-ot\n"
            "Without make: python -m pip install --constraint requirements.lock --editable '.[ot]'"
        )


def exact_wasserstein(x: Tensor, y: Tensor) -> float:
    """2-Wasserstein distance of x (n, 2) and y (n, 2), standardised units, by network simplex.

    Bonneel et al. 2011, *ACM Trans. Graph.* 30(6), 158, as in POT. Cost grows faster than n^2. Raises
    what `require_exact_w2` does.
    """
    require_exact_w2(len(x))
    import ot

    cost = ot.emd2([], [], torch.cdist(x, y).square().numpy(), numItermax=_SIMPLEX_STEPS)
    return float(cost) ** 0.5
