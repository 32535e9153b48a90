"""Presets are what they are named for: losses, chains and networks, against plain loops."""

import math

import pytest
import torch

from benchmarks import learning
from pointillist.diffusion import chains, objectives
from pointillist.diffusion.batches import Batches
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.schedules import make_path, noisiest

DDPM = ["tiny_tiny_diffusion", "tiny_diffusion", "ddpm"]
BETAS = {
    # Ho et al. 2020, section 4: T = 1000, beta from 1e-4 to 0.02.
    "ddpm": (1000, 1e-4, 0.02),
    "ddim": (1000, 1e-4, 0.02),
    # ddpm.py of tiny-diffusion and schedule.py of tiny-tiny-diffusion.
    "tiny_diffusion": (50, 1e-4, 0.02),
    "tiny_tiny_diffusion": (50, 1e-5, 0.01),
}


@pytest.fixture
def preset(request, ring):
    """Parameters from conf/, a truth, and the network before its training."""
    parameters = learning.read_parameters(request.param, {})
    density = GaussianMixture(ring.anchors, parameters.data.bandwidth)
    return parameters, density, learning.untrained(parameters, density, 0)


def batches_of(preset, generator):
    parameters, density, denoiser = preset
    return Batches(denoiser, density.to("cpu", torch.float32), parameters.training, generator)


def clean_target(batch):
    """What the target of the output says x_0 is."""
    c = batch.coefficients
    return c.c_skip[:, None] * batch.x + c.c_out[:, None] * batch.target


def bar_alphas(schedule):
    """Ho et al. 2020, eq. 4, over linear betas."""
    beta = torch.linspace(
        schedule.beta_start, schedule.beta_end, schedule.timesteps, dtype=torch.float64
    )
    return torch.cumprod(1 - beta, 0), beta


@pytest.mark.parametrize("name", BETAS)
def test_paths_have_the_betas_of_their_papers(name):
    timesteps, first, last = BETAS[name]
    path = make_path(learning.read_parameters(name, {}).schedule)
    times = torch.arange(timesteps).double()
    bar = torch.cumprod(1 - torch.linspace(first, last, timesteps, dtype=torch.float64), 0)
    torch.testing.assert_close(path.alpha(times).double(), bar.sqrt(), rtol=1e-4, atol=0)
    torch.testing.assert_close(path.sigma(times).double(), (1 - bar).sqrt(), rtol=1e-4, atol=0)
    assert noisiest(path).alpha == pytest.approx(bar[-1].sqrt().item(), rel=1e-4)


@pytest.mark.parametrize(
    "preset", [*BETAS, "flow_matching"], indirect=True, ids=[*BETAS, "flow_matching"]
)
def test_targets_are_the_points_that_were_noised(preset):
    """Denoising score matching (Vincent 2011): (x_t - alpha x_0) / sigma is standard normal."""
    parameters, density, denoiser = preset
    generator = torch.Generator().manual_seed(0)
    batches = batches_of(preset, generator)
    noises = []
    for _ in range(200):
        batch = next(batches)
        alpha, sigma = denoiser.path.alpha(batch.t), denoiser.path.sigma(batch.t)
        noises.append((batch.x - alpha[:, None] * clean_target(batch)) / sigma[:, None])
    noise = torch.cat(noises)
    error = 5 / len(noise) ** 0.5
    torch.testing.assert_close(noise.mean(0), torch.zeros(2), rtol=0, atol=error)
    torch.testing.assert_close(noise.T.cov(), torch.eye(2), rtol=0, atol=2**0.5 * error)


@pytest.mark.parametrize("preset", ["ddpm", "ddim", "flow_matching"], indirect=True)
def test_times_are_drawn_by_chance(preset):
    """How many of a batch lie in the first half of the times varies as with tosses of a coin."""
    path = preset[2].path
    batches = batches_of(preset, torch.Generator().manual_seed(0))
    half = path.quantile(torch.tensor(0.5)).item()
    early = torch.tensor([float((next(batches).t < half).sum()) for _ in range(400)])
    size = len(next(batches).t)
    # The standard error of a variance over 400 is 7 %.
    assert early.var().item() == pytest.approx(size / 4, rel=0.3)


