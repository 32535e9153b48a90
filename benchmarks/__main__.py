"""`make bench`: measure the project and rewrite benchmarks/results.md and results.json.

Times are whole processes, medians of several runs, on whatever machine this is; figures of quality stand
beside their floors. Everything runs in a temporary copy of the project with a database of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("results")
NAMES = ("off_manifold", "nn95", "coverage", "tv", "sw2")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="runs behind each median")
    parser.add_argument("--seeds", type=int, default=3, help="seeds behind each figure of quality")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = copy_project(Path(folder) / "project")
        kedro(project, "run", "--params", "shape=pi,training.steps=2")  # the database's first use
        figures = dict(quality(project, options.seeds))
        record = {
            "machine": machine(),
            "times": dict(times(project, options.repeats)),
            "quality": figures,
        }
    RESULTS.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    RESULTS.with_suffix(".md").write_text("\n".join(report(record)) + "\n")
    print(RESULTS.with_suffix(".md").read_text())


def copy_project(target: Path) -> Path:
    """Copy what a run needs, without anyone's data."""
    for name in ("conf", "src", "pyproject.toml", ".telemetry", "README.md", "LICENSE"):
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("local"))
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / name)
    (target / "conf" / "local").mkdir()
    return target


def kedro(project: Path, *arguments: str) -> tuple[float, float]:
    """Run kedro in `project`; return wall seconds and peak memory in GB."""
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [str(Path(sys.executable).with_name("kedro")), *arguments]
    started = time.perf_counter()
    finished = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    wall = time.perf_counter() - started
    if finished.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{finished.stdout}{finished.stderr}")
    # The largest child so far; what is reported is read after the full run, which is the largest.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
    return wall, peak


def newest(project: Path, pattern: str) -> Path:
    """Return the newest file that `pattern` finds under data/."""
    return max(project.glob(f"data/{pattern}"), key=lambda path: path.parent.name)


def training_seconds(project: Path, shape: str) -> float:
    """Return how long training took, from the history's own steps per second."""
    rows = newest(project, f"06_models/{shape}/training_history.csv/*/*.csv").read_text().split()
    names, *values = (row.split(",") for row in rows)
    step, rate = names.index("step"), names.index("steps_per_second")
    seconds, before = 0.0, 0.0
    for row in values:
        seconds += (float(row[step]) - before) / float(row[rate])
        before = float(row[step])
    return seconds


def times(project: Path, repeats: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield name -> median, least and greatest of each time."""
    full, training, peak = [], [], 0.0
    for _ in range(repeats):
        wall, peak = kedro(project, "run")
        full.append(wall)
        training.append(training_seconds(project, "dino"))
    yield "kedro run (dino, all five stages), s", summary(full)
    yield "of it training, s", summary(training)
    yield "peak memory of kedro run, GB", summary([peak])
    ingest = [kedro(project, "run", "--pipelines", "ingest")[0] for _ in range(repeats)]
    yield "kedro run --pipelines ingest, s", summary(ingest)
    with tempfile.TemporaryDirectory() as folder:
        bare = bare_project(Path(folder))
        pairs = [(kedro(project, "--help")[0], kedro(bare, "--help")[0]) for _ in range(repeats)]
    ratios = [ours / theirs for ours, theirs in pairs]
    yield "kedro --help here / in a project without code", summary(ratios)


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


def summary(values: list[float]) -> dict[str, float]:
    """Return median, least and greatest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def quality(project: Path, seeds: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield shape -> metrics, each the mean over seeds, of every Data Morph shape with the defaults."""
    from pointillist import shapes

    for shape in shapes.names():
        runs: list[dict[str, float]] = []
        for seed in range(seeds if shape == "dino" else 1):
            parameters = f"shape={shape},seed={seed},tracking=false"
            kedro(project, "run", "--pipelines", "train,sample,evaluate", "--params", parameters)
            runs.append(
                json.loads(newest(project, f"08_reporting/{shape}/metrics.json/*/*").read_text())
            )
        yield shape, {name: statistics.mean(run[name] for run in runs) for name in runs[0]}


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "kedro", "mlflow", "numpy", "pointillist")},
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def report(record: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of results.md."""
    yield "# Results"
    yield ""
    yield "Written by `make bench`; the definitions stand in [docs/metrics.md](../docs/metrics.md)."
    yield ""
    yield ", ".join(f"{name} {value}" for name, value in record["machine"].items()) + "."
    yield ""
    yield "## Times"
    yield ""
    yield "| what | median | least | greatest |"
    yield "|---|---|---|---|"
    for name, value in record["times"].items():
        yield f"| {name} | {value['median']:.2f} | {value['min']:.2f} | {value['max']:.2f} |"
    yield ""
    yield "## Quality of the defaults"
    yield ""
    yield "n = 8000; each figure / its floor (a fresh draw of the truth), then the bound in nats."
    yield ""
    yield "| shape | " + " | ".join(NAMES) + " | kl_bound_nats |"
    yield "|---" * (len(NAMES) + 2) + "|"
    for shape, figures in record["quality"].items():
        cells = [f"{figures[n]:.3f} / {figures[f'{n}_floor']:.3f}" for n in NAMES]
        bound, error = figures["kl_bound_nats"], figures["kl_bound_nats_error"]
        yield f"| {shape} | " + " | ".join(cells) + f" | {bound:.4f} ± {error:.4f} |"


if __name__ == "__main__":
    main()
