r"""The reverse chain: one generator per published algorithm, behind one contract.

Each sampler takes ``(denoise, x, levels, generator)``: the posterior mean, points x (B, 2) at
``levels[0]``, the noise levels to visit and the randomness. It yields the points at each following
level; the last level is clean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from torch import Tensor

from pointillist.diffusion.config import Sampling
from pointillist.diffusion.denoiser import Denoise, Denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.schedules import DiscretePath, Level, Path, levels, noisiest

_RHO = 7.0
"""Of Karras et al. 2022, table 1."""

Steps = Callable[..., Iterator[Tensor]]
"""(denoise, x, levels, generator, **options) -> the points at each level after the first."""


@dataclass(frozen=True)
class Sampler:
    """A published algorithm as `sampling.sampler` knows it."""

    walk: Steps
    calls: int = 1
    """Calls of the denoiser in a step; with 2, the last step has one."""
    own_times: bool = False
    """Whether its paper walks the times of a discrete path evenly."""
    options: tuple[str, ...] = ()
    """Members of the group `sampling` that it takes."""


SAMPLERS: dict[str, Sampler] = {}
"""By name: what `sampling.sampler` allows."""


def sampler(
    calls: int = 1, own_times: bool = False, options: tuple[str, ...] = ()
) -> Callable[[Steps], Steps]:
    """Register the function that follows under its name."""

    def register(walk: Steps) -> Steps:
        SAMPLERS[walk.__name__] = Sampler(walk, calls, own_times, options)
        return walk

    return register


def _at(level: Level, x: Tensor) -> Tensor:
    """Return the level's time as the scalar tensor that a denoiser takes."""
    return torch.tensor(level.time, dtype=x.dtype, device=x.device)


def _noise_like(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=generator)


def posterior_variance(now: Level, then: Level) -> float:
    r"""Variance of q(x_s | x_t, x_0): sigma_{t|s}^2 sigma_s^2 / sigma_t^2 (Luo 2022, eq. 85)."""
    step_variance = now.sigma**2 - (now.alpha / then.alpha * then.sigma) ** 2
    return step_variance * (then.sigma / now.sigma) ** 2


@sampler(own_times=True)
def ddpm(
    denoise: Denoise, x: Tensor, levels: list[Level], generator: torch.Generator
) -> Iterator[Tensor]:
    """Ancestral sampling with the posterior variance (Ho et al. 2020, algorithm 2, eq. 7)."""
    for now, then in pairwise(levels):
        x0 = denoise(x, _at(now, x))
        ratio = now.alpha / then.alpha
        step_variance = now.sigma**2 - (ratio * then.sigma) ** 2
        mean = (ratio * then.sigma**2 * x + then.alpha * step_variance * x0) / now.sigma**2
        x = mean + math.sqrt(posterior_variance(now, then)) * _noise_like(x, generator)
        yield x


@sampler(own_times=True, options=("eta",))
def ddim(
    denoise: Denoise,
    x: Tensor,
    levels: list[Level],
    generator: torch.Generator,
    eta: float = 0.0,
) -> Iterator[Tensor]:
    """Denoising diffusion implicit models (Song, Meng & Ermon 2021, eq. 12)."""
    for now, then in pairwise(levels):
        x0 = denoise(x, _at(now, x))
        eps = (x - now.alpha * x0) / now.sigma
        variance = eta**2 * posterior_variance(now, then)
        x = then.alpha * x0 + math.sqrt(then.sigma**2 - variance) * eps
        if variance > 0:
            x = x + math.sqrt(variance) * _noise_like(x, generator)
        yield x


@sampler(own_times=True)
def euler(
    denoise: Denoise, x: Tensor, levels: list[Level], generator: torch.Generator
) -> Iterator[Tensor]:
    """Euler's method for the probability-flow ODE in x / alpha and sigma / alpha.

    Karras et al. 2022, eq. 4 and algorithm 1 without its correction. On this path of the ODE one
    step equals one of DDIM with eta = 0, whatever the schedule.
    """
    for now, then in pairwise(levels):
        slope = (x / now.alpha - denoise(x, _at(now, x))) / now.noise_ratio
        x = then.alpha * (x / now.alpha + (then.noise_ratio - now.noise_ratio) * slope)
        yield x


@sampler(calls=2)
def heun(
    denoise: Denoise, x: Tensor, levels: list[Level], generator: torch.Generator
) -> Iterator[Tensor]:
    """Heun's second-order method for the same ODE (Karras et al. 2022, algorithm 1)."""
    for now, then in pairwise(levels):
        y, step = x / now.alpha, then.noise_ratio - now.noise_ratio
        slope = (y - denoise(x, _at(now, x))) / now.noise_ratio
        ahead = y + step * slope
        if then.time is not None:
            x0 = denoise(then.alpha * ahead, _at(then, x))
            slope = (slope + (ahead - x0) / then.noise_ratio) / 2
        x = then.alpha * (y + step * slope)
        yield x


