"""The truth's closed forms, against brute force, quadrature and each other."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.fast import posterior as blocks
from pointillist.errors import PointillistError

LEVELS = [(1.0, 0.0), (1.0, 0.02), (0.8, 0.6), (1.0, 5.0), (0.05, 1.0)]


def queries(n: int = 200) -> torch.Tensor:
    return 1.5 * torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=["ring", "weighted"])
def mixture(request) -> GaussianMixture:
    return request.getfixturevalue(request.param)


def weights_of(mixture: GaussianMixture) -> torch.Tensor:
    if mixture.weights is None:
        return torch.full((len(mixture.anchors),), 1 / len(mixture.anchors)).double()
    return torch.arange(1.0, 12.0).double() / 66


@pytest.mark.parametrize(("alpha", "sigma"), LEVELS)
def test_log_prob_equals_torch_distributions(mixture, alpha, sigma):
    tau = math.hypot(alpha * mixture.bandwidth, sigma)
    reference = MixtureSameFamily(
        Categorical(weights_of(mixture)),
        Independent(Normal(alpha * mixture.anchors, tau), 1),
    )
    x = queries()
    torch.testing.assert_close(mixture.log_prob(x, alpha, sigma), reference.log_prob(x))


@pytest.mark.parametrize(("alpha", "sigma"), LEVELS)
def test_score_is_the_gradient_of_log_prob(mixture, alpha, sigma):
    x = queries().requires_grad_()
    (gradient,) = torch.autograd.grad(mixture.log_prob(x, alpha, sigma).sum(), x)
    torch.testing.assert_close(mixture.score(x.detach(), alpha, sigma), gradient)


@pytest.mark.parametrize(("alpha", "sigma"), LEVELS[1:])
def test_denoiser_obeys_tweedie(mixture, alpha, sigma):
    """Tweedie: alpha E[x0 | x] = x + sigma^2 score(x)."""
    x = queries()
    left = alpha * mixture.denoise(x, alpha, sigma)
    torch.testing.assert_close(left, x + sigma**2 * mixture.score(x, alpha, sigma))


@pytest.mark.parametrize(("alpha", "sigma"), LEVELS[1:])
def test_denoiser_equals_brute_force_bayes(mixture, alpha, sigma):
    """E[x0 | x] = sum over anchors of weight times the mean of the product of two Gaussians."""
    for x in queries(20):
        weights, means = [], []
        for share, anchor in zip(weights_of(mixture).tolist(), mixture.anchors, strict=True):
            variance = (alpha * mixture.bandwidth) ** 2 + sigma**2
            distance2 = (x - alpha * anchor).square().sum().item()
            weights.append(share * math.exp(-distance2 / (2 * variance)))
            gain = alpha * mixture.bandwidth**2 / variance
            means.append(anchor + gain * (x - alpha * anchor))
        if sum(weights) < 1e-200:
            continue
        expected = sum(w * m for w, m in zip(weights, means, strict=True)) / sum(weights)
        torch.testing.assert_close(mixture.denoise(x[None], alpha, sigma)[0], expected)


def test_density_integrates_to_one(ring):
    edge = torch.linspace(-6, 6, 1201, dtype=torch.float64)
    grid = torch.cartesian_prod(edge, edge)
    mass = ring.log_prob(grid, 1.0, 0.2).exp().sum() * (edge[1] - edge[0]) ** 2
    assert mass.item() == pytest.approx(1, abs=1e-9)


def test_moments_are_those_of_many_draws(mixture, generator):
    n = 200_000
    mean, covariance = mixture.moments()
    x, _ = mixture.sample(n, generator)
    # Five standard errors of a mean of unit-variance draws and of their products.
    torch.testing.assert_close(x.mean(0), mean, atol=5 / n**0.5, rtol=0)
    torch.testing.assert_close(torch.cov(x.T), covariance, atol=15 / n**0.5, rtol=0)


def test_draws_lie_around_their_own_anchor(mixture, generator):
    x, source = mixture.sample(50_000, generator)
    deviation = (x - mixture.anchors[source]).std(0)
    torch.testing.assert_close(deviation, torch.full((2,), 0.05).double(), rtol=0.02, atol=0)
    counts, expected = torch.bincount(source, minlength=11), 50_000 * weights_of(mixture)
    assert ((counts - expected).abs() < 5 * expected.sqrt()).all()


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


@pytest.mark.parametrize("anchors", [1, 4, 11])
def test_blocks_do_not_change_the_result(mixture, monkeypatch, anchors):
    """Neither blocks of queries nor of anchors; far out, where single kernels underflow, too."""
    x = torch.cat((queries(101), 300 * queries(5)))

    def values():
        return mixture.denoise(x, 1.0, 0.3), mixture.log_prob(x, 1.0, 0.3), mixture.score(x)

    whole = values()
    monkeypatch.setattr(blocks, "_CPU_BLOCK", 7 * anchors)
    monkeypatch.setattr(blocks, "_BLOCK_ANCHORS", anchors)
    torch.testing.assert_close(values(), whole)


def test_blocks_keep_the_gradient(weighted, monkeypatch):
    x = queries(20)
    score = weighted.score(x, 0.8, 0.6)
    monkeypatch.setattr(blocks, "_BLOCK_ANCHORS", 4)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(weighted.log_prob(x, 0.8, 0.6).sum(), x)
    torch.testing.assert_close(gradient, score)


_LARGE = """
import resource, torch
from pointillist.diffusion.density import GaussianMixture
generator = torch.Generator().manual_seed(0)
weights = torch.rand(1_000_000, generator=generator) + 0.1
mixture = GaussianMixture(torch.randn(1_000_000, 2, generator=generator), 0.01, weights)
x, _ = mixture.sample(100_000, generator)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
mixture.denoise(x[:64], 1.0, 0.1), mixture.log_prob(x[:64])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10)
"""


def test_a_million_anchors_take_little_memory():
    """A block of queries more or less is all that 100,000 of them need; whole, 64 take 256 MB."""
    megabytes = subprocess.run(
        [sys.executable, "-c", _LARGE], capture_output=True, text=True, check=True
    ).stdout
    assert float(megabytes) < 64


def test_equal_weights_are_the_default(ring):
    alike = GaussianMixture(ring.anchors, ring.bandwidth, torch.full((11,), 3.0))
    x = queries()
    torch.testing.assert_close(alike.log_prob(x, 0.8, 0.6), ring.log_prob(x, 0.8, 0.6))
    torch.testing.assert_close(alike.denoise(x, 0.8, 0.6), ring.denoise(x, 0.8, 0.6))
    torch.testing.assert_close(alike.moments(), ring.moments())
    u = torch.rand(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(alike.anchor_at(u), ring.anchor_at(u))


@pytest.mark.parametrize(
    "bad", [[1.0, 2.0], [1.0, 0.0, 2.0], [1.0, -1.0, 2.0], [1.0, math.nan, 1.0]]
)
def test_impossible_weights_are_refused(bad):
    with pytest.raises(PointillistError, match="3 anchors needs as many weights, all positive"):
        GaussianMixture(torch.zeros(3, 2), 0.1, torch.tensor(bad))


@pytest.mark.parametrize(
    "bad",
    [torch.zeros(0, 2), torch.zeros(4, 3), torch.zeros(4), torch.zeros(4, 2, dtype=torch.long)],
)
def test_impossible_anchors_are_refused(bad):
    with pytest.raises(PointillistError, match=r"are \(N, 2\) numbers with a fraction, not"):
        GaussianMixture(bad, 0.1)


def test_huge_weights_are_weights():
    heavy = GaussianMixture(torch.zeros(4, 2), 0.1, torch.full((4,), 3e38))
    torch.testing.assert_close(heavy.shares, torch.full((4,), 0.25))


@pytest.mark.parametrize("bad", [-0.1, math.inf, math.nan])
def test_impossible_bandwidths_are_refused(bad):
    with pytest.raises(PointillistError, match="at least 0, not"):
        GaussianMixture(torch.zeros(3, 2), bad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniform_numbers_reach_anchors_in_proportion_to_their_weights(mixture, dtype):
    """Of a grid of n numbers, anchor i gets n pi_i, up to one at either end of its interval."""
    n = 66_000
    u = (torch.arange(n, dtype=torch.float64) / n).to(dtype)
    counts = torch.bincount(mixture.anchor_at(u), minlength=11)
    assert (counts - n * weights_of(mixture)).abs().max() <= 2
    assert mixture.anchor_at(torch.tensor([0.0, 1.0], dtype=dtype)).tolist() == [0, 10]


def test_weights_travel_to_another_precision(weighted):
    x = queries()
    single = weighted.to("cpu", torch.float32)
    assert single.log_prob(x.float()).dtype == torch.float32
    torch.testing.assert_close(
        single.log_prob(x.float(), 1.0, 0.5).double(),
        weighted.log_prob(x, 1.0, 0.5),
        atol=1e-5,
        rtol=0,
    )


@pytest.mark.parametrize(("alpha", "sigma"), [(1.0, 0.3), (0.8, 0.6)])
def test_entropy_equals_quadrature(mixture, generator, alpha, sigma):
    edge = torch.linspace(-6, 6, 401, dtype=torch.float64)
    log_p = mixture.log_prob(torch.cartesian_prod(edge, edge), alpha, sigma)
    exact = -(log_p.exp() * log_p).sum().item() * (edge[1] - edge[0]).item() ** 2
    nats, error = mixture.entropy(generator, alpha, sigma, n=20_000)
    assert abs(nats - exact) < 4 * error
    assert error < 0.01


def test_entropy_of_one_gaussian_is_in_closed_form(generator):
    nats, error = GaussianMixture(torch.zeros(1, 2).double(), 0.3).entropy(generator, 1.0, 0.4)
    # -log p is its mean plus a chi-squared of two degrees over two, less 1, of variance 1.
    assert error == pytest.approx(100_000**-0.5, rel=0.02)
    assert abs(nats - math.log(2 * math.pi * math.e * 0.25)) < 4 * error


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


def test_noisy_draws_have_the_moments_of_the_noisy_mixture(ring):
    alpha, sigma = 0.6, 0.4
    x, source = ring.sample(200_000, torch.Generator().manual_seed(0), alpha, sigma)
    mean, covariance = ring.moments()
    expected = alpha**2 * covariance + sigma**2 * torch.eye(2).double()
    torch.testing.assert_close(x.mean(0), alpha * mean, atol=0.01, rtol=0)
    torch.testing.assert_close(torch.cov(x.T), expected, atol=0.01, rtol=0)
    tau = math.hypot(alpha * ring.bandwidth, sigma)
    spread = (x - alpha * ring.anchors[source]).square().mean().sqrt().item()
    assert spread == pytest.approx(tau, rel=0.01)


def test_spacing_of_many_anchors_is_that_of_all_pairs(generator):
    anchors = torch.randn(17_000, 2, generator=generator).double()
    near = torch.cdist(anchors[::17], anchors).topk(2, largest=False).values[:, 1].median()
    assert GaussianMixture(anchors, 0.01).spacing(1000) == pytest.approx(near.item(), rel=0.1)
