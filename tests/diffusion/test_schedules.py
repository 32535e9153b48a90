"""Noise schedules against diffusers', and the promises every path keeps."""

import math

import pytest
import torch

from pointillist.diffusion.config import Schedule
from pointillist.diffusion.schedules import (
    CLEAN,
    DiscretePath,
    level_at,
    make_path,
    noise_levels,
    noisiest,
)

diffusers = pytest.importorskip("diffusers")

KINDS = ["log_uniform", "linear", "quadratic", "cosine", "sigmoid", "rectified_flow"]


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [
        ("linear", "linear"),
        ("quadratic", "scaled_linear"),
        ("cosine", "squaredcos_cap_v2"),
        ("sigmoid", "sigmoid"),
    ],
)
@pytest.mark.parametrize("timesteps", [50, 1000])
def test_discrete_schedules_equal_diffusers(kind, theirs, timesteps):
    ours = make_path(Schedule(kind=kind, timesteps=timesteps, beta_start=1e-4, beta_end=0.02))
    reference = diffusers.DDPMScheduler(
        num_train_timesteps=timesteps, beta_schedule=theirs, beta_start=1e-4, beta_end=0.02
    )
    expected = reference.alphas_cumprod.double()
    # The reference multiplies T single-precision factors.
    torch.testing.assert_close(ours.alphas_cumprod, expected, rtol=2e-4, atol=1e-9)


def test_noise_levels_equal_karras():
    schedule = Schedule(sigma_min=0.002, sigma_max=80.0)
    reference = diffusers.EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, rho=7.0)
    reference.set_timesteps(18)
    ours = [lvl.sigma for lvl in noise_levels(make_path(schedule), 18, rho=7.0)]
    torch.testing.assert_close(torch.tensor(ours), reference.sigmas.float(), rtol=1e-5, atol=1e-7)


def test_rectified_flow_levels_equal_diffusers():
    path = make_path(Schedule(kind="rectified_flow", sigma_min=0.001, sigma_max=999.0))
    reference = diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000)
    reference.set_timesteps(25)
    ours = noise_levels(path, 25)
    torch.testing.assert_close(
        torch.tensor([lvl.sigma for lvl in ours]), reference.sigmas.float(), rtol=0, atol=1.1e-3
    )
    assert all(lvl.alpha + lvl.sigma == pytest.approx(1) for lvl in ours)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_rises_with_time(kind):
    path = make_path(Schedule(kind=kind))
    t = path.quantile(torch.linspace(0, 1, 500, dtype=torch.float64)).unique()
    ratio = path.sigma(t) / path.alpha(t)
    assert (ratio.diff() > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_time_inverts_the_noise_ratio(kind):
    path = make_path(Schedule(kind=kind))
    t = path.quantile(torch.linspace(0, 1, 97, dtype=torch.float64))
    torch.testing.assert_close(path.time(path.sigma(t) / path.alpha(t)), t)


@pytest.mark.parametrize("kind", ["linear", "quadratic", "cosine", "sigmoid"])
def test_discrete_paths_preserve_variance(kind):
    path = make_path(Schedule(kind=kind))
    t = torch.arange(1000).double()
    torch.testing.assert_close(path.alpha(t) ** 2 + path.sigma(t) ** 2, torch.ones(1000).double())


@pytest.mark.parametrize("kind", KINDS)
def test_default_schedules_end_in_noise(kind):
    """Almost no signal is left where the chain starts (Lin et al. 2024, on terminal SNR)."""
    assert noisiest(make_path(Schedule(kind=kind))).noise_ratio >= 7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rho", [None, 7.0])
@pytest.mark.parametrize("steps", [1, 2, 18])
def test_chains_fall_from_the_noisiest_level_to_clean(kind, rho, steps):
    path = make_path(Schedule(kind=kind))
    chain = noise_levels(path, steps, rho)
    ratios = [lvl.noise_ratio for lvl in chain]
    assert ratios == sorted(ratios, reverse=True)
    assert len(set(ratios)) == len(ratios) <= steps + 1
    assert chain[0].noise_ratio == pytest.approx(noisiest(path).noise_ratio)
    assert chain[-1] == CLEAN


def test_discrete_chain_of_T_steps_visits_every_step():
    chain = noise_levels(make_path(Schedule(kind="linear", timesteps=50)), 50)
    assert [lvl.time for lvl in chain] == [*range(49, -1, -1), None]


def test_discrete_path_finds_the_nearest_step():
    path = make_path(Schedule(kind="linear", timesteps=50))
    assert isinstance(path, DiscretePath)
    between = math.sqrt(level_at(path, 20).noise_ratio * level_at(path, 21).noise_ratio)
    assert path.time(torch.tensor([between * 0.999, between * 1.001])).tolist() == [20, 21]


@pytest.mark.parametrize("kind", ["log_uniform", "rectified_flow", "cosine"])
@pytest.mark.parametrize("rho", [None, 7.0])
def test_levels_stay_between_the_ratios_asked_for(kind, rho):
    path = make_path(Schedule(kind=kind))
    *noisy, clean = noise_levels(path, 9, rho, sigma_max=3.0, sigma_min=0.05)
    ratios = [level.noise_ratio for level in noisy]
    # A discrete path has its nearest level.
    tolerance = 0.02 if kind == "cosine" else 1e-9
    assert ratios[0] == pytest.approx(3.0, rel=tolerance)
    assert ratios[-1] == pytest.approx(0.05, rel=tolerance)
    assert ratios == sorted(ratios, reverse=True)
    assert clean.time is None


@pytest.mark.parametrize("kind", ["log_uniform", "rectified_flow", "linear"])
def test_a_path_ends_where_it_ends_whatever_is_asked_for(kind):
    path = make_path(Schedule(kind=kind))
    assert noise_levels(path, 9, 7.0, sigma_max=1e4, sigma_min=1e-5) == noise_levels(path, 9, 7.0)
