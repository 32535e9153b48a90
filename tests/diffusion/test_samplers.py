"""Every solver against diffusers' on the same inputs, and its order of convergence."""

import math
from itertools import pairwise

import pytest
import torch

from pointillist.diffusion import chains, samplers
from pointillist.diffusion.config import Sampling, Schedule
from pointillist.diffusion.denoiser import exact_denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.schedules import make_path, noise_levels

diffusers = pytest.importorskip("diffusers")

VP = Schedule(kind="linear", timesteps=40, beta_start=0.002, beta_end=0.3)
SAMPLERS = list(samplers.SAMPLERS)


def start(n: int = 64, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return scale * torch.randn(n, 2, dtype=torch.float64, generator=generator)


def run(name, denoise, path, x, levels, seed=0, eta=0.0):
    generator = torch.Generator().manual_seed(seed)
    options = {"eta": eta} if name == "ddim" else {}
    return list(samplers.SAMPLERS[name].walk(denoise, x, levels, generator, **options))


def vp_scheduler(cls, **options):
    return cls(
        num_train_timesteps=VP.timesteps,
        beta_schedule="linear",
        beta_start=VP.beta_start,
        beta_end=VP.beta_end,
        **options,
    )


@pytest.mark.parametrize("eta", [None, 0.0, 0.5, 1.0])
def test_ddpm_and_ddim_equal_diffusers_step_by_step(ring, eta):
    path = make_path(VP)
    denoise, levels, x = exact_denoiser(ring, path), noise_levels(path, VP.timesteps), start()
    if eta is None:
        reference = vp_scheduler(
            diffusers.DDPMScheduler, clip_sample=False, prediction_type="sample"
        )
        options, ours = {}, run("ddpm", denoise, path, x, levels)
    else:
        reference = vp_scheduler(
            diffusers.DDIMScheduler, clip_sample=False, prediction_type="sample"
        )
        options, ours = {"eta": eta}, run("ddim", denoise, path, x, levels, eta=eta)
    reference.set_timesteps(VP.timesteps)
    generator, theirs = torch.Generator().manual_seed(0), x
    for now, point in zip(levels, ours, strict=False):
        x0 = denoise(theirs, torch.tensor(float(now.time)).double())
        theirs = reference.step(
            x0, int(now.time), theirs, generator=generator, **options
        ).prev_sample
        torch.testing.assert_close(point, theirs, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize(
    ("name", "cls"), [("euler", "EulerDiscreteScheduler"), ("heun", "HeunDiscreteScheduler")]
)
def test_euler_and_heun_equal_diffusers_step_by_step(ring, name, cls):
    """diffusers walks in x / alpha; the slope it takes as the model's eps is (y - D) / sigma."""
    path = make_path(VP)
    denoise, levels, x = exact_denoiser(ring, path), noise_levels(path, VP.timesteps), start()
    ours = run(name, denoise, path, x, levels)
    reference = vp_scheduler(getattr(diffusers, cls))
    reference.set_timesteps(VP.timesteps)
    y = x / levels[0].alpha
    finished = []
    for timestep, sigma in zip(reference.timesteps, reference.sigmas, strict=False):
        now = min(levels[:-1], key=lambda lvl: abs(lvl.noise_ratio - sigma.item()))
        if name == "heun" and reference.state_in_first_order:
            finished.append(y)
        x0 = denoise(now.alpha * y, torch.tensor(float(now.time)).double())
        y = reference.step((y - x0) / now.noise_ratio, timestep, y).prev_sample
        if name == "euler":
            finished.append(y)
    if name == "heun":
        finished = [*finished[1:], y]
    for then, point, theirs in zip(levels[1:], ours, finished, strict=True):
        torch.testing.assert_close(point / then.alpha, theirs.double(), rtol=5e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("dpmpp_2m", "dpmsolver++"), ("dpmpp_2m_sde", "sde-dpmsolver++")],
)
def test_dpm_solver_equals_diffusers_step_by_step(ring, name, algorithm):
    path = make_path(VP)
    denoise, levels, x = exact_denoiser(ring, path), noise_levels(path, VP.timesteps), start()
    ours = run(name, denoise, path, x, levels)
    reference = vp_scheduler(
        diffusers.DPMSolverMultistepScheduler,
        algorithm_type=algorithm,
        solver_order=2,
        solver_type="midpoint",
        prediction_type="sample",
        final_sigmas_type="zero",
        euler_at_final=True,
        timestep_spacing="trailing",
    )
    reference.set_timesteps(VP.timesteps)
    generator, theirs = torch.Generator().manual_seed(0), x
    for timestep, point in zip(reference.timesteps, ours, strict=True):
        x0 = denoise(theirs, timestep.double())
        noise = torch.randn(x.shape, dtype=x.dtype, generator=generator)
        theirs = reference.step(x0, timestep, theirs, variance_noise=noise).prev_sample
        torch.testing.assert_close(point, theirs.double(), rtol=2e-3, atol=2e-4)


def test_sde_equals_diffusers_step_by_step(ring):
    steps = 30
    reference = diffusers.ScoreSdeVeScheduler(
        num_train_timesteps=steps, sigma_min=0.05, sigma_max=10.0
    )
    reference.set_sigmas(steps, sigma_min=0.05, sigma_max=10.0)
    reference.set_timesteps(steps)
    path = make_path(Schedule(sigma_min=0.05, sigma_max=10.0))
    denoise, levels, x = exact_denoiser(ring, path), noise_levels(path, steps), start(scale=10.0)
    ours = run("sde", denoise, path, x, levels)
    generator, theirs = torch.Generator().manual_seed(0), x
    for now, timestep, point in zip(levels[:-2], reference.timesteps, ours, strict=False):
        x0 = denoise(theirs, torch.tensor(now.time).double())
        score = (x0 - theirs) / now.sigma**2
        theirs = reference.step_pred(score, timestep, theirs, generator=generator).prev_sample
        torch.testing.assert_close(point, theirs.double(), rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["log_uniform", "linear", "rectified_flow"])
def test_euler_in_x_over_alpha_is_ddim_without_noise(ring, kind):
    path = make_path(Schedule(kind=kind))
    denoise, levels = exact_denoiser(ring, path), noise_levels(path, 12, 7.0)
    x = start(scale=levels[0].sigma)
    torch.testing.assert_close(
        run("euler", denoise, path, x, levels)[-1], run("ddim", denoise, path, x, levels)[-1]
    )


def test_ancestral_sampling_is_ddim_with_eta_one(ring):
    path = make_path(VP)
    denoise, levels, x = exact_denoiser(ring, path), noise_levels(path, 20), start()
    torch.testing.assert_close(
        run("ddpm", denoise, path, x, levels)[-1],
        run("ddim", denoise, path, x, levels, eta=1.0)[-1],
    )


WIDE = GaussianMixture(torch.tensor([[-1.0, 0.2], [0.4, 1.0], [0.6, -1.2]]).double(), 0.5)


@pytest.mark.parametrize(("name", "order"), [("ddpm", 1), ("sde", 1), ("dpmpp_2m_sde", 2)])
@pytest.mark.parametrize("kind", ["log_uniform", "rectified_flow"])
def test_solvers_of_the_sde_converge_weakly_at_their_order(name, order, kind, monkeypatch):
    """On one Gaussian a chain is linear in its start and in each noise: its variance is exact.

    Row k of the batch is moved by the k-th noise alone, row 0 by the start; their squares add up.
    """
    path, deviation = make_path(Schedule(kind=kind, sigma_min=0.05, sigma_max=10.0)), 0.5

    def denoise(x, t):
        alpha, variance = path.alpha(t), path.alpha(t) ** 2 * deviation**2 + path.sigma(t) ** 2
        return alpha * deviation**2 / variance * x

    def variance_error(steps):
        levels = noise_levels(path, steps + 1, 7.0)
        rows = iter(range(1, steps + 2))

        def one_row(x, generator):
            noise = torch.zeros_like(x)
            noise[next(rows)] = 1
            return noise

        monkeypatch.setattr(samplers, "_noise_like", one_row)
        first, last = levels[0], levels[-2]
        x = torch.zeros(steps + 2, 1, dtype=torch.float64)
        x[0] = math.hypot(first.alpha * deviation, first.sigma)
        found = run(name, denoise, path, x, levels)[-2].square().sum().item()
        return abs(found / ((last.alpha * deviation) ** 2 + last.sigma**2) - 1)

    errors = [variance_error(n) for n in (40, 80, 160)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert orders[-1] == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize(
    ("name", "order"), [("euler", 1), ("ddim", 1), ("heun", 2), ("dpmpp_2m", 2)]
)
@pytest.mark.parametrize("kind", ["log_uniform", "rectified_flow"])
def test_solvers_of_the_flow_converge_at_their_order(name, order, kind):
    """Halving the step divides the error by 2^order: with the exact denoiser, against a fine chain.

    The last step, to clean points, leaves nothing to refine; the error is taken before it.
    """
    path = make_path(Schedule(kind=kind, sigma_min=0.05, sigma_max=10.0))
    denoise = exact_denoiser(WIDE, path)

    def end(solver, steps):
        levels = noise_levels(path, steps + 1, 7.0)
        x = start(50) * math.hypot(levels[0].sigma, levels[0].alpha)
        return run(solver, denoise, path, x, levels)[-2]

    truth = end("heun", 1280)
    errors = [(end(name, n) - truth).square().mean().sqrt().item() for n in (40, 80, 160)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert orders[-1] == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("kind", ["log_uniform", "cosine", "rectified_flow"])
def test_oracle_chains_reach_the_truth(ring, name, kind):
    """With the exact denoiser only the solver's own error is left: the moments agree."""
    path = make_path(Schedule(kind=kind))
    sampling = Sampling(sampler=name, steps=200)
    begin = chains.start_distribution(ring, path, "moments")
    density = ring.to("cpu", torch.float32)
    generator = torch.Generator().manual_seed(0)
    *_, last = chains.reverse_chain(
        exact_denoiser(density, path), path, begin, sampling, 20_000, generator
    )
    mean, covariance = density.moments()
    torch.testing.assert_close(last.x.mean(0), mean, atol=0.05, rtol=0)
    torch.testing.assert_close(torch.cov(last.x.T), covariance, atol=0.08, rtol=0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_same_seed_same_points_to_the_bit(ring, name):
    path = make_path(Schedule())
    density = ring.to("cpu", torch.float32)
    sampling = Sampling(sampler=name, steps=10, n_samples=300, chunk_size=128)
    begin = chains.start_distribution(ring, path, "moments")

    def draw(seed):
        recorder = chains.Recorder(4, 10)
        generator = torch.Generator().manual_seed(seed)
        for state in chains.sample(exact_denoiser(density, path), path, begin, sampling, generator):
            recorder.add(state)
        return recorder

    first, again, other = draw(1), draw(1), draw(2)
    assert torch.equal(first.samples(), again.samples())
    assert torch.equal(first.chain().x, again.chain().x)
    assert not torch.equal(first.samples(), other.samples())


@pytest.mark.parametrize(("name", "calls"), [("heun", 2 * 9 - 1), ("euler", 9), ("dpmpp_2m", 9)])
def test_solvers_call_the_denoiser_as_often_as_published(ring, name, calls):
    path = make_path(Schedule())
    exact, count = exact_denoiser(ring, path), 0

    def counted(x, t):
        nonlocal count
        count += 1
        return exact(x, t)

    run(name, counted, path, start(4), noise_levels(path, 9, 7.0))
    assert count == calls
