"""Ratios to an earlier commit: whole runs of both in alternation, stage by stage."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.common import BASE, PROJECT, Figures, Options, say, summary, table

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
    return {
        f"{what}, ratio": summary(pair["here"][what] / pair["base"][what] for pair in pairs)
        for what in pairs[0]["here"]
    }


def report(figures: Figures) -> Iterator[str]:
    """Yield the lines of the section."""
    yield f"This tree's time over that of commit {BASE}, pair by pair in one run: less is better."
    yield ""
    yield from table(
        ("", "median", "least", "greatest"),
        (
            (name, *(f"{values[k]:.2f}" for k in ("median", "min", "max")))
            for name, values in figures.items()
        ),
    )


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


def _run(project: Path, parameters: str) -> dict[str, float]:
    """Run the default pipeline in a process of its own; return its seconds and those of its nodes."""
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, "-m", "kedro", "run"]
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
