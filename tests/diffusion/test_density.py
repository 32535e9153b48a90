"""The truth's closed forms, against brute force, quadrature and each other."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from pointillist.diffusion import density as density_module
from pointillist.diffusion.density import GaussianMixture

LEVELS = [(1.0, 0.0), (1.0, 0.02), (0.8, 0.6), (1.0, 5.0), (0.05, 1.0)]


def queries(n: int = 200) -> torch.Tensor:
    return 1.5 * torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("alpha", "sigma"), LEVELS)
def test_log_prob_equals_torch_distributions(ring, alpha, sigma):
    tau = math.hypot(alpha * ring.bandwidth, sigma)
    reference = MixtureSameFamily(
        Categorical(torch.ones(len(ring.anchors), dtype=torch.float64)),
        Independent(Normal(alpha * ring.anchors, tau), 1),
    )
    x = queries()
    torch.testing.assert_close(ring.log_prob(x, alpha, sigma), reference.log_prob(x))


@pytest.mark.parametrize(("alpha", "sigma"), LEVELS)
def test_score_is_the_gradient_of_log_prob(ring, alpha, sigma):
    x = queries().requires_grad_()
    (gradient,) = torch.autograd.grad(ring.log_prob(x, alpha, sigma).sum(), x)
    torch.testing.assert_close(ring.score(x.detach(), alpha, sigma), gradient)


@pytest.mark.parametrize(("alpha", "sigma"), LEVELS[1:])
def test_denoiser_obeys_tweedie(ring, alpha, sigma):
    """Tweedie: alpha E[x0 | x] = x + sigma^2 score(x)."""
    x = queries()
    left = alpha * ring.denoise(x, alpha, sigma)
    torch.testing.assert_close(left, x + sigma**2 * ring.score(x, alpha, sigma))


@pytest.mark.parametrize(("alpha", "sigma"), LEVELS[1:])
def test_denoiser_equals_brute_force_bayes(ring, alpha, sigma):
    """E[x0 | x] = sum over anchors of weight times the mean of the product of two Gaussians."""
    for x in queries(20):
        weights, means = [], []
        for anchor in ring.anchors:
            variance = (alpha * ring.bandwidth) ** 2 + sigma**2
            weights.append(math.exp(-(x - alpha * anchor).square().sum().item() / (2 * variance)))
            gain = alpha * ring.bandwidth**2 / variance
            means.append(anchor + gain * (x - alpha * anchor))
        if sum(weights) < 1e-200:
            continue
        expected = sum(w * m for w, m in zip(weights, means, strict=True)) / sum(weights)
        torch.testing.assert_close(ring.denoise(x[None], alpha, sigma)[0], expected)


def test_density_integrates_to_one(ring):
    edge = torch.linspace(-6, 6, 1201, dtype=torch.float64)
    grid = torch.cartesian_prod(edge, edge)
    mass = ring.log_prob(grid, 1.0, 0.2).exp().sum() * (edge[1] - edge[0]) ** 2
    assert mass.item() == pytest.approx(1, abs=1e-9)


def test_moments_are_those_of_many_draws(ring, generator):
    n = 200_000
    mean, covariance = ring.moments()
    x, _ = ring.sample(n, generator)
    # Five standard errors of a mean of unit-variance draws and of their products.
    torch.testing.assert_close(x.mean(0), mean, atol=5 / n**0.5, rtol=0)
    torch.testing.assert_close(torch.cov(x.T), covariance, atol=15 / n**0.5, rtol=0)


def test_draws_lie_around_their_own_anchor(ring, generator):
    x, source = ring.sample(50_000, generator)
    deviation = (x - ring.anchors[source]).std(0)
    torch.testing.assert_close(deviation, torch.full((2,), 0.05).double(), rtol=0.02, atol=0)
    assert torch.bincount(source, minlength=11).min() > 0.9 * 50_000 / 11


@given(alpha=st.floats(0.01, 1), sigma=st.floats(1e-4, 50))
def test_denoiser_stays_in_the_hull_of_what_is_possible(ring, alpha, sigma):
    """It blends anchors and the rescaled query, so no coordinate exceeds the larger of the two."""
    x = queries(50)
    bound = torch.maximum(ring.anchors.abs().max(0).values, x.abs() / alpha)
    assert (ring.denoise(x, alpha, sigma).abs() <= bound * (1 + 1e-9)).all()


def test_levels_may_differ_from_point_to_point(ring):
    x, sigma = queries(30), torch.linspace(0.01, 3, 30, dtype=torch.float64)
    together = ring.denoise(x, torch.ones(30).double(), sigma)
    alone = torch.cat([ring.denoise(x[i : i + 1], 1.0, sigma[i].item()) for i in range(30)])
    torch.testing.assert_close(together, alone)


def test_blocks_do_not_change_the_result(ring, monkeypatch):
    x = queries(101)
    whole = ring.denoise(x, 1.0, 0.3), ring.log_prob(x, 1.0, 0.3)
    monkeypatch.setattr(density_module, "_BLOCK_ELEMENTS", 70)
    torch.testing.assert_close((ring.denoise(x, 1.0, 0.3), ring.log_prob(x, 1.0, 0.3)), whole)


@pytest.mark.parametrize("bandwidth", [1e-4, 0.01, 1.0])
def test_single_precision_is_enough_for_training_targets(ring, bandwidth):
    """Against double precision, errors stay far below the noise that the risk divides by."""
    truth = GaussianMixture(ring.anchors, bandwidth)
    generator = torch.Generator().manual_seed(3)
    for sigma in (0.002, 0.02, 0.3, 10.0):
        x0, _ = truth.sample(2000, generator)
        x = (x0 + sigma * torch.randn(2000, 2, generator=generator)).float()
        single = truth.to("cpu", torch.float32).denoise(x, 1.0, sigma)
        error = single.double() - truth.denoise(x.double(), 1.0, sigma)
        assert (error.square().sum(-1).mean() / sigma**2).item() < 1e-4


def test_spacing_is_the_median_gap_whatever_repeats():
    line = torch.stack((torch.arange(50.0), torch.zeros(50)), -1).double()
    assert GaussianMixture(line, 0.01).spacing() == 1
    assert GaussianMixture(torch.cat((line, line, 2 * line)), 0.01).spacing() == 1
    assert GaussianMixture(line[:1].repeat(5, 1), 0.01).spacing() == 0.01
