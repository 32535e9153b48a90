"""Compare: two trained models, from the same noise, held against the truth by the same draws."""

from __future__ import annotations

from collections.abc import Mapping

from pointillist import models, rendering
from pointillist.datasets.models import SavedModel
from pointillist.diffusion.config import Evaluation, Sampling
from pointillist.errors import PointillistError, nearest
from pointillist.groups import flatten
from pointillist.pipelines.evaluate.nodes import measure
from pointillist.pipelines.player.nodes import scene_of
from pointillist.pipelines.report.nodes import said
from pointillist.pipelines.sample.nodes import run_chain
from pointillist.progress import count
from pointillist.rendering.config import Player


def compare_models(
    trained_models: Mapping[str, SavedModel],
    runs: str | None,
    sampling: Sampling,
    evaluation: Evaluation,
    player: Player,
    seed: int,
    device: str,
) -> str:
    """Put two models on one page: films in step, losses, parameters that differ, metrics."""
    chosen = choose(trained_models, runs)
    models, scenes, metrics, histories = [], [], [], {}
    for label, trained in count(list(zip("AB", chosen, strict=True)), "Comparing", "model"):
        title = f"{label}: {trained.shape}, {trained.version}"
        model = trained.read()
        recorder = run_chain(model, sampling, seed, device)
        points = model.original(recorder.samples())
        models.append(model)
        scenes.append(scene_of(recorder.chain(), model, player.points, seed, sampling, title))
        metrics.append(measure(model, points, sampling.start, evaluation, seed, device)[0])
        if (history := trained.history()) is not None:
            histories[title] = history
    return rendering.report.comparison_page(
        names=(scenes[0].name, scenes[1].name),
        scenes=scenes,
        metrics=(metrics[0], metrics[1]),
        losses=rendering.figures.loss_curves(histories) if histories else None,
        differing=differences(models[0], models[1]),
        conditions=(
            f"Both from the same noise (seed {seed}): {sampling.sampler}, {sampling.steps} steps; "
            f"{evaluation.n_eval:,} points against the same draws of the truth."
        ),
    )


def choose(models: Mapping[str, SavedModel], runs: str | None) -> tuple[SavedModel, SavedModel]:
    """Find the two models that `runs` names: versions, joined by +.

    Raises
    ------
    PointillistError
        If there aren't two, or one isn't there; it says what there is.
    """
    newest = [model.version for model in models.values()][-6:]
    there = ", ".join(newest) or "none"
    names = [] if runs is None else [name.strip() for name in runs.split("+")]
    if len(names) != 2:
        raise PointillistError(
            "Name two runs, joined by +: --params runs=A+B. Each is the id of a run in MLflow, or the "
            f"version of a model; the newest versions: {there}."
        )
    a, b = (_named(models, name, there) for name in names)
    return a, b


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


def differences(a: models.TrainedDenoiser, b: models.TrainedDenoiser) -> list[tuple[str, str, str]]:
    """Return the parameters in which two models differ, the shape among them: name, a's, b's."""
    here = {"shape": a.shape, **flatten(a.parameters)}
    there = {"shape": b.shape, **flatten(b.parameters)}
    return [
        (name, said(here.get(name)), said(there.get(name)))
        for name in dict.fromkeys((*here, *there))
        if here.get(name) != there.get(name)
    ]
