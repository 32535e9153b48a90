"""Points that are held out are neither learnt nor part of the truth, and are measured on."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import make_moons
from torch import nn

from pointillist import diffusion, shapes
from pointillist.diffusion.config import Data, Evaluation, Network, Schedule
from pointillist.errors import PointillistError
from pointillist.models import TrainedDenoiser, measures
from pointillist.shapes.points import Components, hold_out, split
from tests.projects import kedro_here, run, saved


def table(n: int) -> pd.DataFrame:
    return pd.DataFrame(make_moons(n, noise=0.1, random_state=0)[0], columns=["x", "y"])


def test_rows_are_either_learnt_or_held_out():
    marked = hold_out(table(100), 0.3, seed=0, source="moons")
    kept, out = split(marked).points, split(marked, held_out=True).points
    assert (len(kept), len(out)) == (70, 30)
    both = np.concatenate((kept, out))
    np.testing.assert_array_equal(np.sort(both, 0), np.sort(table(100).to_numpy(), 0))
    again = split(hold_out(table(100), 0.3, seed=0, source="moons"), held_out=True).points
    other = split(hold_out(table(100), 0.3, seed=1, source="moons"), held_out=True).points
    np.testing.assert_array_equal(out, again)
    assert not np.array_equal(out, other)
    assert len(split(table(5), held_out=True).points) == 0


@pytest.mark.parametrize(("share", "n"), [(0.9, 10), (0.04, 10)])
def test_too_few_points_are_refused(share, n):
    with pytest.raises(
        PointillistError, match=f"data.held_out={share:g} of the {n} points of here"
    ):
        hold_out(table(n), share, seed=0, source="here")


class Exact(nn.Module):
    """The exact denoiser in a network's place."""

    def __init__(self, density, path):
        super().__init__()
        self.path, self.answer = path, diffusion.denoiser.exact_denoiser(density, path)

    def forward(self, x, t):
        return self.answer(x.double(), t).to(x)


def test_with_perfect_scores_the_model_has_the_surprise_of_the_truth():
    points, out = table(200).to_numpy(), make_moons(300, noise=0.1, random_state=1)[0]
    weights = np.random.default_rng(0).uniform(0.5, 2, 300)
    path = diffusion.schedules.make_path(Schedule())
    model = TrainedDenoiser(
        denoiser=diffusion.denoiser.Denoiser(Network(), path),
        points=points,
        normalizer=shapes.Normalizer.fit(points),
        shape="moons",
        parameters={"data": Data(bandwidth=0.2).model_dump(mode="json")},
        held_out=Components(out, weights),
    )
    object.__setattr__(model, "denoiser", Exact(model.density, path))
    evaluation = Evaluation(ode_steps=100, ode_draws=300)
    found = measures._held_out(model, "moments", evaluation, torch.device("cpu"))
    assert found["nll_held_out"] == pytest.approx(found["nll_held_out_floor"], abs=0.01)
    x = torch.from_numpy(model.normalizer.apply(out))
    log_scale = math.log(np.prod(model.normalizer.scale))
    direct = np.average(log_scale - model.density.log_prob(x).numpy(), weights=weights)
    assert found["nll_held_out_floor"] == pytest.approx(direct, abs=1e-3)


def test_a_file_is_learnt_in_part_and_measured_on_the_rest(project):
    table(300).to_csv(project / "data/01_raw/mine.csv", index=False)
    given = {"data": {"bandwidth": "auto", "held_out": 0.2}, "shape": "mine", "tracking": False}
    run(project, "train", "sample", "evaluate", **given)
    model = TrainedDenoiser.read(saved(project, "denoiser")[0])
    assert (len(model.points), len(model.held_out.points)) == (240, 60)
    metrics = json.loads(saved(project, "metrics")[0].read_text())
    x = torch.from_numpy(model.normalizer.apply(model.held_out.points))
    direct = math.log(np.prod(model.normalizer.scale)) - model.density.log_prob(x)
    assert metrics["nll_held_out_floor"] == pytest.approx(direct.mean().item(), abs=0.01)
    assert metrics["nll_held_out"] > metrics["nll_held_out_floor"]
    assert 0 <= metrics["memorised_floor"] < 0.3
    assert metrics.keys() >= {"memorised", "memorised_truth"}
    assert 0 < metrics["nll_held_out_floor_error"] < 2 * metrics["nll_held_out_error"] < 1
    # The model is taken for what it is, though the file has more points.
    run(project, "sample", **given)


def test_what_is_learnt_is_said(project):
    table(300).to_csv(project / "data/01_raw/mine.csv", index=False)
    given = "shape=mine,data.bandwidth=auto,data.held_out=0.2"
    done = kedro_here(project, "run", "--pipelines", "ingest", "--params", given)
    assert "240 points, width 0." in done.stdout
    assert "chosen by leave-one-out; 60 held out" in done.stdout
    refused = kedro_here(
        project, "run", "--pipelines", "ingest", "--params", "shape=moons,data.held_out=0.2"
    )
    assert refused.exit_code == 1
    assert "source.sampled=N" in refused.stderr
