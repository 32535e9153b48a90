"""Runs that are killed at random moments leave whole versions, a sound database, and no litter."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import time

import pandas as pd
import pytest
from PIL import Image

from pointillist.models.tensors import decode
from tests.projects import QUICK_TEXT, kedro, mlflow, saved

PARAMETERS = f"{QUICK_TEXT},training.steps=60,training.checkpoint_seconds=0"
LOADERS = {
    ".safetensors": lambda path: decode(path.read_bytes(), str(path)),
    ".parquet": pd.read_parquet,
    ".csv": pd.read_csv,
    ".json": lambda path: json.loads(path.read_text()),
    ".png": lambda path: Image.open(path).load(),
    ".gif": lambda path: Image.open(path).load(),
}


def start(project, parameters):
    return subprocess.Popen(
        [sys.executable, "-m", "kedro", "run", "--params", parameters],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def versions(project):
    return [p for p in project.glob("data/*/*/*.*/*/*") if p.is_file()]


def load_all(paths):
    for path in paths:
        LOADERS[path.suffix](path)


def survive(project, kills, seed, record_property):
    """Kill `kills` runs, each at a moment drawn from all of its duration, and look after each."""
    draw = random.Random(seed)
    began = time.monotonic()
    run = start(project, PARAMETERS)
    while not versions(project):
        time.sleep(0.01)
    first_output = time.monotonic() - began
    assert run.wait() == 0
    duration = time.monotonic() - began
    load_all(known := versions(project))
    killed = 0
    while killed < kills:
        resume = draw.choice(("true", "false"))
        run = start(project, f"{PARAMETERS},resume={resume}")
        # A little earlier than the first output, so that the database is hit, too.
        time.sleep(draw.uniform(0.7 * first_output, duration))
        run.kill()
        killed += run.wait() == -9
        new = [p for p in versions(project) if p not in known]
        load_all(new)
        known += new
        database = sqlite3.connect(project / "mlflow.db")
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        database.close()
    record_property("kills survived", killed)
    record_property("versions that loaded after kills", len(known))
    model = max(p.parent.name for p in saved(project, "denoiser"))
    sampled = kedro(project, "run", "--pipelines", "sample", "--params", PARAMETERS)
    assert sampled.returncode == 0, sampled.stderr
    assert (
        decode(saved(project, "reverse_chain")[-1].read_bytes(), "").metadata["model_version"]
        == model
    )
    # Whatever was interrupted can be finished; after that nothing is left of it.
    for _ in range(kills + 1):
        ended = kedro(project, "run", "--params", f"{PARAMETERS},resume=true")
        assert ended.returncode == 0, ended.stderr
        if "was interrupted" in ended.stderr:
            break
    assert not list(project.rglob(".writing-*"))
    assert not list(project.glob("data/06_models/*/training_states/*"))
    assert not list(project.glob(".mlflow-outbox/*"))
    load_all(versions(project))
    _, runs = mlflow(project)
    statuses = {run.info.status for run in runs}
    assert statuses <= {"FINISHED", "KILLED"}
    assert runs[-1].info.status == "FINISHED"


def test_killed_runs_leave_nothing_half(project, record_property):
    survive(project, 3, seed=1, record_property=record_property)


@pytest.mark.soak
def test_many_killed_runs_leave_nothing_half(project, record_property):
    survive(project, 80, seed=2, record_property=record_property)
