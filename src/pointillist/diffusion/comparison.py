"""The table of samplers: quality by function evaluations, with the trained and the exact denoiser.

Every cell starts from the same noise and covers the same range of noise levels. With the exact denoiser
only the solver's own error is left; what the trained one adds is the network's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pointillist.diffusion import chains, samplers
from pointillist.diffusion.config import Samplers, Sampling
from pointillist.diffusion.denoiser import Denoise
from pointillist.diffusion.schedules import Path

Score = Callable[[Tensor], dict[str, float]]
"""Points (n, 2), model coordinates -> figures of quality, by name."""


@dataclass(frozen=True)
class Cell:
    """One cell of the table."""

    step: int
    """Cells finished so far, this one included."""
    sampler: str
    denoiser: str
    budget: int
    """Function evaluations that were allowed."""
    nfe: int
    """Function evaluations that were made."""
    steps: int
    quality: dict[str, float]

    @property
    def metrics(self) -> dict[str, float]:
        """Nothing to follow live: a cell is no point of a curve over time."""
        return {}


def total_cells(denoisers: int, options: Samplers) -> int:
    """Return how many cells the table of so many denoisers has."""
    return len(samplers.SAMPLERS) * denoisers * len(options.nfe)


def cells(
    denoisers: Mapping[str, Denoise],
    path: Path,
    start: tuple[Tensor, Tensor],
    options: Samplers,
    score: Score,
    generator: Callable[[], torch.Generator],
) -> Iterator[Cell]:
    """Yield sampler after sampler with each of the `denoisers` and each number of evaluations.

    `generator` gives every cell the same randomness; `start` is `chains.start_distribution`'s.
    """
    places = (
        (s, d, budget) for s in samplers.SAMPLERS for d in denoisers for budget in options.nfe
    )
    for step, (sampler, name, budget) in enumerate(places, start=1):
        sampling = Sampling.model_validate(
            {
                "sampler": sampler,
                "steps": samplers.steps_within(sampler, budget),
                "rho": options.rho,
                "sigma_max": options.sigma_max,
                "sigma_min": options.sigma_min,
                "n_samples": options.n_samples,
            }
        )
        counted = _Counted(denoisers[name])
        states = chains.sample(counted, path, start, sampling, generator())
        ends = [state for state in states if state.level.time is None]
        chunks, points = len(ends), torch.cat([state.x for state in ends])
        nfe, steps = counted.calls // chunks, ends[-1].step // chunks
        yield Cell(step, sampler, name, budget, nfe, steps, score(points))


class _Counted:
    """A denoiser that counts its calls."""

    def __init__(self, denoise: Denoise) -> None:
        self.denoise, self.calls = denoise, 0

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.calls += 1
        return self.denoise(x, t)
