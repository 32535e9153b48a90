"""Numbers that are none stop a training; extreme parameters work or are refused with the reason."""

import json
import math
import re
from dataclasses import replace

import pytest
import torch

from pointillist.diffusion.batches import Batches
from pointillist.errors import PointillistError
from tests.projects import QUICK, kedro, kedro_here, mlflow, run, saved


def test_a_training_that_diverges_says_when_and_where_and_keeps_its_last_good_state(
    project, monkeypatch
):
    sound, calls = Batches.__next__, []

    def poisoned(batches):
        calls.append(1)
        batch = sound(batches)
        # Log sigma is the time of the default path.
        spoilt = batch.weight / (batch.t[:, None] > -3)
        return replace(batch, weight=spoilt, parts=()) if len(calls) >= 25 else batch

    monkeypatch.setattr(Batches, "__next__", poisoned)
    with pytest.raises(PointillistError) as caught:
        run(project, "train")
    first, second = str(caught.value).splitlines()
    assert "Training diverged: at step 25 the loss became infinite or NaN" in first
    assert "sigma/alpha from 0.002" in first
    assert re.search(r"to 0\.0[45]", first)
    assert "after step 24, is kept in" in first
    assert "Lower training.learning_rate" in second
    (kept,) = project.glob("data/06_models/dino/training_states/*/step-*")
    assert kept.stem == "step-000000024"
    assert not saved(project, "denoiser")
    _, (recorded,) = mlflow(project)
    assert recorded.info.status == "FAILED"
    assert "step 25" in recorded.data.tags["error"]


WORK = {
    "great rates": {"training": {"learning_rate": 10.0, "muon_learning_rate": 10.0}},
    "noise of 1e4": {"schedule": {"sigma_max": 1e4, "sigma_min": 1e-5}},
    "a chain from 1e4": {"sampling": {"sigma_max": 1e4}},
    "a bandwidth of 1e-4": {"data": {"bandwidth": 1e-4}},
    "a bandwidth of 1": {"data": {"bandwidth": 1.0}},
    "one point a batch": {"training": {"batch_size": 1}},
    "one step": {"training": {"steps": 1}, "sampling": {"steps": 1}},
    "a narrow, deep network": {"network": {"width": 4, "depth": 32}},
    "two timesteps": {"schedule": {"kind": "linear", "timesteps": 2}, "sampling": {"steps": 1}},
    "an average that forgets": {"training": {"averaging": None}},
    "tiny scale": {"data": {"scale": (1e-6, 1e6)}},
}


@pytest.mark.parametrize("name", WORK)
def test_extreme_parameters_work(project, name):
    """All that is measured is a number, or the training says that it diverged."""
    given = {group: QUICK.get(group, {}) | values for group, values in WORK[name].items()}
    try:
        run(project, "train", "sample", "evaluate", tracking=False, **given)
    except PointillistError as error:
        assert "diverged" in str(error)
        return
    metrics = json.loads(saved(project, "metrics")[0].read_text())
    # With two steps there are no fewer to tell the solver's error from.
    known = {k: v for k, v in metrics.items() if k != "kl_ode_nats_step_error" or "two" not in name}
    assert all(math.isfinite(value) for value in known.values())


REFUSED = {
    "data.bandwidth=1e-6": ("greater than or equal to 0.0001", "single precision"),
    "schedule.sigma_max=1e5": ("less than or equal to 10000", "single precision loses"),
    "training.learning_rate=11": ("less than or equal to 10", "Peak learning rate"),
    "training.learning_rate=1e999": ("finite", "Peak learning rate"),
    "schedule.kind=linear,schedule.beta_end=0.999": ("leave 0 of the shape", "Lower one of them"),
    "shape_file=one.csv": ("1 distinct point", "at least 3"),
}


@pytest.mark.parametrize("parameters", REFUSED)
def test_what_cannot_work_is_refused_with_the_bound_and_why(project, parameters):
    (project / "one.csv").write_text("x,y\n1,2\n")
    result = kedro_here(project, "run", "--params", parameters)
    assert result.exit_code == 1
    bound, why = REFUSED[parameters]
    assert bound in result.stderr
    assert why in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2


def test_the_same_command_gives_the_same_bits_in_another_process(project):
    """Model, chain, samples and metrics; what takes time, and when it was, is all that differs."""
    quick = "threads=1,training.steps=60,sampling.n_samples=500,evaluation.n_eval=500"
    quick += ",evaluation.ode_draws=64,evaluation.risk_draws=64,rendering.frames=4"
    for _ in range(2):
        assert kedro(project, "run", "--params", quick).returncode == 0
    from pointillist.models.tensors import decode

    for name in ("denoiser", "reverse_chain", "training_snapshots"):
        one, two = (decode(p.read_bytes(), name).tensors for p in saved(project, name))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)
    timed = {".safetensors", "training_history.csv"}
    files = [p for p in project.glob("data/*/*/*.*/*/*") if not timed & {p.suffix, p.name}]
    assert len(files) == 2 * 10
    for path in files:
        one, two = sorted(path.parents[1].glob(f"*/{path.name}"))
        assert one.read_bytes() == two.read_bytes(), path.name
