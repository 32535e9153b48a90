"""The report's "How to make it again" makes the same model and samples again, bit by bit."""

from __future__ import annotations

import re
import shlex
import shutil
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from pointillist import command_line
from pointillist.diffusion.config import Sampling
from pointillist.groups import nested
from pointillist.models import ReverseChain, TrainedDenoiser
from pointillist.parameters import Parameters
from pointillist.pipelines.report import again as report

QUICK = {
    "tracking": False,
    "training.steps": 20,
    "training.report_every": 10,
    "training.batch_size": 32,
    "sampling.steps": 5,
    "sampling.n_samples": 200,
}
# These change no model and no sample.
CHEAP = {
    "evaluation.n_eval": 200,
    "evaluation.noise_levels": 8,
    "evaluation.risk_draws": 64,
    "evaluation.ode_steps": 8,
    "evaluation.ode_draws": 64,
    "player.points": 20,
}
BOAT = Path(__file__).parents[2] / "docs" / "examples" / "boat.svg"

CASES = {
    "a word": (None, {"text": "oh, $7", "source.n_points": 80, "source.filled": True, "seed": 3}),
    "a file, fitted and given": (
        None,
        {"shape_file": "my boat, it.svg", "source.n_points": 70, "network.input_bandwidth": 5.0},
    ),
    "a preset, with pairs of numbers": ("tiny_diffusion", {"shape": "dino"}),
    "another preset": ("fast", {"shape": "heart", "threads": 1, "data.bandwidth": 0.02}),
}


def run(project: Path, *pipelines: str, env: str | None = None, **parameters: object) -> None:
    bootstrap_project(project)
    given = nested(parameters)
    with KedroSession.create(project, env=env, runtime_params=given) as session:
        session.run(pipeline_names=list(pipelines))


def again(project: Path, page: str) -> None:
    """Do what the page says, in a project without data: the stages that make model and samples."""
    found = re.search(r'<pre class="commands">(.*?)</pre>', page, re.DOTALL)
    assert found is not None
    bootstrap_project(project)
    for line in unescape(found[1]).splitlines():
        words = shlex.split(line)
        assert words[:3] == ["kedro", "run", "--params"]
        given = {"tracking": False, **command_line.read(words[3])}
        with KedroSession.create(project, runtime_params=given) as session:
            session.run(pipeline_names=["ingest", "train", "sample"])


def made(project: Path) -> tuple[TrainedDenoiser, np.ndarray]:
    (model,) = project.glob("data/06_models/*/denoiser.safetensors/*/*")
    (samples,) = project.glob("data/07_model_output/*/samples.parquet/*/*")
    return TrainedDenoiser.read(model), pd.read_parquet(samples).to_numpy()


@pytest.mark.parametrize("case", CASES)
def test_what_the_report_prints_makes_the_same_model_again(
    case: str, tmp_path: Path, copy_project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    first, second = copy_project(tmp_path / "first"), copy_project(tmp_path / "second")
    env, given = CASES[case]
    for project in (first, second):
        shutil.copy(BOAT, project / "my boat, it.svg")
    parameters = {**QUICK, **CHEAP, **given}
    monkeypatch.chdir(first)
    run(first, "ingest", "train", "sample", "evaluate", "report", env=env, **parameters)
    (page,) = first.glob("data/08_reporting/*/report.html/*/report.html")
    monkeypatch.chdir(second)
    again(second, page.read_text(encoding="utf-8"))
    (one, samples), (other, repeated) = made(first), made(second)
    assert one.shape == other.shape
    np.testing.assert_array_equal(one.points, other.points)
    for name, weights in one.denoiser.state_dict().items():
        assert torch.equal(weights, other.denoiser.state_dict()[name]), name
    np.testing.assert_array_equal(samples, repeated)


def model_and_chain(**changed: object) -> tuple[TrainedDenoiser, ReverseChain]:
    """The parts of a run that say how it was made."""
    parameters = Parameters().model_dump(mode="json")
    groups = {name: parameters[name] for name in ("data", "schedule", "network", "training")}
    origin = {name: parameters[name] for name in ("shape_file", "text", "source", "device")}
    about = {"shape": "dino", "seed": 0, "origin": origin, **changed}
    model = SimpleNamespace(
        shape=about["shape"], parameters={"seed": 0, **groups}, origin=about["origin"]
    )
    chain = SimpleNamespace(sampling=Sampling(), seed=about["seed"])
    return cast(TrainedDenoiser, model), cast(ReverseChain, chain)


def test_samples_of_another_seed_have_a_command_of_their_own() -> None:
    assert report.again(*model_and_chain()).commands == ["kedro run --params shape=dino"]
    assert report.again(*model_and_chain(seed=7)).commands == [
        "kedro run --params shape=dino",
        "kedro run --pipelines sample,evaluate,render --params shape=dino,seed=7",
    ]


def test_a_model_that_does_not_say_where_its_points_came_from_is_no_secret() -> None:
    assert report.again(*model_and_chain()).origin_is_known
    assert not report.again(*model_and_chain(origin={})).origin_is_known


@pytest.mark.parametrize(
    "word",
    ["a, b", "null", "007", "#a", "a: b", "&a", " a", "yes", "'a'", "!b", "a=b", "~", "a\\,b"],
)
def test_the_command_line_gives_every_word_back(word: str) -> None:
    (command,) = report.again(*model_and_chain(origin={"text": word})).commands
    assert command_line.read(shlex.split(command)[-1])["text"] == word


def test_a_pair_of_numbers_is_given_back() -> None:
    model, chain = model_and_chain()
    model.parameters["data"]["center"] = [54.0, 48.0]
    (command,) = report.again(model, chain).commands
    assert command_line.read(shlex.split(command)[-1])["data"] == {"center": [54.0, 48.0]}
