"""Compare: trained models, from the same noise, held against the truth by the same draws."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import combinations
from string import ascii_uppercase

from pointillist import models, rendering
from pointillist.datasets.models import SavedModel
from pointillist.diffusion.config import Evaluation, Sampling
from pointillist.errors import PointillistError, nearest
from pointillist.groups import flatten, written
from pointillist.progress import count
from pointillist.rendering.config import Player

logger = logging.getLogger(__name__)

_MOST = 8


def compare_models(
    trained_models: Mapping[str, SavedModel],
    runs: str | None,
    sampling: Sampling,
    evaluation: Evaluation,
    player: Player,
    seed: int,
    device: str,
) -> str:
    """Put models on one page: films in step, losses, parameters that differ, metrics."""
    chosen = choose(trained_models, runs)
    denoisers, scenes, metrics, histories = [], [], [], {}
    named = list(zip(ascii_uppercase, chosen, strict=False))
    for letter, trained in count(named, "Comparing", "model"):
        title = f"{letter}: {trained.shape}, {trained.version}"
        model = trained.read()
        recorder = models.chain.run_chain(model, sampling, seed, device)
        points = model.original(recorder.samples())
        denoisers.append(model)
        scenes.append(
            rendering.views.scene(recorder.chain(), model, player.points, seed, sampling, title)
        )
        metrics.append(
            models.measures.measure(model, points, sampling.start, evaluation, seed, device)[0]
        )
        if (history := trained.history()) is not None:
            histories[title] = history
    warnings = caveats(denoisers)
    for warning in warnings:
        logger.warning(warning)
    return rendering.report.comparison_page(
        names=[scene.name for scene in scenes],
        scenes=scenes,
        metrics=metrics,
        losses=rendering.curves.loss_curves(histories) if histories else None,
        differing=differences(denoisers),
        conditions=(
            f"All from the same noise (seed {seed}): {sampling.sampler}, {sampling.steps} steps; "
            f"{evaluation.n_eval:,} points against the same draws of the truth."
        ),
        warnings=warnings,
    )


def choose(models: Mapping[str, SavedModel], runs: str | None) -> list[SavedModel]:
    """Find the models that `runs` names: versions, joined by +.

    Raises
    ------
    PointillistError
        If there are too few or too many, or one isn't there; it says what there is.
    """
    newest = [model.version for model in models.values()][-6:]
    there = ", ".join(newest) or "none"
    names = [] if runs is None else [name.strip() for name in runs.split("+")]
    if not 2 <= len(names) <= _MOST:
        raise PointillistError(
            f"Name two to {_MOST} runs, joined by +: --params runs=A+B. Each is the id of a run in "
            f"MLflow, or the version of a model; the newest versions: {there}."
        )
    return [_named(models, name, there) for name in names]


def _named(models: Mapping[str, SavedModel], name: str, there: str) -> SavedModel:
    """Find the model of a version, or of SHAPE/VERSION where several shapes have that version."""
    found = [key for key, model in models.items() if name in (key, model.version)]
    if not found:
        near = nearest(name, [model.version for model in models.values()])
        raise PointillistError(
            f"No model of the version {name!r} is there.{near} The newest: {there}."
        )
    if len(found) > 1:
        raise PointillistError(
            f"More than one shape has a model of the version {name!r}. Name one: {', '.join(found)}."
        )
    return models[found[0]]


def caveats(models: Sequence[models.TrainedDenoiser]) -> list[str]:
    """Return what a reader must know before comparing models: A, B and so on."""
    found = []
    if len({model.shape_digest for model in models}) > 1:
        found.append(
            "The shapes differ. Metrics of different shapes can't be compared with each other: hold each "
            "against its own floor."
        )
    lettered = zip(ascii_uppercase, models, strict=False)
    found += [
        f"{a} and {b} are the same model: what differs between them would be an error of the program."
        for (a, one), (b, other) in combinations(lettered, 2)
        if one.digest == other.digest
    ]
    return found


def differences(models: Sequence[models.TrainedDenoiser]) -> list[tuple[str, list[str]]]:
    """Return the parameters in which models differ, the shape among them, and each one's value."""
    all_parameters = [
        {"shape": m.shape, **flatten(m.origin), **flatten(m.parameters)} for m in models
    ]
    names = dict.fromkeys(name for parameters in all_parameters for name in parameters)
    rows = [(name, [parameters.get(name) for parameters in all_parameters]) for name in names]
    return [
        (name, [written(value) for value in values])
        for name, values in rows
        if any(value != values[0] for value in values)
    ]
