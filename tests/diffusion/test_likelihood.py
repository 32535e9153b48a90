"""The certified error: zero for the truth itself, and what theory says for a known mistake."""

import math

import pytest
import torch

from pointillist.diffusion.chains import start_distribution
from pointillist.diffusion.config import Network, Schedule
from pointillist.diffusion.denoiser import exact_denoiser, initialize
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.devices import reached_from_cpu
from pointillist.diffusion.likelihood import (
    Frame,
    kl_bound,
    kl_ode,
    ode_levels,
    ode_log_prob,
    risk_bound,
    risk_by_noise,
)
from pointillist.diffusion.schedules import LogUniformPath, level_at, make_path


def bound(denoise, density, path, start="moments", **options):
    options = {"nodes": 64, "draws": 2000, **options}
    generator = torch.Generator().manual_seed(0)
    begin = start_distribution(density, path, start)
    return kl_bound(denoise, density, path, begin, generator=generator, **options)


def ode(denoise, density, path, **options):
    options = {"steps": 128, "draws": 500, **options}
    generator = torch.Generator().manual_seed(0)
    begin = start_distribution(density, path, "moments")
    return kl_ode(denoise, density, path, begin, generator=generator, **options)


@pytest.mark.parametrize("kind", ["log_uniform", "linear", "cosine", "rectified_flow"])
def test_exact_denoiser_has_no_excess_risk(ring, kind):
    path = make_path(Schedule(kind=kind))
    result = bound(exact_denoiser(ring.to("cpu", torch.float32), path), ring, path)
    assert result.nats == pytest.approx(result.prior_nats, abs=1e-4)
    assert abs(result.nats) < 2e-3


def test_a_known_mistake_costs_what_the_formula_says(ring):
    """A denoiser wrong by c r in each coordinate has risk 2 c^2 r^2 at each noise ratio r."""
    path = make_path(Schedule())
    exact = exact_denoiser(ring.to("cpu", torch.float32), path)
    c = 0.05
    result = bound(lambda x, t: exact(x, t) + c * t.exp(), ring, path)
    expected = 2 * c**2 * math.log(20 / 0.002)
    assert result.nats - result.prior_nats == pytest.approx(expected, rel=1e-3)


def test_bound_is_the_true_divergence_where_theory_makes_it_tight():
    """Truth N(0, I), model the exact denoiser of N(0, s^2 I): its SDE is a diffusion run backwards.

    Then both path measures share their noising, and Girsanov's bound is the divergence itself.
    """
    truth = GaussianMixture(torch.zeros(1, 2).double(), 1.0)
    model = GaussianMixture(torch.zeros(1, 2), 0.8)
    path = make_path(Schedule(sigma_min=0.002, sigma_max=100.0))
    result = bound(exact_denoiser(model, path), truth, path, nodes=400, draws=4000)
    # The reverse SDE keeps a linear Gaussian: its variance obeys dv/d(r^2) = 2 v / (s^2 + r^2) - 1.
    ratio2 = torch.logspace(math.log10(100.0**2), math.log10(0.002**2), 200_001).double()
    v = ratio2[0] + 1.0
    for now, then in zip(ratio2[:-1:20].tolist(), ratio2[20::20].tolist(), strict=True):
        v = v + (then - now) * (2 * v / (0.64 + now) - 1)
    true = 1 + 0.002**2
    divergence = true / v - 1 - math.log(true / v)
    assert result.nats == pytest.approx(divergence.item(), rel=0.01)


def test_wrong_start_is_charged_to_the_prior(ring):
    """The originals' schedule keeps 0.778 of the signal's variance at its last step."""
    path = make_path(Schedule(kind="linear", timesteps=50, beta_start=1e-5, beta_end=0.01))
    exact = exact_denoiser(ring.to("cpu", torch.float32), path)
    right, wrong = bound(exact, ring, path), bound(exact, ring, path, start="standard_normal")
    assert wrong.prior_nats > right.prior_nats > 0.05


