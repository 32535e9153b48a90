"""Wall times of whole commands, as a person waits for them: a process of its own for each."""

from __future__ import annotations

import contextlib
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common import PROJECT, Figures, Options, kedro, project_copy, say, summary, table

TITLE = "Times"

FEW = 200


def measure(options: Options) -> Figures:
    """Return name -> median, least and greatest of each time."""
    overrides = {"device": "cpu", **options.shortened}
    parameters = ",".join(f"{name}={value}" for name, value in overrides.items())
    with project_copy() as project:
        # The database's first use creates its schema.
        kedro(project, "run", "--params", "shape=pi,training.steps=2,rendering.frames=2")
        full, training = [], []
        for repeat in range(options.repeats):
            full.append(kedro(project, "run", "--params", parameters))
            training.append(training_seconds(project, "dino"))
            say(f"times: run {repeat + 1} of {options.repeats}: {full[-1]:.1f} s")
        # The largest child so far, in KiB; on macOS in bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e9
        ingest = [kedro(project, "run", "--pipelines", "ingest") for _ in range(options.repeats)]
        few = {
            where: [few_steps(project, company) for _ in range(options.repeats)]
            for where, company in (("alone", False), ("beside a busy process", True))
        }
        with TemporaryDirectory() as folder:
            bare = bare_project(Path(folder))
            pairs = [
                (kedro(project, "--help"), kedro(bare, "--help")) for _ in range(options.repeats)
            ]
    return {
        "kedro run (dino, all stages), s": summary(full),
        "of it training, s": summary(training),
        "peak memory of kedro run, GB": summary([peak]),
        "kedro run --pipelines ingest, s": summary(ingest),
        **{f"{FEW} training steps, {where}, s": summary(times) for where, times in few.items()},
        "beside a busy process / alone": summary(b / a for a, b in zip(*few.values(), strict=True)),
        "kedro --help here / in a project without code": summary(a / b for a, b in pairs),
    }


def report(figures: Figures) -> Iterator[str]:
    """Yield the table."""
    yield "Whole processes, the database there."
    yield ""
    yield from table(
        ("what", "median", "least", "greatest"),
        (
            (name, *(f"{value[key]:.2f}" for key in ("median", "min", "max")))
            for name, value in figures.items()
        ),
    )


def training_seconds(project: Path, shape: str) -> float:
    """Return how long training took, from the history's own steps per second."""
    histories = project.glob(f"data/06_models/{shape}/training_history.csv/*/*.csv")
    rows = max(histories, key=lambda path: path.parent.name).read_text().split()
    names, *values = (row.split(",") for row in rows)
    step, rate = names.index("step"), names.index("steps_per_second")
    seconds, before = 0.0, 0.0
    for row in values:
        seconds += (float(row[step]) - before) / float(row[rate])
        before = float(row[step])
    return seconds


def few_steps(project: Path, company: bool) -> float:
    """Return how long `FEW` steps of training take, if wanted while another process is at work."""
    parameters = f"training.steps={FEW},tracking=false,device=cpu"
    with contextlib.ExitStack() as stack:
        if company:
            command = [sys.executable, "-c", "while True: pass"]
            stack.callback(stack.enter_context(subprocess.Popen(command)).kill)
        kedro(project, "run", "--pipelines", "train", "--params", parameters)
    return training_seconds(project, "dino")


def bare_project(folder: Path) -> Path:
    """Make a Kedro project that has no code of its own."""
    package = folder / "src" / "bare"
    package.mkdir(parents=True)
    for name in ("__init__.py", "settings.py"):
        (package / name).touch()
    (folder / "pyproject.toml").write_text(
        '[tool.kedro]\npackage_name = "bare"\nproject_name = "Bare"\nsource_dir = "src"\n'
        f'kedro_init_version = "{version("kedro")}"\n'
    )
    shutil.copy(PROJECT / ".telemetry", folder)
    return folder
