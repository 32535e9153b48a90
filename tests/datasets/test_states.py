"""States of trainings: the newest two, never of one that is alive, none once the model is there."""

import subprocess
import sys

import pytest
import torch
from kedro.io.core import DatasetError, Version

from pointillist.datasets import TrainingStatesDataset
from pointillist.datasets.states import TrainingStates, _held, _unlock
from pointillist.models.tensors import Tensors

ONE, TWO, THREE = (f"2026-01-0{day}T00.00.00.000Z" for day in (1, 2, 3))


def state(step):
    return Tensors({"x": torch.full((3,), float(step))}, {"kind": "training_state"})


@pytest.fixture(autouse=True)
def _locks():
    yield
    for folder in list(_held):
        _unlock(folder)


@pytest.fixture
def states(tmp_path):
    """Make the place of states of a training; what an earlier one left behind isn't locked any more."""

    def make(version):
        for folder in list(_held):
            _unlock(folder)
        return TrainingStates(tmp_path / "states", version, tmp_path / "denoiser.safetensors")

    return make


def finish(tmp_path, version):
    (tmp_path / "denoiser.safetensors" / version).mkdir(parents=True)
    (tmp_path / "denoiser.safetensors" / version / "denoiser.safetensors").touch()


def test_the_newest_two_are_kept(states, tmp_path):
    training = states(ONE)
    for step in (20, 40, 100, 1000):
        training.keep(step, state(step))
    names = sorted(p.name for p in training.place.glob("step-*"))
    assert names == ["step-000000100.safetensors", "step-000001000.safetensors"]


def test_the_newest_state_of_each_interrupted_training_comes_newest_first(states):
    for version, steps in ((ONE, (20, 40)), (TWO, (20,))):
        training = states(version)
        for step in steps:
            training.keep(step, state(step))
    found = [(version, s.tensors["x"][0].item()) for version, s in states(THREE).interrupted()]
    assert found == [(TWO, 20.0), (ONE, 40.0)]


def test_a_damaged_state_gives_way_to_the_one_before(states, caplog):
    training = states(ONE)
    for step in (20, 40):
        training.keep(step, state(step))
    newest = max(training.place.glob("step-*"))
    newest.write_bytes(newest.read_bytes()[:-1])
    ((_, found),) = states(TWO).interrupted()
    assert found.tensors["x"][0] == 20
    assert newest.name in caplog.text


def test_a_training_that_is_alive_is_not_taken_for_an_interrupted_one(states, tmp_path):
    code = (
        "import sys, torch; from pathlib import Path; from pointillist.models.tensors import Tensors;"
        "from pointillist.datasets.states import TrainingStates;"
        "states = TrainingStates(Path(sys.argv[1]), sys.argv[2], Path('no'));"
        "states.keep(20, Tensors({'x': torch.ones(3)}));"
        "print('kept', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "states"), ONE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "kept\n"
        assert list(states(TWO).interrupted()) == []
    finally:
        process.kill()
        process.wait()
    assert [version for version, _ in states(TWO).interrupted()] == [ONE]


def test_states_go_when_the_model_is_there_and_with_them_those_that_were_continued(
    states, tmp_path
):
    states(ONE).keep(20, state(20))
    later = states(TWO)
    assert [version for version, _ in later.interrupted()] == [ONE]
    later.continue_from(ONE)
    later.keep(40, state(40))
    latest = states(THREE)
    assert [version for version, _ in latest.interrupted()] == [TWO, ONE]
    latest.continue_from(TWO)
    latest.remove_finished()
    assert {p.name for p in (tmp_path / "states").iterdir()} == {ONE, TWO}
    finish(tmp_path, THREE)
    latest.remove_finished()
    assert not (tmp_path / "states").exists()


def test_the_dataset_is_a_place_and_nothing_is_saved_to_it(tmp_path):
    folder = str(tmp_path / "states")
    dataset = TrainingStatesDataset(filepath=folder, version=Version(None, ONE))
    assert dataset.load().place == tmp_path / "states" / ONE
    with pytest.raises(DatasetError, match="by the training only"):
        dataset.save(state(1))
    with pytest.raises(DatasetError, match="versioned: true"):
        TrainingStatesDataset(filepath=folder).load()


def test_a_training_that_was_killed_before_its_first_state_leaves_nothing(states, tmp_path):
    (tmp_path / "states" / ONE).mkdir(parents=True)
    (tmp_path / "states" / ONE / ".lock").touch()
    states(TWO).remove_finished()
    assert not (tmp_path / "states").exists()