def test_standard_error_shrinks_with_the_root_of_the_draws(ring):
    path = make_path(Schedule())
    exact = exact_denoiser(ring.to("cpu", torch.float32), path)

    def noisy(x, t):
        return exact(x, t) + 0.1 * t.exp() * torch.sin(7 * x)

    few, many = (bound(noisy, ring, path, draws=n) for n in (500, 8000))
    assert few.standard_error / many.standard_error == pytest.approx(4, rel=0.25)
    assert abs(few.nats - many.nats) < 5 * few.standard_error


def rarely_wrong(denoise, rows):
    """Return a denoiser wrong by r / 2 per coordinate at about one point in fifty, and count its rows."""

    def wrong(x, t):
        rows.append(len(x))
        rare = (997 * x).frac().abs().sum(-1, keepdim=True) < 0.2
        return denoise(x, t) + 0.5 * t.exp() * rare

    return wrong


RARE_RISK = 2 * 0.5**2 * 0.02
"""What that adds per unit of log noise ratio: the sum of two uniform numbers is below 0.2 so often."""


def test_draws_of_the_bound_end_with_its_error_and_go_where_they_tell(ring):
    path, rows = make_path(Schedule()), []
    exact = exact_denoiser(ring.to("cpu", torch.float32), path)
    at_a_tenth = rarely_wrong(exact, rows)

    def wrong(x, t):
        return at_a_tenth(x, t) if 0.05 < t.exp() < 0.2 else exact(x, t)

    found = bound(wrong, ring, path, draws=20_000, error=0.03)
    assert found.standard_error <= 0.03 * found.nats
    within = (found.noise_ratios > 0.05) & (found.noise_ratios < 0.2)
    expected = RARE_RISK * math.log(20 / 0.002) / 63 * within.sum().item()
    assert found.nats == pytest.approx(expected, rel=0.12)
    # As many at every node would be 1 / 0.03^2 times 49, shared by the ten nodes, at all 64.
    even = 64 * 49 / 0.03**2 / within.sum().item()
    rows.clear()
    bound(lambda x, t: rows.append(len(x)) or wrong(x, t), ring, path, draws=20_000, error=0.03)
    assert sum(rows) < even / 2


def test_draws_that_end_by_their_own_error_have_no_bias(ring):
    """Rare great errors: a node that drew none yet must not be left alone for that."""
    path = LogUniformPath(0.1, 10.0)
    exact = exact_denoiser(ring.to("cpu", torch.float32), path)
    truth, wrong = ring.to("cpu", torch.float64), rarely_wrong(exact, [])
    options = {"nodes": 16, "draws": 5000, "error": 0.1}
    found = [
        risk_bound(wrong, truth, path, generator=torch.Generator().manual_seed(seed), **options)
        for seed in range(30)
    ]
    mean = sum(result.nats for result in found) / len(found)
    assert mean == pytest.approx(RARE_RISK * math.log(100), rel=4 * 0.1 / 30**0.5)


def test_no_node_has_more_draws_than_asked_for(ring):
    path, rows = make_path(Schedule()), []
    wrong = rarely_wrong(exact_denoiser(ring.to("cpu", torch.float32), path), rows)
    bound(wrong, ring, path, nodes=8, draws=100, error=1e-6)
    assert sum(rows) == 2 * 8 * 100  # those that only look ahead, and those that count


def test_draws_of_the_odes_divergence_end_with_its_error():
    truth = GaussianMixture(torch.zeros(1, 2).double(), 1.0)
    model = exact_denoiser(GaussianMixture(torch.zeros(1, 2), 0.9), make_path(Schedule()))
    loose = ode(model, truth, make_path(Schedule()), steps=16, draws=20_000, error=0.01)
    tight = ode(model, truth, make_path(Schedule()), steps=16, draws=20_000, error=0.004)
    assert 0.004 < loose.standard_error <= 0.01
    assert 0.0035 < tight.standard_error <= 0.004
    few = ode(model, truth, make_path(Schedule()), steps=16, draws=300, error=0.004)
    assert few.standard_error > tight.standard_error


