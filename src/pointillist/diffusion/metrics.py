r"""Distances between samples and the truth, each beside its floor.

All are taken in standardised coordinates, in which the anchors have mean 0 and standard deviation 1
per axis. The floor of a distance is what a fresh draw of the truth of the same size scores: no
sampler is expected below it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pointillist.diffusion import two_sample

REACH = 0.03
"""Distance from an anchor, in standardised units, up to which a sample counts as on the shape."""

Draw = Callable[[int], Tensor]
"""n -> n independent points of the truth, (n, 2)."""

_BLOCK_ROWS = 4096
# Above it a tree finds the nearest anchor sooner than all distances do.
_MOST_PAIRED = 16_384


def nearest_anchor(x: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each of x (n, 2) the distance to its nearest anchor and that anchor's index, (n,)."""
    if len(anchors) > _MOST_PAIRED:
        from scipy.spatial import KDTree

        distance, index = KDTree(anchors.cpu().numpy()).query(x.cpu().numpy())
        return torch.from_numpy(distance).to(x), torch.from_numpy(index).to(x.device)
    parts = [torch.cdist(rows, anchors).min(-1) for rows in x.split(_BLOCK_ROWS)]
    return torch.cat([p.values for p in parts]), torch.cat([p.indices for p in parts])


def anchor_distances(x: Tensor, anchors: Tensor, shares: Tensor | None = None) -> dict[str, float]:
    r"""Return the metrics that need only the anchors, d being the distance to the nearest of them.

    `shares` (N,) are the weights pi_i of the anchors, of sum 1; None: all alike.

    ============= ==========================================================================
    off_manifold  share of samples with d > `REACH`
    nn95          95th percentile of d, standardised units
    coverage      sum of pi_i over the anchors that are nearest to some sample with d <= `REACH`
    tv            total variation 1/2 sum_i abs(n_i / n - pi_i) of nearest-anchor counts n_i
    ============= ==========================================================================
    """
    distance, nearest = nearest_anchor(x, anchors)
    counts = torch.bincount(nearest, minlength=len(anchors)).double()
    reached = torch.bincount(nearest[distance <= REACH], minlength=len(anchors)) > 0
    expected = 1 / len(anchors) if shares is None else shares
    covered = reached.double()
    return {
        "off_manifold": (distance > REACH).double().mean().item(),
        "nn95": distance.double().quantile(0.95).item(),
        "coverage": (covered.mean() if shares is None else shares @ covered).item(),
        "tv": 0.5 * (counts / len(x) - expected).abs().sum().item(),
    }


def sorted_projections(x: Tensor, directions: Tensor) -> Tensor:
    """Return x (n, 2) projected onto each of `directions` (P, 2) and sorted: (P, n)."""
    projected = directions @ x.T
    if projected.device.type == "cpu":
        # numpy sorts with vector instructions: on few cores several times as fast as torch.
        return torch.from_numpy(np.sort(projected.numpy(), axis=-1))
    return projected.sort(-1).values


def sliced_wasserstein(x: Tensor, y: Tensor) -> float:
    """Sliced 2-Wasserstein distance (Bonneel et al. 2015) of two samples of equal size.

    Takes their `sorted_projections` (P, n); returns the root of the mean squared difference.
    """
    return (x - y).square().mean().sqrt().item()


def unit_directions(n: int, generator: torch.Generator) -> Tensor:
    """Return n directions of the plane, (n, 2): evenly spread over the half circle, turned at random."""
    turn = torch.rand(1, generator=generator, dtype=torch.float64)
    angle = (torch.arange(n) + turn) * torch.pi / n
    return torch.stack((angle.cos(), angle.sin()), -1)


def distances(
    x: Tensor,
    anchors: Tensor,
    references: list[Tensor],
    directions: Tensor,
    shares: Tensor | None = None,
) -> dict[str, float]:
    """Return `anchor_distances` and sw2, its mean over the references' `sorted_projections`."""
    projected = sorted_projections(x, directions)
    sliced = [sliced_wasserstein(projected, other) for other in references]
    return anchor_distances(x, anchors, shares) | {"sw2": sum(sliced) / len(sliced)}


def classifier_features(x: Tensor, anchors: Tensor) -> Tensor:
    """Return what the classifier test sees of x (n, 2): the place, and the distance to the shape, (n, 3).

    With the distance, which the truth gives for free, faults across the whole shape add up.
    """
    return torch.cat((x, nearest_anchor(x, anchors)[0][:, None]), -1)


def two_sample_tests(
    points: Tensor, reference: Tensor, reference_sums: two_sample.PairSums, anchors: Tensor
) -> dict[str, float]:
    """Return `two_sample`'s tests of points (n, 2) against a draw of the truth and its `self_sums`."""
    sums = (
        two_sample.self_sums(points),
        reference_sums,
        two_sample.pair_sums(points, reference),
    )
    features = [classifier_features(rows, anchors) for rows in (points, reference)]
    return {
        "energy": two_sample.energy_distance(*sums),
        "mmd": two_sample.squared_mmd(*sums),
        "c2st": two_sample.classifier_accuracy(*features),
    }


def compare(
    x: Tensor,
    anchors: Tensor,
    draw: Draw,
    *,
    floor_draws: int,
    projections: int,
    generator: torch.Generator,
    exact_w2: bool = False,
    shares: Tensor | None = None,
) -> dict[str, float]:
    """Return every metric of x (n, 2) and, as ``<name>_floor``, its mean over fresh draws of the truth.

    ``<name>_floor_error`` is the standard error of a fresh draw's score minus that mean over k others,
    s (1 + 1/k)^(1/2) with the deviation s of the draws' scores; of one draw there is none.

    The samples and each draw are held against the same `floor_draws` reference draws; in the
    two-sample tests and, if `exact_w2`, the exact Wasserstein distance, against the first of them.
    """
    x, anchors = x.double(), anchors.double()
    directions = unit_directions(projections, generator)
    draws = [draw(len(x)).double() for _ in range(floor_draws)]
    references = [sorted_projections(points, directions) for points in draws]
    fresh = [draw(len(x)).double() for _ in range(floor_draws)]
    reference_sums = two_sample.self_sums(draws[0])

    def score(points: Tensor) -> dict[str, float]:
        scores = distances(points, anchors, references, directions, shares)
        scores |= two_sample_tests(points, draws[0], reference_sums, anchors)
        if exact_w2:
            scores["w2"] = two_sample.exact_wasserstein(points, draws[0])
        return scores

    scores, floors = score(x), [score(points) for points in fresh]
    metrics: dict[str, float] = {}
    for name, value in scores.items():
        fresh_scores = [floor[name] for floor in floors]
        metrics[name] = value
        metrics[f"{name}_floor"] = sum(fresh_scores) / floor_draws
        if floor_draws > 1:
            spread = statistics.stdev(fresh_scores)
            metrics[f"{name}_floor_error"] = spread * math.sqrt(1 + 1 / floor_draws)
    return metrics
