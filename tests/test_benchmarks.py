import itertools
import json
import logging

import pytest
import torch
from kedro.framework.startup import bootstrap_project

from benchmarks import __main__ as command
from benchmarks import common, experiments, gpu, learning, machine, memorising, quality, race, truth
from pointillist.groups import nested

NAMES = ("off_manifold", "nn95", "coverage", "tv", "sw2")


def test_in_process_figures_are_those_of_kedro_run():
    overrides = {**common.SMOKE, "shape": "cat", "seed": 3}
    task = learning.make_task(learning.read_parameters("base", {**overrides, "device": "cpu"}))
    here = learning.score(task, learning.learn(task, 3)[0], 3)
    with common.project_copy() as project:
        bootstrap_project(project)
        level = logging.getLogger("pointillist").level
        there = common.kedro_metrics(project, "base", overrides)
    assert logging.getLogger("pointillist").level == level
    # Points pass through a file and a frame there, which may turn a last bit.
    expected = {name: pytest.approx(there[name], rel=1e-12) for name in NAMES}
    assert {name: here[name] for name in NAMES} == expected


def test_presets_are_read_as_kedro_merges_them():
    parameters = learning.read_parameters("tiny_tiny_diffusion", {"training.batch_size": 7})
    assert (parameters.training.steps, parameters.training.batch_size) == (125_000, 7)
    assert parameters.network.tied
    assert parameters.evaluation == learning.read_parameters("base", {}).evaluation


def test_torchs_adam_trains_to_the_same_weights():
    overrides = {**common.SMOKE, "training.optimizer": "adam", "training.batch_size": 64}
    task = learning.make_task(learning.read_parameters("base", {**overrides, "device": "cpu"}))
    ours, _ = learning.learn(task, 0)
    torchs, _ = learning.learn(task, 0, experiments.torch_adam(foreach=True))
    for a, b in zip(ours.parameters(), torchs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_race_takes_the_fewest_steps_that_serve_every_seed():
    needed = {0: 50, 1: 300, 100: 120}
    tried = []

    def reaches(steps: int, seed: int) -> bool:
        tried.append(steps)
        return steps >= needed[seed]

    found = race.fewest_steps(reaches, list(needed))
    assert 300 <= found < 300 * race.GROWTH + 1
    assert all(a <= b for a, b in itertools.pairwise(tried))


def test_race_is_won_only_in_all_metrics():
    target = dict.fromkeys(race.NAMES, 0.1)
    assert race.as_good(target, target)
    for name in race.NAMES:
        assert not race.as_good({**target, name: 0.11}, target)


def test_quality_averages_ratios_and_names_the_worst_shape():
    def run(sw2: float, nats: float) -> dict[str, float]:
        return {"sw2": sw2, "sw2_floor": 0.5, "kl_bound_nats": nats, "kl_prior_nats": 9.0}

    summary = quality.summarize({"a": [run(0.5, 1), run(1.5, 2)], "b": [run(1, 1), run(1, 1)]})
    assert summary == {
        "sw2 / floor, mean over shapes and seeds": pytest.approx(2.0),
        "kl_bound_nats, worst shape": pytest.approx(1.5),
    }


def test_failing_part_leaves_the_record_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    monkeypatch.setattr(machine, "measure", lambda options: {"cores": 1, "accelerator": None})
    command.measure("machine", common.Options())
    before = (tmp_path / "results.json").read_text()
    with monkeypatch.context() as patched:
        patched.setattr(quality, "measure", lambda options: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            command.measure("quality", common.Options())
    assert (tmp_path / "results.json").read_text() == before


def test_record_of_another_machine_is_not_mixed_in(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    old = {"machine": {"cores": 64, "accelerator": None}, "times": {}}
    (tmp_path / "results.json").write_text(json.dumps(old))
    monkeypatch.setattr(machine, "measure", lambda options: {"cores": 2, "accelerator": None})
    command.measure("machine", common.Options())
    assert set(json.loads((tmp_path / "results.json").read_text())) == {"machine"}


def test_figures_that_were_measured_elsewhere_enter_the_record(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    monkeypatch.setattr(machine, "measure", lambda options: {"cores": 1, "accelerator": None})
    row = {"seconds": 1.5, "gigabytes": 0.25, "nats": 0.0123, "times one": 1.75}
    figures = {
        "device": "Some GPU",
        "torch": "2",
        "cuda": "13",
        **{section: {f"{section} of dino": row} for section in gpu.COLUMNS},
    }
    monkeypatch.setattr(gpu, "measure", lambda options: figures)
    kept = tmp_path / "figures.json"
    command.measure("gpu", common.Options(), out=kept)
    assert not (tmp_path / "results.json").exists()
    command.measure("gpu", common.Options(), taken=kept)
    assert json.loads((tmp_path / "results.json").read_text())["gpu"] == figures
    report = (tmp_path / "results.md").read_text()
    assert "Some GPU, torch 2, CUDA 13." in report
    assert "| ensembles of dino | 1.50 | 1.75 | 0.0123 | 0.25 |" in report


def test_parameters_are_read_as_on_kedros_command_line():
    read = common.parse("training.steps=50,shape=cat,sampling.rho=null")
    assert nested(read) == {
        "training": {"steps": 50},
        "shape": "cat",
        "sampling": {"rho": None},
    }


def test_fresh_draws_come_with_the_density_of_their_formula_in_the_coordinates_of_a_task():
    exact = learning.make_task(learning.read_parameters("base", {"shape": "moons"}))
    x, logs = truth.fresh_draws(exact, 500, 3)
    torch.testing.assert_close(logs, exact.density.log_prob(x))
    # The same draws in coordinates that are two and three times as wide.
    wide = {"shape": "moons", "source.sampled": 50, "data.center": [0, 0], "data.scale": [2, 3]}
    there, logs_there = truth.fresh_draws(
        learning.make_task(learning.read_parameters("base", wide)), 500, 3
    )
    original = torch.from_numpy(exact.model.original(x))
    torch.testing.assert_close(there, original / torch.tensor([2.0, 3.0]).double())
    unit = torch.tensor(exact.model.normalizer.scale).log().sum()
    torch.testing.assert_close(logs_there, logs - unit + torch.tensor(6.0).double().log())


def test_memorising_is_measured_beside_its_floors(monkeypatch):
    monkeypatch.setattr(memorising, "NUMBERS", (300,))
    monkeypatch.setattr(memorising, "WIDTHS", {"0.01": 0.01})
    short = {**common.SMOKE, "evaluation.ode_steps": 8, "sampling.steps": 4}
    monkeypatch.setattr(common, "SMOKE", short)
    figures = memorising.measure(common.Options(smoke=True))
    run = figures["sampled"]["300"]
    # Dots of next to no width are the points themselves; what is new repeats one in nine by chance.
    assert run["truth"] > 0.95
    assert run["fresh"] == pytest.approx(1 / 9, abs=0.06)
    first, last = run["rows"]
    assert last["loss"] < first["loss"]
    assert last["nats"] < first["nats"]
    report = list(memorising.report(figures))
    assert sum(line.startswith("| 300 | ") for line in report) == 1
    assert sum(line.startswith("| 0.01 | ") for line in report) == 1
