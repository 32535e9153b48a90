"""Ratios to an earlier commit, in alternation: whole runs stage by stage, and trainings to its bounds.

A training of this tree ends when its bound is proven to be that of the earlier commit's training of the
same shape, or 0.01 nats where that is more.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.common import BASE, HELD_OUT, PROJECT, Figures, Options, say, summary, table

TITLE = "Beside release 0.1.0"

_NODE = re.compile(r"^(\w+) +(\w+) +([\d.]+) s$", re.MULTILINE)
_NODES = {
    "train": "train_denoiser",
    "sample": "run_reverse_chain",
    "evaluate": "measure_samples",
}


def measure(options: Options) -> Figures:
    """Return name -> median, least and greatest of each time's ratio to that of the base."""
    with trees(BASE) as projects:
        given = ",".join(f"{k}={v}" for k, v in options.shortened.items())
        # Caches are filled, and the database is made, before anything is timed.
        for project in projects.values():
            _run(project, "shape=pi,training.steps=2,rendering.frames=2")
        pairs = []
        for repeat in range(options.repeats):
            pairs.append({name: _run(p, given) for name, p in projects.items()})
            say(f"releases: pair {repeat + 1} of {options.repeats}")
        shapes = {name: _trainings(projects, name, options) for name in _names(options)}
    ratios = {
        f"{what}, ratio": summary(pair["here"][what] / pair["base"][what] for pair in pairs)
        for what in pairs[0]["here"]
    }
    return {"ratios": ratios, "trainings": shapes}


def report(figures: Figures) -> Iterator[str]:
    """Yield the lines of the section."""
    yield f"This tree's time over that of commit {BASE}, pair by pair in one run: less is better."
    yield ""
    yield from table(
        ("", "median", "least", "greatest"),
        (
            (name, *(f"{values[k]:.2f}" for k in ("median", "min", "max")))
            for name, values in figures["ratios"].items()
        ),
    )
    trainings: dict[str, dict[str, dict[str, float]]] = figures["trainings"]
    sums = [sum(row[side]["seconds"] for row in trainings.values()) for side in ("here", "base")]
    yield (
        "Training with the defaults, once each, to that commit's bound, or to 0.01 nats if that is more: "
        f"{sums[0]:.1f} s over all shapes beside {sums[1]:.1f} s, ratio {sums[0] / sums[1]:.2f}. The "
        "bounds are those of the evaluation, on other draws than the training's proof."
    )
    yield ""
    yield from table(
        ("shape", "s, here", "s, there", "kl_bound_nats, here", "kl_bound_nats, there"),
        (
            (
                name,
                *(f"{row[side]['seconds']:.1f}" for side in ("here", "base")),
                *(
                    f"{row[side]['nats']:.4f} ± {row[side]['error']:.4f}"
                    for side in ("here", "base")
                ),
            )
            for name, row in trainings.items()
        ),
    )


def _names(options: Options) -> tuple[str, ...]:
    from pointillist.shapes.data_morph import STARTERS

    return options.shapes or (STARTERS[:1] if options.smoke else STARTERS)


def _trainings(
    projects: dict[str, Path], shape: str, options: Options
) -> dict[str, dict[str, float]]:
    """Train a shape there, and here to the bound that was reached; return seconds and bounds of both."""
    given = {**options.shortened, "shape": shape, "seed": HELD_OUT, "tracking": False}
    found: dict[str, dict[str, float]] = {}
    for name, project in projects.items():
        if found:
            given |= {"training.until": max(0.01, found["base"]["nats"]), "training.steps": 10_000}
        parameters = ",".join(f"{key}={value}" for key, value in given.items())
        seconds = _run(project, parameters, "--pipelines", "train,sample,evaluate")["train"]
        files = project.glob(f"data/08_reporting/{shape}/metrics.json/*/*.json")
        metrics = json.loads(max(files, key=lambda file: file.parent.name).read_text())
        nats, error = metrics["kl_bound_nats"], metrics["kl_bound_nats_error"]
        found[name] = {"seconds": seconds, "nats": nats, "error": error}
        say(f"releases: {shape}, {name}: {nats:.4f} nats after {seconds:.1f} s")
    return found


@contextmanager
def trees(commit: str) -> Iterator[dict[str, Path]]:
    """Check out a commit as "base" and copy this tree as "here", for as long as the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        _git("worktree", "add", "--detach", str(base), commit)
        try:
            yield {"base": base, "here": _copy(Path(folder) / "here")}
        finally:
            _git("worktree", "remove", "--force", str(base))


def _run(project: Path, parameters: str, *options: str) -> dict[str, float]:
    """Run the default pipeline in a process of its own; return its seconds and those of its nodes."""
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, "-m", "kedro", "run", *options]
    command += ["--params", parameters] if parameters else []
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=True
    )
    wall = time.perf_counter() - started
    seconds = {node: float(took) for _, node, took in _NODE.findall(done.stdout + done.stderr)}
    return {"whole run": wall, **{stage: seconds[node] for stage, node in _NODES.items()}}


def _copy(target: Path) -> Path:
    """Copy this tree as it stands, uncommitted changes included."""
    target.mkdir()
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in names:
        if (source := PROJECT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(source.read_bytes())
    return target


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=PROJECT, check=True, capture_output=True)
