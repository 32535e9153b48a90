"""Train: regress the denoiser on the exact posterior mean of the shape."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pointillist import artifacts, diffusion, shapes
from pointillist.datasets import Tensors
from pointillist.parameters import Data, Network, Schedule, Training
from pointillist.progress import track
from pointillist.shapes.points import split

_MOMENTS = 12


def train_denoiser(
    shape_points: pd.DataFrame,
    normalizer: dict[str, Any],
    shape: str,
    seed: int,
    device: str,
    data: Data,
    schedule: Schedule,
    network: Network,
    training: Training,
) -> tuple[Tensors, pd.DataFrame, Tensors]:
    """Teach a small network to say, for a noisy point, where on the shape it came from."""
    where = diffusion.devices.resolve(device)
    transform = shapes.Normalizer.from_dict(normalizer)
    points, weights = split(shape_points)
    density = artifacts.checkpoint.make_density(points, transform, data, weights)
    path = diffusion.schedules.make_path(schedule)
    network = diffusion.denoiser.fitted(network, density)
    denoiser = diffusion.denoiser.initialize(network, path, seed).to(where)
    reports = diffusion.training.train(
        denoiser,
        density.to(where, diffusion.denoiser.DTYPE),
        training,
        diffusion.devices.generator(seed, "train", where),
    )
    kept = set(diffusion.training.moments(training, _MOMENTS))
    history, weights_at = [], {}
    for report in track(reports, "Training", training.steps):
        history.append({"step": report.step, **report.metrics})
        if report.step in kept:
            weights_at[report.step] = report.average.cpu().clone()
    trained = artifacts.checkpoint.Checkpoint(
        denoiser,
        points,
        transform,
        shape,
        {
            "seed": seed,
            "data": data.model_dump(mode="json"),
            "schedule": schedule.model_dump(mode="json"),
            "network": network.model_dump(mode="json"),
            "training": training.model_dump(mode="json"),
        },
        weights,
    )
    snapshots = artifacts.snapshots.pack(list(weights_at), list(weights_at.values()), shape)
    return artifacts.checkpoint.pack(trained), pd.DataFrame(history), snapshots
