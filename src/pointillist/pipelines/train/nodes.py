"""Train: regress the denoiser on the exact posterior mean of the shape."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pointillist import diffusion, models, shapes
from pointillist.datasets import TrainingStates
from pointillist.diffusion.config import Data, Network, Schedule, Training
from pointillist.pipelines.train import checkpointing
from pointillist.progress import track
from pointillist.shapes.points import split

_SNAPSHOTS = 12


def train_denoiser(
    shape_points: pd.DataFrame,
    normalizer: dict[str, Any],
    training_states: TrainingStates,
    shape: str,
    seed: int,
    device: str,
    data: Data,
    schedule: Schedule,
    network: Network,
    training: Training,
    resume: bool,
) -> tuple[models.TrainedDenoiser, pd.DataFrame, models.Snapshots]:
    """Teach a small network to say, for a noisy point, where on the shape it came from.

    Its state is kept every so often, and `resume` goes on from the newest one that was left behind.
    """
    where = diffusion.devices.resolve(device)
    parts = split(shape_points)
    transform = shapes.Normalizer.from_dict(normalizer)
    density = models.denoiser.make_density(parts, transform, data)
    fitted = diffusion.denoiser.fitted(network, density)
    groups = {"data": data, "schedule": schedule, "network": network, "training": training}
    trained = models.TrainedDenoiser(
        denoiser=diffusion.denoiser.initialize(
            fitted, diffusion.schedules.make_path(schedule), seed
        ).to(where),
        points=parts.points,
        normalizer=transform,
        shape=shape,
        parameters={"seed": seed, **{k: g.model_dump(mode="json") for k, g in groups.items()}},
        weights=parts.weights,
        covariances=parts.covariances,
        held_out=split(shape_points, held_out=True),
        origin={**shape_points.attrs.get("origin", {}), "device": device},
        leave_one_out=shape_points.attrs.get("leave_one_out", {}),
    )
    checkpoints = checkpointing.Checkpoints(training_states, trained, training, where.type)
    state = checkpoints.resumed() if resume else None
    reports = diffusion.training.train(
        trained.denoiser,
        density.to(where, diffusion.denoiser.DTYPE),
        training,
        diffusion.devices.generator(seed, "train", where),
        state,
    )
    kept = set(diffusion.training.snapshot_steps(training, _SNAPSHOTS))
    done = 0 if state is None else int(state["step"])
    for report in checkpoints.kept(track(reports, "Training", training.steps, done=done)):
        if report.step in kept or report.last:
            checkpoints.record.weights_at[report.step] = report.average.cpu().half()
    record = checkpoints.record
    snapshots = models.Snapshots(weights_at=record.weights_at, shape=shape)
    return trained, pd.DataFrame(record.history), snapshots