def _extrapolated(x0: Tensor, h: float, previous: tuple[Tensor, float] | None) -> Tensor:
    """Return the posterior mean (B, 2) half a step h in log noise ratio ahead, by the one before.

    D_i of Lu et al. 2022, algorithm 2; `previous` is the mean and h of the step before, None at first.
    """
    if previous is None:
        return x0
    x0_before, h_before = previous
    return x0 + h / (2 * h_before) * (x0 - x0_before)


@sampler()
def dpmpp_2m(
    denoise: Denoise, x: Tensor, levels: list[Level], generator: torch.Generator
) -> Iterator[Tensor]:
    """DPM-Solver++(2M), the second-order multistep solver (Lu et al. 2022, algorithm 2)."""
    previous: tuple[Tensor, float] | None = None
    for now, then in pairwise(levels):
        x0 = denoise(x, _at(now, x))
        if then.time is None:
            yield x0
            return
        h = math.log(now.noise_ratio / then.noise_ratio)
        guess = _extrapolated(x0, h, previous)
        x = then.sigma / now.sigma * x - then.alpha * math.expm1(-h) * guess
        previous = x0, h
        yield x


@sampler()
def sde(
    denoise: Denoise, x: Tensor, levels: list[Level], generator: torch.Generator
) -> Iterator[Tensor]:
    """Euler-Maruyama of the reverse SDE in x / alpha and sigma / alpha.

    Song et al. 2021, eq. 6 for the variance-exploding SDE (eq. 9); the last step, which would add
    noise that nothing removes, is replaced by the posterior mean.
    """
    for now, then in pairwise(levels):
        x0 = denoise(x, _at(now, x))
        if then.time is None:
            yield x0
            return
        y, score = x / now.alpha, (x0 - x / now.alpha) / now.noise_ratio**2
        variance = now.noise_ratio**2 - then.noise_ratio**2
        y = y + variance * score + math.sqrt(variance) * _noise_like(x, generator)
        x = then.alpha * y
        yield x


@sampler()
def dpmpp_2m_sde(
    denoise: Denoise, x: Tensor, levels: list[Level], generator: torch.Generator
) -> Iterator[Tensor]:
    """SDE-DPM-Solver++(2M), its multistep sibling for the reverse SDE (Lu et al. 2022, section 5).

    The noise of the SDE is drawn exactly, whatever the step; only the posterior mean is extrapolated.
    """
    previous: tuple[Tensor, float] | None = None
    for now, then in pairwise(levels):
        x0 = denoise(x, _at(now, x))
        if then.time is None:
            yield x0
            return
        h = math.log(now.noise_ratio / then.noise_ratio)
        guess = _extrapolated(x0, h, previous)
        share = -math.expm1(-2 * h)
        x = then.sigma / now.sigma * math.exp(-h) * x + then.alpha * share * guess
        x = x + then.sigma * math.sqrt(share) * _noise_like(x, generator)
        previous = x0, h
        yield x


def steps_within(name: str, evaluations: int) -> int:
    """Return the most steps, at least 1, that the sampler takes with so many calls of the denoiser.

    Heun's method calls it twice a step, but once in the last.
    """
    return (evaluations + 1) // 2 if SAMPLERS[name].calls == 2 else evaluations


def start_distribution(
    density: GaussianMixture, path: Path, rule: str, sigma_max: float | None = None
) -> tuple[Tensor, Tensor]:
    """Return mean (2,) and covariance (2, 2), in float64, of the Gaussian the chain starts from.

    ``moments``: those of the path at its noisiest level up to `sigma_max`, so that a path that keeps
    some signal there still starts right; ``standard_normal``: N(0, I), as if it kept none.
    """
    if rule == "standard_normal":
        return torch.zeros(2).double(), torch.eye(2).double()
    first = noisiest(path, sigma_max)
    mean, covariance = density.to("cpu", torch.float64).moments()
    identity = torch.eye(2).double()
    return first.alpha * mean, first.alpha**2 * covariance + first.sigma**2 * identity


@dataclass(frozen=True)
class ChainState:
    """The points at one level of the chain."""

    step: int
    level: Level
    x: Tensor
    """Points (B, 2) on the path, model coordinates."""
    chunk: int = 0
    metrics: dict[str, float] = field(default_factory=dict)


