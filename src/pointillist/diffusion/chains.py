"""Run a reverse chain: where it starts, which noise levels it goes through, what is kept of it."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pointillist.diffusion.config import Sampling
from pointillist.diffusion.denoiser import Denoise, Denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.samplers import SAMPLERS
from pointillist.diffusion.schedules import DiscretePath, Level, Path, noise_levels, noisiest

logger = logging.getLogger(__name__)

_RHO = 7.0
"""Of Karras et al. 2022, table 1."""


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
    """Draw n points at the noisiest level and run the sampler to clean points, yielding every state.

    `start` is the mean and covariance of `start_distribution`; points live on `generator`'s device.
    """
    mean, factor = start[0].float(), torch.linalg.cholesky(start[1]).float()
    device = generator.device
    z = torch.randn(n, 2, generator=generator, device=device)
    x = mean.to(device) + z @ factor.to(device).T
    levels = chain_levels(path, sampling)
    yield ChainState(0, levels[0], x)
    chosen = SAMPLERS[sampling.sampler]
    options = {name: getattr(sampling, name) for name in chosen.options}
    states = chosen.walk(denoise, x, levels, generator, **options)
    for step, (level, state) in enumerate(zip(levels[1:], states, strict=True), start=1):
        yield ChainState(step, level, state)


def chain_levels(path: Path, sampling: Sampling) -> list[Level]:
    """Return the noise levels of a chain; those that coincide on a discrete path are merged."""
    rho = sampling.rho
    if rho == "auto":
        own_times = isinstance(path, DiscretePath) and SAMPLERS[sampling.sampler].own_times
        rho = None if own_times else _RHO
    return noise_levels(path, sampling.steps, rho, sampling.sigma_max, sampling.sigma_min)


def warn_of_surprises(path: Path, sampling: Sampling) -> None:
    """Log what one would not expect of a chain: fewer steps than asked for, or a wrong start."""
    steps = len(chain_levels(path, sampling)) - 1
    if steps < sampling.steps:
        logger.warning(
            "sampling.steps=%d: %d steps remain. Levels that fall on the same time of a discrete path "
            "are merged. sampling.rho=null spreads them evenly.",
            sampling.steps,
            steps,
        )
    first = noisiest(path, sampling.sigma_max)
    deviation = math.hypot(first.alpha, first.sigma)
    if sampling.start == "standard_normal" and not 0.8 < deviation < 1.25:
        logger.warning(
            "sampling.start=standard_normal is the wrong start on this model's path, where chains begin "
            "at a deviation of %.3g. sampling.start=moments is the right one.",
            deviation,
        )


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
