"""Cells in the place of anchors: against the mixture itself."""

import math

import pytest
import torch

from pointillist.diffusion import coarse
from pointillist.diffusion.chains import start_distribution
from pointillist.diffusion.coarse import CoarseMixture, tractable
from pointillist.diffusion.config import Schedule
from pointillist.diffusion.denoiser import exact_denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.likelihood import kl_bound, kl_ode
from pointillist.diffusion.schedules import make_path

N = 10_000


def crowd(kind: str) -> GaussianMixture:
    generator = torch.Generator().manual_seed(0)
    u = torch.rand(N, 2, generator=generator, dtype=torch.float64)
    weights = None
    if kind == "curve":
        angle = 12 * u[:, :1].sqrt()
        anchors = 2.4 * u[:, :1].sqrt() * torch.cat((angle.cos(), angle.sin()), -1)
    else:
        anchors = 4 * (u - 0.5)
    if kind == "weighted":
        weights = torch.logspace(-6, 0, N, dtype=torch.float64)
    return GaussianMixture(anchors, 0.01, weights)


@pytest.mark.parametrize("sigma", [0.002, 0.02, 0.1, 0.5, 3.0, 20.0])
@pytest.mark.parametrize("alpha", [1.0, 0.3])
@pytest.mark.parametrize("kind", ["area", "curve", "weighted"])
def test_it_says_what_the_mixture_says(kind, alpha, sigma):
    """The posterior mean to 1e-3 of the noise, where the truth puts x_t and far from it."""
    exact = crowd(kind)
    x, _ = exact.sample(300, torch.Generator().manual_seed(1), alpha, sigma)
    x[:20] *= 3
    rough = CoarseMixture(exact)
    error = rough.denoise(x, alpha, sigma) - exact.denoise(x, alpha, sigma)
    ratio = sigma / alpha
    assert (error[20:].square().sum(-1).mean().sqrt() / ratio).item() < 3e-3
    assert (error.norm(dim=-1).max() / ratio).item() < 0.15
    surprise = rough.log_prob(x, alpha, sigma) - exact.log_prob(x, alpha, sigma)
    assert surprise[20:].mean().abs().item() < 3e-3
    assert surprise[20:].abs().max().item() < 0.1


def test_anchors_far_apart_are_taken_one_by_one():
    anchors = torch.cartesian_prod(torch.arange(40.0), torch.arange(40.0)).double()
    exact = GaussianMixture(anchors, 0.05, torch.linspace(1, 9, 1600))
    x, _ = exact.sample(200, torch.Generator().manual_seed(0), 1.0, 0.4)
    rough = CoarseMixture(exact)
    torch.testing.assert_close(rough.denoise(x, 1.0, 0.4), exact.denoise(x, 1.0, 0.4))
    torch.testing.assert_close(rough.log_prob(x, 1.0, 0.4), exact.log_prob(x, 1.0, 0.4))


def test_few_anchors_are_left_as_they_are(ring):
    assert tractable(ring) is ring
    big = GaussianMixture(torch.zeros(coarse.FEW + 1, 2), 0.1)
    assert isinstance(tractable(big), CoarseMixture)


def test_bound_and_divergence_hardly_move(monkeypatch):
    """Against the exact truth, a denoiser that errs by 0.03 r in each coordinate."""
    exact, path = crowd("curve"), make_path(Schedule())
    oracle = exact_denoiser(exact.to("cpu", torch.float32), path)

    def measured() -> tuple[float, float]:
        start = start_distribution(exact, path, "moments")
        generator = torch.Generator().manual_seed(0)
        shared = {"density": exact, "path": path, "start": start, "generator": generator}
        bound = kl_bound(lambda x, t: oracle(x, t) + 0.03 * t.exp(), nodes=8, draws=48, **shared)
        return bound.nats, kl_ode(oracle, steps=8, draws=48, **shared).nats

    whole = measured()
    monkeypatch.setattr(coarse, "FEW", 100)
    rough = measured()
    assert rough[0] == pytest.approx(whole[0], rel=2e-2)
    assert rough[1] == pytest.approx(whole[1], abs=3e-3)
    assert math.isfinite(rough[1])