@torch.inference_mode()
def reverse_chain(
    denoise: Denoise,
    path: Path,
    start: tuple[Tensor, Tensor],
    sampling: Sampling,
    n: int,
    generator: torch.Generator,
) -> Iterator[ChainState]:
    """Draw n points at the noisiest level and walk them to clean, yielding every state.

    `start` is the mean and covariance of `start_distribution`; points live on `generator`'s device.
    """
    mean, factor = start[0].float(), torch.linalg.cholesky(start[1]).float()
    device = generator.device
    z = torch.randn(n, 2, generator=generator, device=device)
    x = mean.to(device) + z @ factor.to(device).T
    visited = chain_levels(path, sampling)
    yield ChainState(0, visited[0], x)
    chosen = SAMPLERS[sampling.sampler]
    options = {name: getattr(sampling, name) for name in chosen.options}
    states = chosen.walk(denoise, x, visited, generator, **options)
    for step, (level, state) in enumerate(zip(visited[1:], states, strict=True), start=1):
        yield ChainState(step, level, state)


def chain_levels(path: Path, sampling: Sampling) -> list[Level]:
    """Return the noise levels of a chain; those that coincide on a discrete path are merged."""
    rho = sampling.rho
    if rho == "auto":
        own_times = isinstance(path, DiscretePath) and SAMPLERS[sampling.sampler].own_times
        rho = None if own_times else _RHO
    return levels(path, sampling.steps, rho, sampling.sigma_max, sampling.sigma_min)


def _chunks(sampling: Sampling) -> list[int]:
    whole, rest = divmod(sampling.n_samples, sampling.chunk_size)
    return [sampling.chunk_size] * whole + [rest] * (rest > 0)


def total_steps(path: Path, sampling: Sampling) -> int:
    """Return the steps of `sample` over all chunks."""
    return (len(chain_levels(path, sampling)) - 1) * len(_chunks(sampling))


def sample(
    denoise: Denoise,
    path: Path,
    start: tuple[Tensor, Tensor],
    sampling: Sampling,
    generator: torch.Generator,
) -> Iterator[ChainState]:
    """Draw ``sampling.n_samples`` points chunk after chunk, so that memory stays bounded.

    Yields every state of every chunk; ``step`` counts on from chunk to chunk.
    """
    finished = 0
    for chunk, n in enumerate(_chunks(sampling)):
        state = None
        for state in reverse_chain(denoise, path, start, sampling, n, generator):
            yield replace(state, step=finished + state.step, chunk=chunk)
        finished += state.step if state else 0


@dataclass(frozen=True)
class Chain:
    """What is kept of the reverse chain: the states of its first chunk at some of its levels."""

    x: Tensor
    """(frames, n, 2) on the path, model coordinates, float32; the last frame is clean."""
    alpha: Tensor
    """(frames,), float64."""
    sigma: Tensor
    """(frames,), float64."""
    steps: Tensor
    """(frames,), steps made so far."""


class Recorder:
    """Keeps every final point, and at most `n_frames` states of the first chunk, evenly thinned.

    `steps` is the steps of one chunk; both ends are among the states that are kept.
    """

    def __init__(self, n_frames: int, steps: int) -> None:
        kept = torch.linspace(0, steps, min(n_frames, steps + 1), dtype=torch.float64)
        self._kept = frozenset(kept.round().int().tolist())
        self._states: list[ChainState] = []
        self._finished: list[Tensor] = []

    def add(self, state: ChainState) -> None:
        """Take note of a state."""
        if state.chunk == 0 and state.step in self._kept:
            self._states.append(replace(state, x=state.x.cpu()))
        if state.level.time is None:
            self._finished.append(state.x.cpu())

    def samples(self) -> Tensor:
        """Return all clean points, (n_samples, 2)."""
        return torch.cat(self._finished)

    def chain(self) -> Chain:
        """Return the states that were kept."""
        states = self._states
        return Chain(
            torch.stack([state.x for state in states]),
            torch.tensor([state.level.alpha for state in states], dtype=torch.float64),
            torch.tensor([state.level.sigma for state in states], dtype=torch.float64),
            torch.tensor([state.step for state in states]),
        )


def draw(
    denoiser: Denoiser, density: GaussianMixture, sampling: Sampling, generator: torch.Generator
) -> Tensor:
    """Run the whole chain and return its clean points alone: (n_samples, 2), model coordinates."""
    path = denoiser.path
    start = start_distribution(density, path, sampling.start, sampling.sigma_max)
    recorder = Recorder(2, len(chain_levels(path, sampling)) - 1)
    for state in sample(denoiser, path, start, sampling, generator):
        recorder.add(state)
    return recorder.samples()
