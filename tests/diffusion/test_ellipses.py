"""Mixtures of ellipses are exact: against quadrature, autograd, and the mixture of circles."""

import math

import pytest
import torch

from pointillist.diffusion import ellipses
from pointillist.diffusion.density import GaussianMixture
from pointillist.errors import PointillistError

LEVELS = [(1.0, 0.0), (1.0, 0.4), (0.6, 0.8), (0.05, 1.0), (1.0, 20.0)]


def covariance(long: float, short: float, angle: float) -> torch.Tensor:
    turn = torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]],
        dtype=torch.float64,
    )
    return turn @ torch.diag(torch.tensor([long, short], dtype=torch.float64)) @ turn.T


@pytest.fixture
def mixture():
    anchors = torch.tensor([[-1.0, 0.2], [0.5, -0.7], [0.9, 0.8]], dtype=torch.float64)
    extra = [covariance(0.3, 0.0, 0.4), covariance(0.05, 0.01, 2.0), torch.zeros(2, 2).double()]
    return GaussianMixture(anchors, 0.2, torch.tensor([3.0, 1.0, 2.0]), torch.stack(extra))


@pytest.fixture
def grid():
    """A fine grid over [-8, 8]^2, and its cells' area."""
    side = torch.linspace(-8, 8, 801, dtype=torch.float64)
    return torch.cartesian_prod(side, side), (side[1] - side[0]).item() ** 2


def as_written(mixture, x, alpha, sigma):
    """Log-density in plain terms: a sum of bivariate Gaussians."""
    eye = torch.eye(2, dtype=torch.float64)
    total = 0
    for anchor, share, extra in zip(
        mixture.anchors, mixture.shares, mixture.covariances, strict=True
    ):
        spread = alpha**2 * (mixture.bandwidth**2 * eye + extra) + sigma**2 * eye
        normal = torch.distributions.MultivariateNormal(alpha * anchor, spread)
        total = total + share * normal.log_prob(x).exp()
    return total.log()


@pytest.mark.parametrize(("alpha", "sigma"), LEVELS)
def test_density_and_score_are_those_of_a_sum_of_gaussians(mixture, alpha, sigma):
    generator = torch.Generator().manual_seed(0)
    x, _ = mixture.sample(200, generator, alpha, sigma)
    x.requires_grad_(True)
    expected = as_written(mixture, x, alpha, sigma)
    torch.testing.assert_close(mixture.log_prob(x, alpha, sigma), expected)
    (gradient,) = torch.autograd.grad(expected.sum(), x)
    torch.testing.assert_close(mixture.score(x, alpha, sigma), gradient, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("alpha", "sigma"), [(1.0, 0.4), (0.6, 0.8)])
def test_the_posterior_mean_is_bayes_rule_by_quadrature(mixture, grid, alpha, sigma):
    points, _ = grid
    prior = mixture.log_prob(points)
    for x in torch.tensor([[0.1, 0.2], [-1.5, 1.0], [2.0, -2.0]], dtype=torch.float64):
        log = prior - (x - alpha * points).square().sum(-1) / (2 * sigma**2)
        expected = log.softmax(0) @ points
        found = mixture.denoise(x[None], alpha, sigma)[0]
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


def test_some_of_a_mixture_are_a_mixture_of_their_own(mixture):
    index = torch.tensor([2, 0, 0, 1])
    some = mixture.of(index)
    anew = GaussianMixture(mixture.anchors[index], 0.2, None, mixture.covariances[index])
    x, _ = mixture.sample(100, torch.Generator().manual_seed(0))
    assert torch.equal(some.covariances, anew.covariances)
    for method in ("denoise", "log_prob", "score"):
        found, expected = (getattr(each, method)(x, 0.6, 0.8) for each in (some, anew))
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("alpha", [1e-3, 0.05, 1.0])
def test_far_and_noisy_points_are_denoised_in_single_precision_too(mixture, alpha):
    x = torch.tensor([[0.3, -0.4], [2.0, 1.0]], dtype=torch.float64)
    exact = mixture.denoise(x, alpha, 1.0)
    single = mixture.to("cpu", torch.float32).denoise(x.float(), alpha, 1.0)
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-5)


def test_mass_is_one_and_entropy_and_moments_are_those_of_quadrature(mixture, grid):
    points, area = grid
    log = mixture.log_prob(points)
    mass = log.exp() * area
    assert mass.sum().item() == pytest.approx(1, abs=1e-9)
    mean, cov = mixture.moments()
    torch.testing.assert_close(mass @ points, mean, rtol=0, atol=1e-9)
    centred = points - mean
    torch.testing.assert_close((mass[:, None] * centred).T @ centred, cov, rtol=1e-8, atol=1e-9)
    entropy, error = mixture.entropy(torch.Generator().manual_seed(0))
    assert abs(entropy + (mass @ log).item()) < 4 * error


@pytest.mark.parametrize(("alpha", "sigma"), LEVELS[:4])
def test_draws_have_the_mean_and_the_covariance(mixture, alpha, sigma):
    x, source = mixture.sample(200_000, torch.Generator().manual_seed(1), alpha, sigma)
    mean, cov = mixture.moments()
    expected = alpha**2 * cov + sigma**2 * torch.eye(2)
    torch.testing.assert_close(x.T.cov(), expected, rtol=0.02, atol=0.005)
    torch.testing.assert_close(x.mean(0), alpha * mean, rtol=0, atol=0.01)
    shares = torch.bincount(source).double() / len(source)
    torch.testing.assert_close(shares, mixture.shares, rtol=0, atol=0.005)


def test_circles_are_ellipses_of_equal_axes(mixture):
    anchors = mixture.anchors
    circles = GaussianMixture(anchors, 0.5, mixture.weights)
    extra = (0.09 * torch.eye(2, dtype=torch.float64)).expand(3, 2, 2)
    same = GaussianMixture(anchors, 0.4, mixture.weights, extra)
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for method in ("log_prob", "score", "denoise"):
        found = [getattr(m, method)(x, 0.7, 0.3) for m in (circles, same)]
        torch.testing.assert_close(*found)
    for one, other in zip(circles.nearest(x), same.nearest(x), strict=True):
        torch.testing.assert_close(one, other)


def test_distances_are_in_an_ellipses_own_deviations(mixture):
    along = torch.tensor([math.cos(0.4), math.sin(0.4)], dtype=torch.float64)
    across = torch.tensor([-math.sin(0.4), math.cos(0.4)], dtype=torch.float64)
    x = mixture.anchors[0] + torch.stack((-(0.34**0.5) * along, 0.2 * across))
    index, distance = mixture.nearest(x)
    assert index.tolist() == [0, 0]
    torch.testing.assert_close(distance, torch.ones(2, dtype=torch.float64))


def test_blocks_make_no_difference(mixture, monkeypatch):
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole = mixture.denoise(x, 0.7, 0.3), mixture.nearest(x)[1]
    monkeypatch.setattr(ellipses, "_BLOCK", 20)
    torch.testing.assert_close(mixture.denoise(x, 0.7, 0.3), whole[0])
    torch.testing.assert_close(mixture.nearest(x)[1], whole[1])


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(2, 2, 2),
        torch.tensor([[[1.0, 2.0], [0.0, 1.0]]] * 3),
        -torch.eye(2).repeat(3, 1, 1),
    ],
)
def test_what_is_no_covariance_is_refused(mixture, wrong):
    with pytest.raises(PointillistError, match="3 anchors has as many covariances"):
        GaussianMixture(mixture.anchors, 0.1, None, wrong)
