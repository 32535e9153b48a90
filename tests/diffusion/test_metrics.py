"""Distances against independent computations, and their floors."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from scipy.stats import wasserstein_distance

from pointillist.diffusion import metrics
from pointillist.diffusion.density import GaussianMixture


def sliced(x, y, directions):
    return metrics.sliced_wasserstein(
        metrics.sorted_projections(x, directions), metrics.sorted_projections(y, directions)
    )


def test_anchor_distances_agree_with_a_kd_tree(ring, generator):
    x, _ = ring.sample(3000, generator)
    ours = metrics.anchor_distances(x, ring)
    distance, nearest = cKDTree(ring.anchors.numpy()).query(x.numpy())
    counts = np.bincount(nearest, minlength=11)
    reach = 3 * ring.bandwidth
    assert ours["off_manifold"] == pytest.approx((distance > reach).mean())
    assert ours["nn95"] == pytest.approx(np.quantile(distance, 0.95))
    assert ours["tv"] == pytest.approx(0.5 * np.abs(counts / 3000 - 1 / 11).sum())
    assert ours["coverage"] == np.mean([(distance[nearest == i] <= reach).any() for i in range(11)])


def test_sliced_wasserstein_of_one_direction_is_the_distance_on_a_line(generator):
    x, y = torch.randn(2, 500, 2, generator=generator).double()
    direction = torch.tensor([[1.0, 0.0]]).double()
    ordered = np.sort(x[:, 0].numpy()) - np.sort(y[:, 0].numpy())
    ours = sliced(x, y, direction)
    assert ours == pytest.approx(math.sqrt(np.mean(ordered**2)))
    assert ours >= wasserstein_distance(x[:, 0].numpy(), y[:, 0].numpy())


def test_shifting_a_sample_costs_the_shift_over_root_two(ring, generator):
    """The mean of squared projections of a shift d over the circle is |d|^2 / 2."""
    x, _ = ring.sample(1000, generator)
    shift = torch.tensor([0.3, 0.4]).double()
    directions = metrics.unit_directions(200, generator)
    expected = 0.5 / math.sqrt(2)
    assert sliced(x, x + shift, directions) == pytest.approx(expected)


def test_directions_are_unit_vectors_spread_evenly(generator):
    directions = metrics.unit_directions(50, generator)
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(50).double())
    torch.testing.assert_close(
        directions.T @ directions / 50, torch.eye(2).double() / 2, atol=1e-12, rtol=0
    )


def test_truth_scores_its_own_floor(ring, generator):
    x, _ = ring.sample(4000, generator)
    result = metrics.compare(
        x,
        ring,
        floor_draws=8,
        projections=50,
        generator=generator,
    )
    assert result["sw2"] == pytest.approx(result["sw2_floor"], rel=0.5)
    assert result["off_manifold"] == pytest.approx(result["off_manifold_floor"], rel=0.1)
    assert result["nn95"] == pytest.approx(result["nn95_floor"], rel=0.1)


def test_every_metric_sees_a_worse_sample(ring, generator):
    good, _ = ring.sample(2000, generator)
    bad = good[good[:, 0] > 0].repeat(2, 1)[:2000] + 0.2
    options = {"floor_draws": 5, "projections": 50, "generator": generator}
    a = metrics.compare(good, ring, **options)
    b = metrics.compare(bad, ring, **options)
    assert all(b[name] > a[name] for name in ("off_manifold", "nn95", "tv", "sw2"))
    assert b["coverage"] < a["coverage"]


def test_floor_of_off_manifold_is_the_rayleigh_tail(generator):
    """A lone anchor: P(d > r) = exp(-r^2 / 2 h^2) exactly."""
    truth = GaussianMixture(torch.zeros(1, 2).double(), 0.01)
    x = truth.sample(200_000, generator)[0]
    share = metrics.anchor_distances(x, truth)["off_manifold"]
    expected = math.exp(-4.5)
    assert share == pytest.approx(expected, abs=5 * math.sqrt(expected / 200_000))


def test_whole_weights_measure_as_repeated_anchors_do(ring, generator):
    """Total variation and coverage by anchor, when some stand for several."""
    counts = torch.arange(1, 12)
    shares = (counts / counts.sum()).double()
    weighted = GaussianMixture(ring.anchors, ring.bandwidth, shares)
    x, _ = weighted.sample(20_000, generator)
    ours = metrics.anchor_distances(x, weighted)
    assert ours["tv"] < 0.02
    assert metrics.anchor_distances(x, ring)["tv"] > 0.2
    few = x[ring.nearest(x)[0] >= 5]
    reached = metrics.anchor_distances(few, weighted)["coverage"]
    assert reached == pytest.approx(shares[5:].sum().item())


def test_copies_are_memorised_and_fresh_draws_as_often_as_chance_has_it(generator):
    """Where the density is smooth, P(d1 / d2 < r) = r^2: areas of discs, in which no other point lies."""
    points, fresh = torch.rand(2, 4000, 2, generator=generator).double()
    copies = points + 1e-5 * torch.randn(points.shape, generator=generator).double()
    assert metrics.share_memorised(copies, points) > 0.99
    error = 3 * math.sqrt(1 / 9 * 8 / 9 / 4000)
    assert metrics.share_memorised(fresh, points) == pytest.approx(1 / 9, abs=error)


def test_many_anchors_are_searched_by_a_tree_to_the_same_end(generator):
    anchors = torch.randn(20_000, 2, generator=generator).double()
    x = torch.randn(300, 2, generator=generator).double()
    index, deviations = GaussianMixture(anchors, 0.25).nearest(x)
    expected = torch.cdist(x, anchors).min(-1)
    torch.testing.assert_close(deviations, 4 * expected.values)
    assert (index == expected.indices).all()