def test_steps_of_the_ode_are_even_in_its_own_time(ring):
    frame = Frame.of(ring)
    levels = ode_levels(make_path(Schedule()), 40, frame)
    ratios = torch.tensor([level.noise_ratio for level in levels], dtype=torch.float64)
    assert ratios[[0, -1]].tolist() == pytest.approx([0.002, 20])
    steps = frame.time(ratios).diff()
    assert steps.min().item() == pytest.approx(steps.max().item(), rel=1e-3)
    logs = ratios.log().requires_grad_()
    (speed,) = torch.autograd.grad(frame.time(logs.exp()).sum(), logs)
    assert [frame.speed(level) for level in levels] == pytest.approx(speed.tolist())


def test_extreme_noise_costs_the_solver_no_precision(ring):
    path = make_path(Schedule(sigma_min=1e-5, sigma_max=1e4))
    result = ode(exact_denoiser(ring.to("cpu", torch.float32), path), ring, path)
    assert abs(result.nats) < 1e-3


def test_bins_and_prior_add_up_to_the_bound(ring):
    path = make_path(Schedule(kind="linear"))
    exact = exact_denoiser(ring.to("cpu", torch.float32), path)
    result = bound(lambda x, t: exact(x, t) + 0.1 * torch.sin(7 * x), ring, path)
    bins = risk_by_noise(result)
    assert sum(b.nats for b in bins) + result.prior_nats == pytest.approx(result.nats, rel=1e-12)
    assert [b.noise_ratio_high for b in bins[:-1]] == [b.noise_ratio_low for b in bins[1:]]
    assert bins[0].noise_ratio_low == pytest.approx(level_at(path, 0).noise_ratio)
    assert bins[-1].noise_ratio_high == pytest.approx(level_at(path, 999).noise_ratio)


def test_an_even_mistake_fills_every_bin_alike(ring):
    """Wrong by c r per coordinate: 2 c^2 nats per unit of log r, so each bin has its width of them."""
    path = make_path(Schedule())
    exact = exact_denoiser(ring.to("cpu", torch.float32), path)
    bins = risk_by_noise(bound(lambda x, t: exact(x, t) + 0.05 * t.exp(), ring, path))
    assert len(bins) == 16
    for b in bins:
        assert b.noise_ratio_high / b.noise_ratio_low == pytest.approx(1e4 ** (1 / 16))
        assert b.nats == pytest.approx(2 * 0.05**2 * math.log(1e4) / 16, rel=2e-3)


def test_a_mistake_at_one_noise_level_is_found_there(ring):
    path = make_path(Schedule())
    exact = exact_denoiser(ring.to("cpu", torch.float32), path)

    def wrong_at_a_tenth(x, t):
        return exact(x, t) + 0.05 * t.exp() * ((t.exp() > 0.09) & (t.exp() < 0.11))

    bins = risk_by_noise(bound(wrong_at_a_tenth, ring, path, nodes=400))
    worst = max(bins, key=lambda b: b.nats)
    assert worst.noise_ratio_low < 0.1 < worst.noise_ratio_high
    assert worst.nats > 0.7 * sum(b.nats for b in bins)


@pytest.mark.parametrize("kind", ["log_uniform", "rectified_flow"])
def test_exact_denoiser_has_the_density_of_the_truth(ring, kind):
    path = make_path(Schedule(kind=kind))
    result = ode(exact_denoiser(ring.to("cpu", torch.float32), path), ring, path)
    assert abs(result.nats) < 1e-3
    assert result.step_error < 2e-3


