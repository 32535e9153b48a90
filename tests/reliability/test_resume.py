"""A training that is stopped, however it is stopped, goes on to the same bits."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from pointillist.errors import PointillistError
from pointillist.models.tensors import decode
from tests.projects import mlflow, run, saved

LONG = {"steps": 400, "batch_size": 64, "report_every": 10, "checkpoint_seconds": 0.0}
"""Long enough to be stopped: a state is kept at every report."""


def states(project):
    return sorted(project.glob("data/06_models/dino/training_states/*/step-*"))


def start(project, *parameters):
    """Train in a process of its own."""
    given = ",".join(["threads=1", *(f"training.{k}={v}" for k, v in LONG.items()), *parameters])
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    return subprocess.Popen(
        [sys.executable, "-m", "kedro", "run", "--pipelines", "train", "--params", given],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def stop(project, process, sent, after):
    """Send a signal once so many steps are kept."""
    give_up = time.monotonic() + 100
    while not (kept := states(project)) or int(kept[-1].stem[5:]) < after:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < give_up
        time.sleep(0.005)
    process.send_signal(sent)
    output, _ = process.communicate(timeout=60)
    assert "Traceback" not in output
    return process.returncode


def resume(project, **training):
    return run(project, "train", threads=1, training=LONG | training, resume=True)


def newest(project, name):
    return decode(saved(project, name)[-1].read_bytes(), name).tensors


@pytest.mark.parametrize(
    "sent",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.soak),
        pytest.param(signal.SIGINT, marks=pytest.mark.soak),
    ],
)
def test_stopped_training_goes_on_to_the_same_bits(project, sent):
    run(project, "train", threads=1, training=LONG)
    whole = {name: newest(project, name) for name in ("denoiser", "training_snapshots")}
    assert stop(project, start(project), sent, after=150) in {-9, 130, 143}
    # Killed between writing the newest and removing the oldest, it leaves three.
    assert 2 <= len(states(project)) <= 3
    assert len(saved(project, "denoiser")) == 1
    resume(project)
    for name, expected in whole.items():
        tensors = newest(project, name)
        assert all(torch.equal(tensors[key], value) for key, value in expected.items())
    assert not (project / "data/06_models/dino/training_states").exists()
    _, (_, stopped, resumed) = mlflow(project)
    assert [r.info.status for r in (stopped, resumed)] == ["KILLED", "FINISHED"]
    assert resumed.data.tags["resumed_run_id"] == stopped.info.run_id
    assert stopped.info.run_id in resumed.data.tags["mlflow.note.content"]


@pytest.mark.soak
def test_training_that_is_killed_again_and_again_ends_the_same(project):
    run(project, "train", threads=1, training=LONG)
    whole = newest(project, "denoiser")
    assert stop(project, start(project), signal.SIGKILL, after=60) == -9
    for after in (150, 250):
        assert stop(project, start(project, "resume=true"), signal.SIGKILL, after=after) == -9
    resume(project)
    assert all(torch.equal(newest(project, "denoiser")[k], v) for k, v in whole.items())
    assert not (project / "data/06_models/dino/training_states").exists()
    _, runs = mlflow(project)
    assert [r.info.status for r in runs] == ["FINISHED", *["KILLED"] * 3, "FINISHED"]


def test_changed_parameters_are_refused_with_the_difference_and_more_steps_are_allowed(
    project, caplog
):
    assert stop(project, start(project), signal.SIGKILL, after=100) == -9
    kept = states(project)
    with pytest.raises(PointillistError, match=r"interrupted.*train.*resume=true"):
        run(project, "sample")
    for changed, said in (
        ({"learning_rate": 0.01}, "training.learning_rate: 0.0075 there, 0.01 now"),
        ({"steps": 300}, r"training.steps: 400 there, 300 now \(only more are allowed\)"),
    ):
        with pytest.raises(PointillistError, match=said):
            resume(project, **changed)
    with pytest.raises(PointillistError, match="seed: 0 there, 1 now"):
        run(project, "train", threads=1, training=LONG, resume=True, seed=1)
    assert states(project) == kept
    caplog.clear()
    resume(project, steps=420, until=None, report_every=30)
    assert "training.steps was 400 there, and is 420 now" in caplog.text
    assert "training.until was 0.01 there, and is null now" in caplog.text
    assert not states(project)


def test_a_training_that_was_given_up_stands_in_nobodys_way(project, caplog):
    """A later one came to its end; the earlier can still be resumed with its own parameters."""
    assert stop(project, start(project), signal.SIGKILL, after=60) == -9
    kept = states(project)
    run(project, "train", threads=1, training=LONG | {"steps": 20})
    with caplog.at_level("INFO"):
        run(project, "train", threads=1, training=LONG | {"steps": 30}, resume=True)
    assert "this one starts anew" in caplog.text
    assert states(project) == kept
    resume(project)
    assert not states(project)


def test_without_an_interrupted_training_it_begins_at_the_beginning(project, caplog):
    with caplog.at_level("INFO"):
        resume(project, steps=20)
    assert "No training of dino was interrupted" in caplog.text
    assert len(saved(project, "denoiser")) == 1


def test_a_state_that_is_damaged_is_passed_over_for_the_one_before(project, caplog):
    run(project, "train", threads=1, training=LONG)
    whole = newest(project, "denoiser")
    assert stop(project, start(project), signal.SIGKILL, after=150) == -9
    states(project)[-1].write_bytes(b"rubbish")
    resume(project)
    assert "damaged" in caplog.text
    assert all(torch.equal(newest(project, "denoiser")[k], v) for k, v in whole.items())
