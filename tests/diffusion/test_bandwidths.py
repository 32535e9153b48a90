"""The chosen bandwidth maximises the leave-one-out likelihood as it is written, and suits the density."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import make_moons

from pointillist.diffusion import bandwidths
from pointillist.diffusion.density import GaussianMixture
from pointillist.errors import PointillistError


def generator():
    return torch.Generator().manual_seed(0)


def as_written(points, shares, h):
    """The double sum, every pair."""
    squares = torch.cdist(points, points).square()
    kernels = (-squares / (2 * h * h)).exp() / (2 * math.pi * h * h) * shares
    kernels.fill_diagonal_(0)
    return (shares * (kernels.sum(1) / (1 - shares)).log()).sum()


@pytest.mark.parametrize("weighted", [False, True])
def test_the_curve_is_the_double_sum(weighted):
    points = torch.randn(300, 2, generator=generator(), dtype=torch.float64)
    weights = (
        torch.rand(300, generator=generator(), dtype=torch.float64) + 0.1 if weighted else None
    )
    shares = torch.ones(300).double() / 300 if weights is None else weights / weights.sum()
    choice = bandwidths.choose(points, weights, generator())
    for h, found in zip(choice.tried.tolist(), choice.likelihood.tolist(), strict=True):
        expected = as_written(points, shares, h)
        if expected > -1e3:
            assert found == pytest.approx(expected.item(), rel=1e-3, abs=1e-3)
    assert torch.unique(choice.tried).equal(choice.tried)
    near = [as_written(points, shares, choice.bandwidth * f) for f in (0.97, 1.0, 1.03)]
    assert near[1] >= max(near[0], near[2]) - 1e-4


def test_many_points_give_what_all_pairs_give():
    """Cells finer than the bandwidth, and some of the points left out in turn."""
    rng = np.random.default_rng(0)
    points = torch.from_numpy(make_moons(12_000, noise=0.1, random_state=0)[0])
    points = (points - points.mean(0)) / points.std(0)
    choice = bandwidths.choose(points, None, generator())
    rows = torch.from_numpy(rng.choice(12_000, 1000, replace=False))
    squares = torch.cdist(points[rows], points).square()

    def likelihood(h):
        kernels = (-squares / (2 * h * h)).exp()
        kernels[torch.arange(1000), rows] = 0
        return (kernels.sum(1) / (2 * math.pi * h * h) / 11_999).log().mean().item()

    hs = np.geomspace(0.5 * choice.bandwidth, 2 * choice.bandwidth, 21)
    best = hs[np.argmax([likelihood(h) for h in hs])]
    assert choice.bandwidth == pytest.approx(best, rel=0.15)


def test_points_that_repeat_are_one_place_of_their_joint_weight():
    points = torch.randn(200, 2, generator=generator(), dtype=torch.float64)
    counts = torch.arange(200) % 3 + 1
    repeated = bandwidths.choose(points.repeat_interleave(counts, dim=0), None, generator())
    weighted = bandwidths.choose(points, counts.double(), generator())
    assert repeated.bandwidth == pytest.approx(weighted.bandwidth)


def test_the_density_is_nearer_to_fresh_draws_than_with_dots():
    """From 2,000 draws of moons: in nats, beside the default width and the best there is."""
    train, fresh = (
        torch.from_numpy(make_moons(2000, noise=0.1, random_state=seed)[0]) for seed in (0, 1)
    )
    mean, deviation = train.mean(0), train.std(0)
    train, fresh = (train - mean) / deviation, (fresh - mean) / deviation

    def surprise(h):
        return -GaussianMixture(train, h).log_prob(fresh).mean().item()

    chosen = bandwidths.choose(train, None, generator()).bandwidth
    assert surprise(chosen) < surprise(0.01) - 1
    assert surprise(chosen) < min(surprise(h) for h in np.geomspace(0.01, 0.5, 40)) + 0.01


def test_a_million_points_have_a_bandwidth():
    points = torch.randn(1_000_000, 2, generator=generator(), dtype=torch.float64)
    choice = bandwidths.choose(points, None, generator())
    # Of a Gaussian the best bandwidth falls with the sixth root of the number: near Scott's rule.
    assert choice.bandwidth == pytest.approx(1e6 ** (-1 / 6), rel=0.4)


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([[0.0, 0.0], [1.0, 1.0]] * 20, "2 different points"),
        ([[1e-7, 0.0], [0.0, 0.0], [0.0, 1e-7]], "at the small end"),
        ([[0.0, 0.0], [30.0, 0.0], [0.0, 30.0]], "at the great end"),
    ],
)
def test_points_that_say_nothing_are_refused(points, said):
    with pytest.raises(PointillistError, match=said) as error:
        bandwidths.choose(torch.tensor(points).double(), None, generator())
    assert "data.bandwidth=0.01" in str(error.value)
