r"""Distances between samples and the truth, each beside its floor.

All are taken in standardised coordinates, in which the anchors have mean 0 and standard deviation 1
per axis. The floor of a distance is what a fresh draw of the truth of the same size scores: no
sampler is expected below it.
"""

from __future__ import annotations

import math
import statistics

import numpy as np
import torch
from torch import Tensor

from pointillist.diffusion import two_sample
from pointillist.diffusion.density import GaussianMixture
from pointillist.runtime import parallel

REACH = 3.0
"""Distance from an anchor, in its own standard deviations, up to which a sample is on the shape."""


def anchor_distances(x: Tensor, truth: GaussianMixture) -> dict[str, float]:
    r"""Return the metrics that need only the anchors, the nearest of which is d away.

    In their own standard deviations (`GaussianMixture.nearest`), d decides what is on the shape;
    pi_i are the anchors' shares.

    ============= ==========================================================================
    off_manifold  share of samples with d > `REACH`
    nn95          95th percentile of the distance itself, standardised units
    coverage      sum of pi_i over the anchors that are nearest to some sample with d <= `REACH`
    tv            total variation 1/2 sum_i abs(n_i / n - pi_i) of nearest-anchor counts n_i
    ============= ==========================================================================
    """
    anchors, shares = truth.anchors, truth.weights
    nearest, deviations = truth.nearest(x)
    distance = (x - anchors[nearest]).norm(dim=-1)
    counts = torch.bincount(nearest, minlength=len(anchors)).double()
    reached = torch.bincount(nearest[deviations <= REACH], minlength=len(anchors)) > 0
    expected = 1 / len(anchors) if shares is None else shares
    covered = reached.double()
    return {
        "off_manifold": (deviations > REACH).double().mean().item(),
        "nn95": distance.double().quantile(0.95).item(),
        "coverage": (covered.mean() if shares is None else shares @ covered).item(),
        "tv": 0.5 * (counts / len(x) - expected).abs().sum().item(),
    }


def share_memorised(x: Tensor, points: Tensor, ratio: float = 1 / 3) -> float:
    """Return the share of x (n, 2) whose nearest of `points` is less than `ratio` times the second."""
    from scipy.spatial import KDTree

    distances, _ = KDTree(points.numpy()).query(x.numpy(), k=2)
    return float((distances[:, 0] < ratio * distances[:, 1]).mean())


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
    return torch.linalg.vector_norm(x - y).item() / math.sqrt(x.numel())


def unit_directions(n: int, generator: torch.Generator) -> Tensor:
    """Return n directions of the plane, (n, 2): evenly spread over the half circle, turned at random."""
    turn = torch.rand(1, generator=generator, dtype=torch.float64)
    angle = (torch.arange(n) + turn) * torch.pi / n
    return torch.stack((angle.cos(), angle.sin()), -1)


def distances(
    x: Tensor, truth: GaussianMixture, references: list[Tensor], directions: Tensor
) -> dict[str, float]:
    """Return `anchor_distances` and sw2, its mean over the references' `sorted_projections`."""
    projected = sorted_projections(x, directions)
    sliced = [sliced_wasserstein(projected, other) for other in references]
    return anchor_distances(x, truth) | {"sw2": sum(sliced) / len(sliced)}


def classifier_features(x: Tensor, truth: GaussianMixture) -> Tensor:
    """Return what the classifier test sees of x (n, 2): the place, and the distance to the shape, (n, 3).

    With the distance, which the truth gives for free, faults across the whole shape add up.
    """
    away = x - truth.anchors[truth.nearest(x)[0]]
    return torch.cat((x, away.norm(dim=-1, keepdim=True)), -1)


def two_sample_tests(
    points: Tensor, reference: Tensor, reference_sums: two_sample.PairSums, truth: GaussianMixture
) -> dict[str, float]:
    """Return `two_sample`'s tests of points (n, 2) against a draw of the truth and its `self_sums`."""
    sums = (
        two_sample.self_sums(points),
        reference_sums,
        two_sample.pair_sums(points, reference),
    )
    features = [classifier_features(rows, truth) for rows in (points, reference)]
    return {
        "energy": two_sample.energy_distance(*sums),
        "mmd": two_sample.squared_mmd(*sums),
        "c2st": two_sample.classifier_accuracy(*features),
    }


def compare(
    x: Tensor,
    truth: GaussianMixture,
    *,
    floor_draws: int,
    projections: int,
    generator: torch.Generator,
    exact_w2: bool = False,
) -> dict[str, float]:
    """Return every metric of x (n, 2), in the coordinates of the float64 `truth`.

    ``<name>_floor`` is its mean over fresh draws of the truth.

    ``<name>_floor_error`` is the standard error of a fresh draw's score minus that mean over k others,
    s (1 + 1/k)^(1/2) with the deviation s of the draws' scores; of one draw there is none.

    The samples and each draw are held against the same `floor_draws` reference draws; in the
    two-sample tests and, if `exact_w2`, the exact Wasserstein distance, against the first of them.
    """
    x = x.double()
    directions = unit_directions(projections, generator)
    draws = [truth.sample(len(x), generator)[0] for _ in range(floor_draws)]
    references = parallel(
        lambda points: sorted_projections(points, directions), draws, truth.anchors.device
    )
    fresh = [truth.sample(len(x), generator)[0] for _ in range(floor_draws)]
    reference_sums = two_sample.self_sums(draws[0])

    def score(points: Tensor) -> dict[str, float]:
        scores = distances(points, truth, references, directions)
        scores |= two_sample_tests(points, draws[0], reference_sums, truth)
        if exact_w2:
            scores["w2"] = two_sample.exact_wasserstein(points, draws[0])
        return scores

    scores, *floors = parallel(score, [x, *fresh], truth.anchors.device)
    metrics: dict[str, float] = {}
    for name, value in scores.items():
        fresh_scores = [floor[name] for floor in floors]
        metrics[name] = value
        metrics[f"{name}_floor"] = sum(fresh_scores) / floor_draws
        if floor_draws > 1:
            spread = statistics.stdev(fresh_scores)
            metrics[f"{name}_floor_error"] = spread * math.sqrt(1 + 1 / floor_draws)
    return metrics
