"""Partitions are the same whoever draws them, and those that are there are not drawn again."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import psutil
import pytest

from pointillist.datasets import Partitions
from tests.projects import run, saved

MANY = {"partition": 3000}
FEW = {"steps": 4, "n_samples": 100}


@pytest.fixture
def trained(project):
    run(project, "train", tracking=False)
    return project


def sample(project, n=10_000, **many):
    options = {"sampling": FEW, "many": MANY | many, "tracking": False}
    run(project, "sample_many", n=n, **options)
    return json.loads(saved(project, "many_summary")[-1].read_text())


def parts(project):
    return sorted(project.glob("data/07_model_output/dino/many/*/part-*.parquet"))


def test_partitions_hold_as_many_points_as_were_asked_for(trained):
    summary = sample(trained)
    assert (summary["partitions"], summary["drawn now"]) == (4, 4)
    tables = [pd.read_parquet(path) for path in parts(trained)]
    assert [len(table) for table in tables] == [3000, 3000, 3000, 1000]
    assert all(list(table.columns) == ["x", "y"] for table in tables)
    assert not tables[0].equals(tables[1])


def test_what_is_there_is_kept_and_what_is_damaged_or_missing_is_drawn_again(trained):
    first = sample(trained)
    kept, cut, gone, changed = parts(trained)
    before = kept.stat().st_mtime_ns
    cut.write_bytes(cut.read_bytes()[:-10])
    gone.unlink()
    content = bytearray(changed.read_bytes())
    content[2000:2100] = bytes(byte ^ 255 for byte in content[2000:2100])
    changed.write_bytes(content)
    again = sample(trained)
    assert again["drawn now"] == 3
    assert again["digest"] == first["digest"]
    assert kept.stat().st_mtime_ns == before
    # Whole, but another's.
    cut.write_bytes(kept.read_bytes())
    again = sample(trained, n=1e4)
    assert (again["drawn now"], again["digest"]) == (1, first["digest"])
    less = sample(trained, n=7000)
    assert (less["partitions"], less["drawn now"]) == (3, 3)
    assert less["folder"] != first["folder"], "what was asked for before stays as it is"


def test_another_seed_or_sampler_goes_into_another_folder(trained):
    sample(trained)
    run(trained, "sample_many", n=3000, sampling=FEW, many=MANY, seed=1, tracking=False)
    run(trained, "sample_many", n=3000, sampling=FEW | {"steps": 5}, many=MANY, tracking=False)
    assert len({path.parent for path in parts(trained)}) == 3


def test_two_workers_draw_the_same_as_one_even_if_one_of_them_is_killed(trained):
    alone = sample(trained, n=60_000, partition=5000)
    folder = parts(trained)[0].parent
    expected = [Partitions(folder).digest(i, 5000) for i in range(12)]
    for path in parts(trained):
        path.unlink()
    given = "n=60000,many.partition=5000,many.workers=2,tracking=false,threads=1"
    given += f",sampling.steps={FEW['steps']},sampling.n_samples={FEW['n_samples']}"
    process = subprocess.Popen(
        [sys.executable, "-m", "kedro", "run", "--pipelines", "sample_many", "--params", given],
        cwd=trained,
        env={**os.environ, "PYTHONPATH": str(trained / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not parts(trained):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    workers = [
        c for c in psutil.Process(process.pid).children() if "spawn" in " ".join(c.cmdline())
    ]
    os.kill(workers[-1].pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert [Partitions(folder).digest(i, 5000) for i in range(12)] == expected
    summary = json.loads(saved(trained, "many_summary")[-1].read_text())
    assert summary["digest"] == alone["digest"]
    assert not list(folder.glob(".writing-*"))