@pytest.mark.parametrize("preset", [*BETAS, "flow_matching"], indirect=True)
def test_the_network_is_told_of_points_not_of_anchors(preset):
    """With no bandwidth, the noise around an anchor is the path's own (Karras et al. 2022, table 1)."""
    denoiser = preset[2]
    t = denoiser.path.quantile(torch.linspace(0, 1, 20))
    sigma = denoiser.path.sigma(t)
    assert torch.equal(denoiser.coefficients(denoiser.path.alpha(t), sigma).tau, sigma)


@pytest.mark.parametrize("preset", [*DDPM, "ddim"], indirect=True)
def test_the_loss_is_l_simple(preset):
    """Ho et al. 2020, eq. 14: the mean of |eps - eps_theta(x_t, t)|^2 over even t."""
    parameters, density, denoiser = preset
    generator = torch.Generator().manual_seed(0)
    batches = batches_of(preset, generator)
    times = []
    for _ in range(200):
        batch = next(batches)
        bar = bar_alphas(parameters.schedule)[0][batch.t.long()][:, None].float()
        eps = (batch.x - bar.sqrt() * clean_target(batch)) / (1 - bar).sqrt()
        told = (batch.x - bar.sqrt() * denoiser(batch.x, batch.t)) / (1 - bar).sqrt()
        expected = (eps - told).square().mean()
        loss = objectives.loss(denoiser, batch)
        torch.testing.assert_close(loss, expected, rtol=2e-3, atol=0)
        times.append(batch.t)
    # Every timestep is as likely, from the first to the last.
    timesteps = torch.cat(times) / (parameters.schedule.timesteps - 1)
    assert timesteps.min() < 0.05
    assert timesteps.max() > 0.95
    assert timesteps.mean().item() == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("preset", DDPM, indirect=True)
