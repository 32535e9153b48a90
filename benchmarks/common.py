"""What the parts share: options, a copy of the project to run in, medians and tables."""

from __future__ import annotations

import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ParamSpec, Protocol, TypeVar

import yaml

from pointillist.groups import nested

FOLDER = Path(__file__).resolve().parent
PROJECT = FOLDER.parent

HELD_OUT = 100
"""The first seed behind what is reported. Choices are made on the seeds below it (trials.py)."""

BASE = "ce530ac"
"""The last commit of release 0.1.0."""

SMOKE: dict[str, Any] = {
    "threads": 1,
    "training.steps": 20,
    "training.report_every": 10,
    "sampling.n_samples": 500,
    "evaluation.n_eval": 500,
    "evaluation.noise_levels": 8,
    "evaluation.risk_draws": 64,
}
"""What makes a trial run of the benchmark itself short."""

Figures = dict[str, Any]
"""What a part measured: values that JSON can say."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Options:
    """What the command line sets."""

    repeats: int = 5
    """Runs behind each median."""
    seeds: int = 3
    """Seeds behind each figure of quality, from `HELD_OUT` on."""
    shapes: tuple[str, ...] = ()
    """Shapes of the quality part; none: all."""
    recipe: str = "fast"
    """Environment of conf/ whose recipe races against the preset."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of that recipe, dotted names."""
    base: str = BASE
    """The commit beside which the start is measured."""
    device: str = "cuda"
    """Device of the gpu part."""
    smoke: bool = False
    """Only try whether everything runs: next to no steps, nothing is written."""

    @property
    def held_out(self) -> range:
        """The seeds behind each figure of quality."""
        return range(HELD_OUT, HELD_OUT + self.seeds)

    @property
    def shortened(self) -> Mapping[str, Any]:
        """What every recipe is overlaid with."""
        return SMOKE if self.smoke else {}


class Part(Protocol):
    """A subject of the benchmark: a module with these."""

    TITLE: str

    def measure(self, options: Options) -> Figures:
        """Measure."""

    def report(self, figures: Figures) -> Iterator[str]:
        """Yield the lines that stand below the title in the report."""


def say(text: str) -> None:
    """Say on stderr where the measurement stands."""
    print(text, file=sys.stderr, flush=True)


def parse(text: str) -> dict[str, Any]:
    """Read `a.b=1,c=x` as Kedro's --params does: {"a.b": 1, "c": "x"}."""
    pairs = (item.partition("=") for item in text.split(",") if item)
    return {name.strip(): yaml.safe_load(value) for name, _, value in pairs}


def summary(values: Iterable[float]) -> dict[str, float]:
    """Return median, least and greatest."""
    values = list(values)
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield a Markdown table, blank line included."""
    header = list(header)
    yield "| " + " | ".join(header) + " |"
    yield "|---" * len(header) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def apart(function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
    """Call `function` in a fresh process: its peak memory is its own, its threads are cold."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(function, *arguments, **options).result()


def peak_memory() -> float:
    """Return this process's peak resident memory in GB."""
    # VmHWM rather than ru_maxrss, which a child inherits from the process that started it.
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e9
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


@contextmanager
def project_copy() -> Iterator[Path]:
    """Copy what a run needs, without anyone's data, for as long as the block runs."""
    with TemporaryDirectory() as folder:
        target = Path(folder) / "project"
        for name in ("conf", "src", "pyproject.toml", ".telemetry", "README.md", "LICENSE"):
            source = PROJECT / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("local", "__pycache__")
                shutil.copytree(source, target / name, ignore=ignored)
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target / name)
        (target / "conf" / "local").mkdir()
        yield target


def kedro(project: Path, *arguments: str, **variables: str) -> float:
    """Run kedro in `project` as a process of its own; return wall seconds."""
    environment = {**os.environ, "PYTHONPATH": str(project / "src"), **variables}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, "-m", "kedro", *arguments]
    started = time.perf_counter()
    finished = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    wall = time.perf_counter() - started
    if finished.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{finished.stdout}{finished.stderr}")
    return wall


def kedro_metrics(project: Path, env: str, overrides: Mapping[str, Any]) -> dict[str, float]:
    """Train, sample and evaluate through a Kedro session in this process; return its metrics.

    It is what `kedro run --pipelines train,sample,evaluate` does (configuration, hooks, nodes, catalog),
    less the start of a process and the record in MLflow.
    """
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project
    from kedro.runner import SequentialRunner

    bootstrap_project(project)
    parameters = nested({"tracking": False, "device": "cpu", **overrides})
    with (
        _silence(),
        redirect_stdout(StringIO()),
        KedroSession.create(project_path=project, env=env, runtime_params=parameters) as session,
    ):
        session.run(pipeline_names=["train", "sample", "evaluate"], runner=SequentialRunner())
    (written,) = project.glob(f"data/08_reporting/*/metrics.json/{session.session_id}/*")
    metrics: dict[str, float] = json.loads(written.read_text())
    return metrics


@contextmanager
def _silence() -> Iterator[None]:
    """Let the project's loggers pass warnings only."""
    logger = logging.getLogger("pointillist")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
