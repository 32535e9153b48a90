"""A chain starts right, goes through the levels that were asked for, and keeps what it should."""

import logging
import warnings
import weakref

import numpy as np
import pytest
import torch

from pointillist.diffusion import chains
from pointillist.diffusion.config import Network, Sampling, Schedule
from pointillist.diffusion.denoiser import exact_denoiser, initialize
from pointillist.diffusion.samplers import SAMPLERS
from pointillist.diffusion.schedules import CLEAN, make_path, noise_levels


def test_recorder_keeps_both_ends_and_all_points(ring):
    path = make_path(Schedule())
    sampling = Sampling(steps=37, n_samples=250, chunk_size=100)
    begin = chains.start_distribution(ring, path, "moments")
    recorder = chains.Recorder(10, 37)
    steps = []
    for state in chains.sample(
        exact_denoiser(ring.to("cpu", torch.float32), path),
        path,
        begin,
        sampling,
        torch.Generator().manual_seed(0),
    ):
        recorder.add(state)
        steps.append(state.step)
    chain = recorder.chain()
    assert chain.x.shape == (10, 100, 2)
    assert chain.sigma[0] == pytest.approx(20)
    assert chain.sigma[-1] == 0
    assert recorder.samples().shape == (250, 2)
    assert torch.equal(chain.x[-1], recorder.samples()[:100])
    assert steps[-1] == chains.total_steps(path, sampling) == 3 * 37


def test_recorder_holds_no_more_states_than_it_shows():
    """A chain may have a hundred thousand steps; each state is as large as the chunk."""
    recorder, states = chains.Recorder(5, 1000), []
    for step in range(1001):
        x = torch.zeros(2, 2)
        states.append(weakref.ref(x))
        recorder.add(chains.ChainState(step, CLEAN._replace(time=1.0), x))
    del x
    assert [step for step, x in enumerate(states) if x() is not None] == [0, 250, 500, 750, 1000]


def test_few_steps_do_more_from_a_lower_start(ring):
    """With the right moments a start at 3 is as good as at 20, and each step is shorter."""
    path, density = make_path(Schedule()), ring.to("cpu", torch.float32)
    denoise, truth = exact_denoiser(density, path), ring.moments()[1].float()

    def error(sigma_max):
        sampling = Sampling(sampler="dpmpp_2m", steps=10, sigma_max=sigma_max)
        begin = chains.start_distribution(ring, path, "moments", sigma_max)
        generator = torch.Generator().manual_seed(0)
        *_, last = chains.reverse_chain(denoise, path, begin, sampling, 20_000, generator)
        return (torch.cov(last.x.T) - truth).abs().max().item()

    mean, covariance = chains.start_distribution(ring, path, "moments", 3.0)
    torch.testing.assert_close(covariance, ring.moments()[1] + 9 * torch.eye(2).double())
    assert error(3.0) < 0.5 * error(None)


def test_chain_starts_from_the_moments_of_the_path(ring):
    """At T = 50 of the originals' schedule much of the signal is left: N(0, I) would be wrong."""
    path = make_path(Schedule(kind="linear", timesteps=50, beta_start=1e-5, beta_end=0.01))
    mean, covariance = chains.start_distribution(ring, path, "moments")
    top = noise_levels(path, 50)[0]
    x0, _ = ring.sample(400_000, torch.Generator().manual_seed(0))
    eps = torch.from_numpy(np.random.default_rng(0).normal(size=x0.shape))
    x = top.alpha * x0 + top.sigma * eps
    torch.testing.assert_close(mean, x.mean(0), atol=0.01, rtol=0)
    torch.testing.assert_close(covariance, torch.cov(x.T), atol=0.01, rtol=0)
    assert top.alpha**2 == pytest.approx(0.778, abs=5e-4)


@pytest.mark.parametrize("name", SAMPLERS)
def test_on_a_discrete_path_the_classical_samplers_take_its_own_times(name):
    path = make_path(Schedule(kind="linear"))
    times = [level.time for level in chains.chain_levels(path, Sampling(sampler=name, steps=1000))]
    if name in ("ddpm", "ddim", "euler"):
        assert times == [*range(999, -1, -1), None]
    else:
        levels = noise_levels(path, 1000, rho=7.0)
        assert times == [level.time for level in levels]


@pytest.mark.parametrize(("rho", "left"), [(7.0, 765), (None, 1000)])
def test_merged_steps_are_said(caplog, rho, left):
    path = make_path(Schedule(kind="linear"))
    with caplog.at_level(logging.WARNING):
        chains.warn_of_surprises(path, Sampling(steps=1000, rho=rho))
    assert (f"{left} steps remain" in caplog.text) == (left < 1000)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", ["log_uniform", "linear"])
@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_within_a_chain_an_accelerator_is_not_waited_for(ring, sampler, kind):
    """However many steps there are, the waits are those of its start and its end."""
    denoiser = initialize(Network(width=16, depth=1), make_path(Schedule(kind=kind)), 0).cuda()
    denoiser.requires_grad_(False)

    def waits(steps):
        sampling = Sampling(n_samples=100, steps=steps, sampler=sampler)
        generator = torch.Generator("cuda").manual_seed(0)
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                chains.draw(denoiser, ring, sampling, generator)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return len(caught)

    waits(2)
    assert waits(24) == waits(6)