def test_the_chain_is_algorithm_2(preset):
    """Ho et al. 2020: x_T ~ N(0, I), then the mean of eq. 7 (as eq. 11) and the variance tilde beta_t."""
    parameters, density, denoiser = preset
    bar, beta = bar_alphas(parameters.schedule)
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(20, 2, generator=generator)
    with torch.no_grad():
        for t in reversed(range(len(bar))):
            eps = (x - bar[t].sqrt() * denoiser(x, torch.tensor(float(t)))) / (1 - bar[t]).sqrt()
            mean = (x - beta[t] / (1 - bar[t]).sqrt() * eps) / (1 - beta[t]).sqrt()
            before = bar[t - 1] if t else torch.tensor(1.0).double()
            deviation = (beta[t] * (1 - before) / (1 - bar[t])).sqrt()
            x = (mean + deviation * torch.randn(20, 2, generator=generator)).float()
    sampling = parameters.sampling
    start = chains.start_distribution(density, denoiser.path, sampling.start)
    generator = torch.Generator().manual_seed(3)
    *_, last = chains.reverse_chain(denoiser, denoiser.path, start, sampling, 20, generator)
    assert last.step == parameters.schedule.timesteps
    torch.testing.assert_close(last.x, x, rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize("preset", ["ddim"], indirect=True)
def test_ddim_takes_even_timesteps_without_noise(preset):
    """Song, Meng & Ermon 2021, eq. 12 with sigma_t = 0, on 50 of the 1000 timesteps."""
    parameters, density, denoiser = preset
    bar, _ = bar_alphas(parameters.schedule)
    times = torch.linspace(999, 0, 50).round().long().tolist()
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        for t, s in zip(times, [*times[1:], None], strict=True):
            x0 = denoiser(x, torch.tensor(float(t)))
            eps = (x - bar[t].sqrt() * x0) / (1 - bar[t]).sqrt()
            left = bar[s] if s is not None else torch.tensor(1.0).double()
            x = (left.sqrt() * x0 + (1 - left).sqrt() * eps).float()
    start = chains.start_distribution(density, denoiser.path, parameters.sampling.start)
    generator = torch.Generator().manual_seed(3)
    *_, last = chains.reverse_chain(
        denoiser, denoiser.path, start, parameters.sampling, 20, generator
    )
    torch.testing.assert_close(last.x, x, rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize("preset", ["flow_matching"], indirect=True)
def test_flow_matching_regresses_on_the_flow_and_follows_it_in_even_steps(preset):
    """Lipman et al. 2023, eq. 23, with time reversed: x_t = (1 - t) x_0 + t eps, u = eps - x_0."""
    parameters, density, denoiser = preset
    generator = torch.Generator().manual_seed(0)
    batches = batches_of(preset, generator)
    batch = next(batches)
    t = batch.t[:, None]
    x0 = clean_target(batch)
    flow = (batch.x - (1 - t) * x0) / t - x0
    told = (batch.x - denoiser(batch.x, batch.t)) / t
    loss = objectives.loss(denoiser, batch)
    torch.testing.assert_close(loss, (flow - told).square().mean(), rtol=5e-3, atol=0)

    *levels, _ = chains.chain_levels(denoiser.path, parameters.sampling)
    times = torch.tensor([level.time for level in levels])
    torch.testing.assert_close(times.diff(), times.diff().mean().expand(len(times) - 1))
    start = chains.start_distribution(density, denoiser.path, parameters.sampling.start)
    generator = torch.Generator().manual_seed(3)
    first, *_, last = chains.reverse_chain(
        denoiser, denoiser.path, start, parameters.sampling, 20, generator
    )
    x = first.x
    with torch.no_grad():
        for t, s in zip(times.tolist(), [*times[1:].tolist(), 0.0], strict=True):
            x = x + (s - t) * (x - denoiser(x, torch.tensor(t))) / t
    torch.testing.assert_close(last.x, x, rtol=5e-3, atol=5e-3)


def sines(x, size, scale):
    """The originals' embedding of numbers (B,); cosines first, which only reorders the weights."""
    frequencies = torch.exp(-math.log(10_000) / (size - 1) * torch.arange(size))
    phases = scale * x[:, None] * frequencies
    return torch.cat((phases.cos(), phases.sin()), -1)


@pytest.mark.parametrize(
    "preset", ["tiny_tiny_diffusion", "tiny_diffusion"], indirect=True, ids=lambda name: name
)
def test_networks_of_the_originals_are_theirs(preset):
    """model.py of tiny-tiny-diffusion (one shared layer), ddpm.py of tiny-diffusion (residual blocks)."""
    _, _, denoiser = preset
    generator = torch.Generator().manual_seed(0)
    x, t = torch.randn(30, 2, generator=generator), torch.arange(30).float()
    gelu, weights = torch.nn.functional.gelu, list(denoiser.parameters())
    if len(weights) == 6:
        w1, b1, w2, b2, w3, b3 = weights
        h = gelu(torch.cat((x, t[:, None]), -1) @ w1.T + b1)
        for _ in range(2):
            h = gelu(h @ w2.T + b2)
        expected = h @ w3.T + b3
    else:
        h = torch.cat((sines(x[:, 0], 64, 25), sines(x[:, 1], 64, 25), sines(t, 64, 1)), -1)
        h = gelu(h @ weights[0].T + weights[1])
        for w, b in zip(weights[2:8:2], weights[3:8:2], strict=True):
            h = h + gelu(h @ w.T + b)
        expected = h @ weights[8].T + weights[9]
    torch.testing.assert_close(denoiser.predict(x, t), expected, rtol=1e-3, atol=1e-4)
