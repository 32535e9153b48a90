"""Samplers: every sampler at every budget, with the trained and with the exact denoiser."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from pointillist import diffusion, models, rendering
from pointillist.diffusion.config import Samplers
from pointillist.progress import track

if TYPE_CHECKING:
    import torch

_REFERENCES, _PROJECTIONS = 5, 200


def compare_samplers(
    denoiser: models.TrainedDenoiser, samplers: Samplers, seed: int, device: str
) -> pd.DataFrame:
    """Measure every sampler at each number of function evaluations, beside the floor of the truth."""
    where = diffusion.devices.resolve(device)
    model = denoiser.to(where)
    path, truth = model.denoiser.path, model.density.to(where, diffusion.denoiser.DTYPE)
    generator = diffusion.devices.generator(seed, "samplers")
    score = _scorer(model, samplers.n_samples, generator)
    fresh = (
        model.density.sample(samplers.n_samples, generator)[0] for _ in range(samplers.floor_draws)
    )
    floors = pd.DataFrame(map(score, fresh)).mean()
    cells = diffusion.comparison.cells(
        {"exact": diffusion.denoiser.exact_denoiser(truth, path), "trained": model.denoiser},
        path,
        diffusion.chains.start_distribution(model.density, path, "moments", samplers.sigma_max),
        samplers,
        score,
        partial(diffusion.devices.generator, seed, "samplers: noise", where),
    )
    total = diffusion.comparison.total_cells(2, samplers)
    return pd.DataFrame(
        {
            "sampler": cell.sampler,
            "denoiser": cell.denoiser,
            "budget": cell.budget,
            "nfe": cell.nfe,
            "steps": cell.steps,
            **cell.quality,
            **{f"{name}_floor": floors[name] for name in cell.quality},
        }
        for cell in track(cells, "Samplers", total, unit="cell")
    )


def draw_samplers(sampler_table: pd.DataFrame) -> rendering.Figure:
    """Plot quality against function evaluations, the solver's error beside the network's."""
    return rendering.curves.sampler_curves(sampler_table)


def _scorer(
    model: models.TrainedDenoiser, n: int, generator: torch.Generator
) -> diffusion.comparison.Score:
    """Return what measures n points in standardised coordinates against draws of the truth."""

    def standardize(x: torch.Tensor) -> torch.Tensor:
        return model.standardize(model.original(x.cpu()))

    directions = diffusion.metrics.unit_directions(_PROJECTIONS, generator)
    truth = model.standardized_density
    draws = (truth.sample(n, generator)[0] for _ in range(_REFERENCES))
    references = [diffusion.metrics.sorted_projections(x, directions) for x in draws]
    return lambda x: diffusion.metrics.distances(standardize(x), truth, references, directions)
