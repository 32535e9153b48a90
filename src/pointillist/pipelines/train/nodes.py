"""Train: regress the denoiser on the exact posterior mean of the shape."""

from __future__ import annotations

import logging
import time
from typing import Any

import pandas as pd

from pointillist import artifacts, diffusion, shapes
from pointillist.datasets import Tensors, TrainingStates
from pointillist.diffusion.config import Data, Network, Schedule, Training
from pointillist.errors import PointillistError
from pointillist.progress import tell, track
from pointillist.shapes.points import split

logger = logging.getLogger(__name__)

_MOMENTS = 12


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
) -> tuple[Tensors, pd.DataFrame, Tensors]:
    """Teach a small network to say, for a noisy point, where on the shape it came from.

    Its state is kept every so often, and `resume` goes on from the newest one that was left behind.
    """
    where = diffusion.devices.resolve(device)
    transform = shapes.Normalizer.from_dict(normalizer)
    points, weights = split(shape_points)
    density = artifacts.checkpoint.make_density(points, transform, data, weights)
    path = diffusion.schedules.make_path(schedule)
    network = diffusion.denoiser.fitted(network, density)
    denoiser = diffusion.denoiser.initialize(network, path, seed).to(where)
    parameters = {
        "seed": seed,
        "data": data.model_dump(mode="json"),
        "schedule": schedule.model_dump(mode="json"),
        "network": network.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
    }
    trained = artifacts.checkpoint.Checkpoint(
        denoiser, points, transform, shape, parameters, weights
    )
    same = {**parameters, "shape": trained.digest, "device": where.type}
    state, story = (
        _taken_up(training_states, same, shape) if resume else (None, artifacts.state.Story())
    )
    reports = diffusion.training.train(
        denoiser,
        density.to(where, diffusion.denoiser.DTYPE),
        training,
        diffusion.devices.generator(seed, "train", where),
        state,
    )
    kept = set(diffusion.training.moments(training, _MOMENTS))
    saved = time.monotonic()
    try:
        done = 0 if state is None else int(state["step"])
        for report in track(reports, "Training", training.steps, done=done):
            story.history.append({"step": report.step, **report.metrics})
            if report.step in kept:
                story.weights_at[report.step] = report.average.cpu().half()
            # At the end the model itself is about to be saved.
            last = report.step == training.steps
            if not last and time.monotonic() - saved >= training.checkpoint_seconds:
                packed = artifacts.state.pack(report.state(), story, same)
                _keep(training_states, report.step, packed)
                saved = time.monotonic()
    except diffusion.training.DivergedError as error:
        raise _with_cure(error, training_states, story, same) from None
    snapshots = artifacts.snapshots.pack(story.weights_at, shape)
    return artifacts.checkpoint.pack(trained), pd.DataFrame(story.history), snapshots


def forget_states(
    denoiser: Tensors,  # noqa: ARG001 - what must have been saved before
    training_history: pd.DataFrame,  # noqa: ARG001
    training_snapshots: Tensors,  # noqa: ARG001
    training_states: TrainingStates,
) -> None:
    """Remove the states that were kept on the way, now that all that the training made is saved."""
    training_states.forget_finished()


def _taken_up(
    states: TrainingStates, same: dict[str, Any], shape: str
) -> tuple[diffusion.training.State | None, artifacts.state.Story]:
    """Return the newest state that fits, or none if no training was interrupted.

    Raises
    ------
    PointillistError
        If there are such, but of trainings with other settings; it says what differs.
    """
    refused: dict[str, list[str]] = {}
    for version, file in states.interrupted():
        different = artifacts.state.differences(file, same)
        if different:
            refused[version] = different
            continue
        state, story = artifacts.state.unpack(file)
        states.continue_from(version)
        story.resumed_from.append(version)
        step = int(state["step"])
        logger.info("Training of %s goes on after step %s of %s.", shape, step, version)
        tell("resumed_from", version)
        return state, story
    # One that was given up for a later training stands in nobody's way.
    for version, different in refused.items():
        if not states.is_superseded(version):
            raise PointillistError(
                f"The interrupted training {version} of {shape!r} had other parameters. "
                f"{'; '.join(different)}\nResume with those, train anew with resume=false, or remove "
                f"{states.place.with_name(version)}"
            )
    logger.info("No training of %s was interrupted. This one begins at the beginning.", shape)
    return None, artifacts.state.Story()


def _keep(states: TrainingStates, step: int, state: Tensors) -> bool:
    """Keep a state, if that is possible: the training is worth more, and goes on."""
    try:
        states.keep(step, state)
    except OSError as error:
        logger.warning("The state after step %s can't be kept: %s", step, error.strerror or error)
        return False
    return True


def _with_cure(
    error: diffusion.training.DivergedError,
    states: TrainingStates,
    story: artifacts.state.Story,
    same: dict[str, Any],
) -> PointillistError:
    """Keep the last good state of a training that diverged, and return the error with what to do."""
    kept = ""
    if error.state:
        step = int(error.state["step"])
        if _keep(states, step, artifacts.state.pack(error.state, story, same)):
            kept = f" Its last good state, after step {step}, is kept in {states.place}."
    rates = "training.learning_rate and training.muon_learning_rate"
    return PointillistError(f"{error}{kept}\nLower {rates}, or set training.gradient_clip=1.")
