"""How long a command takes to begin: this tree and an earlier commit, in alternation."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common import FOLDER, SMOKE, Figures, Options, kedro, say, summary, table
from benchmarks.releases import trees

TITLE = "From the command to the first step"

_SHORT = {**SMOKE, "training.steps": 1, "training.report_every": 1, "rendering.frames": 2}
"""What comes after the first step is the default run's, and soon over."""


def measure(options: Options) -> Figures:
    """Return median, least and greatest of each time, of the base, of this tree, and of their ratio."""
    parameters = ",".join(f"{name}={value}" for name, value in _SHORT.items())
    with trees(options.base) as projects:
        for project in projects.values():
            _times(project, parameters)
        pairs = []
        for repeat in range(options.repeats):
            pairs.append({name: _times(project, parameters) for name, project in projects.items()})
            say(f"start: pair {repeat + 1} of {options.repeats}")
    return {"base": options.base} | {
        what: {
            **{name: summary(pair[name][what] for pair in pairs) for name in ("base", "here")},
            "ratio": summary(pair["here"][what] / pair["base"][what] for pair in pairs),
        }
        for what in pairs[0]["here"]
    }


def report(figures: Figures) -> Iterator[str]:
    """Yield the table."""
    yield (
        f"Processes of their own, of commit {figures['base']} and of this tree in turn, the database "
        "there: median, least and greatest. The first step is that of the default run, seen from outside "
        "([probe](probe/sitecustomize.py))."
    )
    yield ""
    yield from table(
        ("what", figures["base"], "here", "here / before"),
        (
            (what, *(_range(values[name]) for name in ("base", "here", "ratio")))
            for what, values in figures.items()
            if what != "base"
        ),
    )


def _times(project: Path, parameters: str) -> dict[str, float]:
    """Return the seconds to the first step, also the processor's, and those of two other commands."""
    with TemporaryDirectory() as folder:
        place = Path(folder) / "first_step.json"
        path = os.pathsep.join([str(FOLDER / "probe"), str(project / "src")])
        started = time.time()
        kedro(project, "run", "--params", parameters, FIRST_STEP=str(place), PYTHONPATH=path)
        seen = json.loads(place.read_text())
    return {
        "first training step of kedro run, s": seen["at"] - started,
        "the same, processor's seconds": seen["cpu"],
        "kedro run --pipelines ingest, s": kedro(project, "run", "--pipelines", "ingest"),
        "kedro --help, s": kedro(project, "--help"),
    }


def _range(values: dict[str, float]) -> str:
    return f"{values['median']:.2f} ({values['min']:.2f} to {values['max']:.2f})"
