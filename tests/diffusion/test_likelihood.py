"""The certified error: zero for the truth itself, and what theory says for a known mistake."""

import math

import pytest
import torch

from pointillist.diffusion.denoiser import exact_denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.likelihood import kl_bound
from pointillist.diffusion.samplers import start_distribution
from pointillist.diffusion.schedules import make_path
from pointillist.parameters import Schedule


def bound(denoise, density, path, start="moments", **options):
    options = {"nodes": 64, "draws": 2000, **options}
    generator = torch.Generator().manual_seed(0)
    begin = start_distribution(density, path, start)
    return kl_bound(denoise, density, path, begin, generator=generator, **options)


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