@pytest.mark.parametrize("kind", ["linear", "quadratic", "cosine", "sigmoid"])
def test_exact_denoiser_on_a_discrete_path_is_out_by_less_than_the_step_error(ring, kind):
    path = make_path(Schedule(kind=kind))
    result = ode(exact_denoiser(ring.to("cpu", torch.float32), path), ring, path)
    assert abs(result.nats) < min(0.01, result.step_error + 4 * result.standard_error)
    assert result.step_error < 0.03


def test_known_wrong_model_has_the_divergence_of_two_gaussians():
    """Truth N(0, I), model the exact denoiser of N(0, s^2 I), whose ODE only scales its start."""
    truth, model = (
        GaussianMixture(torch.zeros(1, 2).double(), 1.0),
        GaussianMixture(torch.zeros(1, 2), 0.8),
    )
    path = make_path(Schedule())
    result = ode(exact_denoiser(model, path), truth, path, draws=4000)
    variance = (1 + 20**2) * (0.64 + 0.002**2) / (0.64 + 20**2)
    ratio = (1 + 0.002**2) / variance
    assert abs(result.nats - (ratio - 1 - math.log(ratio))) < 4 * result.standard_error
    assert result.standard_error < 0.02
    assert result.step_error < 1e-4


@pytest.mark.parametrize("kind", ["log_uniform", "linear", "rectified_flow"])
def test_density_under_the_ode_of_a_gaussian_is_in_closed_form(kind):
    path = make_path(Schedule(kind=kind))
    model = GaussianMixture(torch.tensor([[0.3, -0.2]]), 0.5)
    first, *between, last = (
        level_at(path, t)
        for t in path.time(torch.logspace(-1, 0.6, 100).double()).unique().tolist()
    )
    spread, mean = 0.25 + last.noise_ratio**2, torch.tensor([0.3, -0.2]).double()
    start = (last.alpha * mean, last.alpha**2 * spread * torch.eye(2).double())
    y = torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    levels, wrong = [first, *between, last], Frame(torch.zeros(2).double(), 1.0, 0.1)
    found = ode_log_prob(exact_denoiser(model, path), y, levels, start, wrong)
    variance = (0.25 + first.noise_ratio**2) * torch.eye(2).double()
    expected = torch.distributions.MultivariateNormal(mean, variance).log_prob(y)
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)


def test_solver_of_the_density_converges_with_its_order(ring):
    """Halving the step divides the error by about 2^3: that of the first steps, of lower order, leads."""
    path = LogUniformPath(0.3, 20.0)
    wide = GaussianMixture(ring.anchors, 0.3)
    exact, start = exact_denoiser(wide, path), start_distribution(wide, path, "moments")
    y = wide.sample(100, torch.Generator().manual_seed(0))[0]

    def log_q(steps):
        times = torch.linspace(math.log(0.3), math.log(20), steps + 1).tolist()
        levels = [level_at(path, t) for t in times]
        return ode_log_prob(exact, y, levels, start, Frame(torch.zeros(2).double(), 1.0, 0.0))

    reference = log_q(400)
    errors = [(log_q(n) - reference).abs().mean().item() for n in (25, 50, 100)]
    assert errors[0] / errors[1] > 6
    assert errors[1] / errors[2] > 6


def test_network_that_diverges_has_no_finite_divergence(ring):
    path = make_path(Schedule())
    result = ode(lambda x, t: x * math.nan, ring, path, steps=8)
    assert math.isnan(result.nats)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_network_on_an_accelerator_is_measured_alike(ring):
    path = make_path(Schedule())
    network = initialize(Network(width=16, depth=1), path, seed=0).requires_grad_(False)
    here = bound(network, ring, path), ode(network, ring, path, draws=100)
    there = reached_from_cpu(network.to("cuda"), torch.device("cuda"))
    assert bound(there, ring, path).nats == pytest.approx(here[0].nats, rel=1e-3)
    assert ode(there, ring, path, draws=100).nats == pytest.approx(here[1].nats, rel=1e-2)
