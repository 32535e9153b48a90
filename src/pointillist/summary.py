"""The summary of a run: what the catalog's metadata says is to be shown, and what to try next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.utils import load_obj

from pointillist import stages
from pointillist.command_line import source
from pointillist.datasets import VersionedFile
from pointillist.explanation import near
from pointillist.parameters import Parameters
from pointillist.shapes import formulas
from pointillist.shapes.points import split
from pointillist.terminal import print_facts

if TYPE_CHECKING:
    import pandas as pd

# Named by `command_line.source`, or of one run alone.
_NAMED = {"shape", "shape_file", "text", "run", "runs", "resume"}
# Of every stage, though no node takes them.
_OF_ANY = ("threads", "tracking")


def show(
    parameters: Parameters,
    project: Path,
    catalog: CatalogProtocol,
    saved: Iterable[str],
    next_step: str,
    recorded: str | None,
) -> None:
    """Print what of the datasets `saved` has a `summary` in its metadata, and where it is.

    `summary: Title` gives the line of a file its title, `summary: true` the file's own name;
    `print: module.function` calls that with the shape's name and the data, and the line of each title
    in `says` is what its function returns of the parameters and the data.
    """
    facts: dict[str, str] = {}
    for name in saved:
        dataset = catalog.get(name)
        about: dict[str, Any] = getattr(dataset, "metadata", None) or {}
        if printed := about.get("print"):
            load_obj(printed)(parameters.shape, catalog.load(name))
        for title, words in (about.get("says") or {}).items():
            facts[title] = load_obj(words)(parameters, catalog.load(name))
        if (title := about.get("summary")) and isinstance(dataset, VersionedFile):
            file = dataset.load_path
            facts[file.name if title is True else title] = near(file, project)
    if recorded is not None:
        facts["MLflow run"] = recorded
    print_facts(facts | {"Next": next_step})


def next_step(
    parameters: Parameters,
    pipeline: Pipeline,
    env: str | None,
    given: Mapping[str, Any],
    version: str | None,
) -> str:
    """Return what to try next: the stage that follows, of this very run if it used an older `version`.

    What was `given`, by dotted names, is repeated where that stage takes it.
    """
    stage = stages.following(pipeline, pipelines)
    if stage is None:
        other = "cat" if parameters.shape != "cat" else "panda"
        return f"another shape: kedro run --params shape={other}"
    taken = {*stages.parameters(pipelines[stage]), *_OF_ANY} - _NAMED
    again = {name: value for name, value in given.items() if name.partition(".")[0] in taken}
    chosen = f" --env {env}" if env else ""
    named = source(parameters, run=version, **again)
    return f"kedro run{chosen} --pipelines {stage} --params {named}"


def truth(parameters: Parameters, shape_points: pd.DataFrame) -> str:
    """Say in a line which density is learnt."""
    parts = split(shape_points)
    n, others = len(parts.points), len(split(shape_points, held_out=True).points)
    held_out = f"; {others:,} held out" if others else ""
    drawn = f" drawn from {parameters.shape}," if parameters.source.sampled else ""
    if "xx" not in shape_points:
        return f"{n:,} dots{drawn} of width {parameters.data.dot:g}{held_out}"
    if choice := shape_points.attrs.get("leave_one_out"):
        width = f"width {choice['bandwidth']:.2g} chosen by leave-one-out"
        return f"{n:,} points{drawn or ','} {width}{held_out}"
    deviation = float(shape_points[["xx", "yy"]].to_numpy().min()) ** 0.5
    of = f"{n:,} Gaussian{'s' * (n != 1)}"
    noise = formulas.noise(parameters.shape, parameters.source)
    if noise and deviation <= 1.001 * noise:
        return f"{parameters.shape}, noise {noise:g} (exact: {of})"
    finer = f": a noise of {noise:g} is finer than they show" if noise else ""
    return f"{parameters.shape}, {of} of deviation {deviation:.2g}{finer}"


def training(parameters: Parameters, training_history: pd.DataFrame) -> str:
    """Say in a line why the training ended."""
    steps, until = int(training_history["step"].iloc[-1]), parameters.training.until
    last = float(training_history["kl_bound_nats"].iloc[-1])
    if until is not None and last <= until and steps < parameters.training.steps:
        return f"{steps:,} steps: its bound is proven to be at most {until:g} nats"
    goal = "" if until is None else f"; its bound is not proven to be at most {until:g} nats"
    return f"all {steps:,} steps{goal}"
