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
from tests.projects import kedro_here, mlflow, run, saved


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


@pytest.mark.parametrize(
    ("share", "n", "what", "cure"),
    [
        (0.9, 20, "18 of the 20 different points of here; at least 3 must be left", "Lower"),
        (0.9, 3, "3 of the 3 different points of here; a mean over fewer than 10", "Raise"),
        (0.04, 10, "0 of the 10 different points of here; a mean over fewer than 10", "Raise"),
        (0.09, 100, "9 of the 100 different points of here; a mean over fewer than 10", "Raise"),
    ],
)
def test_too_few_points_are_refused(share, n, what, cure):
    with pytest.raises(PointillistError) as error:
        hold_out(table(n), share, seed=0, source="here")
    said = f"data.held_out={share:g} holds out {what}"
    assert str(error.value).startswith(said)
    assert str(error.value).endswith(f"{cure} it, or add points.")


def test_rows_at_one_place_are_all_learnt_or_all_held_out():
    """A model must not have seen what it is asked about."""
    places = np.random.default_rng(0).normal(size=(60, 2)).repeat([1, 2, 3] * 20, axis=0)
    shuffled = np.random.default_rng(1).permutation(places)
    for seed in range(20):
        marked = hold_out(pd.DataFrame(shuffled, columns=["x", "y"]), 0.3, seed, "here")
        parts = [split(marked, held_out=which).points for which in (False, True)]
        kept, out = ({tuple(point) for point in part} for part in parts)
        assert not kept & out
        assert 36 <= len(parts[1]) <= 38


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
    # What its bandwidth was chosen by is shown, and goes to MLflow.
    run(project, "render", node="render.draw_bandwidth", **given | {"tracking": True})
    (picture,) = saved(project, "bandwidth")
    assert picture.read_bytes().startswith(b"\x89PNG")
    client, (recorded,) = mlflow(project)
    kept = [file.path for file in client.list_artifacts(recorded.info.run_id, "reporting")]
    assert kept == ["reporting/bandwidth.png"]


def test_what_is_learnt_is_said(project):
    table(300).to_csv(project / "data/01_raw/mine.csv", index=False)
    given = "shape=mine,data.bandwidth=auto,data.held_out=0.2"
    done = kedro_here(project, "run", "--pipelines", "ingest", "--params", given)
    (points,) = saved(project, "shape_points")
    width = pd.read_parquet(points).attrs["leave_one_out"]["bandwidth"]
    assert f"240 points, width {width:.2g} chosen" in done.stdout
    assert "chosen by leave-one-out; 60 held out" in done.stdout
    refused = kedro_here(
        project, "run", "--pipelines", "ingest", "--params", "shape=moons,data.held_out=0.2"
    )
    assert refused.exit_code == 1
    assert "source.sampled=N" in refused.stderr


REFUSED = {
    "places that all but coincide in pairs": (
        np.repeat(np.random.default_rng(0).normal(size=(20, 2)), 2, axis=0)
        + np.tile([[0.0], [1e-9]], (20, 1)),
        "data.bandwidth=auto",
        ["data.bandwidth=auto: the likelihood", "small end", "data.bandwidth=0.01"],
    ),
    "too few held out": (
        [[0.0, 0.0], [1.0, 0.0], [2.0, 1.0]],
        "data.bandwidth=auto,data.held_out=0.4",
        ["data.held_out=0.4 holds out 1 of the 3", "Raise it, or add points."],
    ),
    "too few left": (
        np.random.default_rng(0).normal(size=(20, 2)),
        "data.held_out=0.9",
        [
            "data.held_out=0.9 holds out 18 of the 20",
            "at least 3 must be left",
            "Lower it, or add points.",
        ],
    ),
    "one place": (
        np.full((50, 2), 0.3),
        "data.bandwidth=auto",
        ["1 distinct point; a shape needs at least 3", "Add points."],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_says_no_density_is_refused_before_anything_is_written(project, name):
    points, given, said = REFUSED[name]
    pd.DataFrame(points, columns=["x", "y"]).to_csv(project / "data/01_raw/mine.csv", index=False)
    before = set(project.rglob("*"))
    refused = kedro_here(project, "run", "--params", f"shape=mine,{given}")
    assert refused.exit_code == 1
    (message,) = refused.stderr.strip().splitlines()
    assert all(words in message for words in said), message
    # Kedro-Viz notes every run that begins, and so do we: its id is taken.
    others = {"__pycache__", ".viz", ".versions"}
    assert not [p for p in {*project.rglob("*")} - before if not others & {*p.parts}]


def test_all_places_twice_are_the_places(project):
    """Copies of a point don't tell of each other, so the bandwidth is that of the points."""
    for name, rows in (("once", table(40)), ("twice", pd.concat([table(40)] * 2))):
        rows.to_csv(project / f"data/01_raw/{name}.csv", index=False)
        given = {"data": {"bandwidth": "auto"}, "shape": name, "tracking": False}
        run(project, "ingest", **given)
    once, twice = (
        pd.read_parquet(path).attrs["leave_one_out"]["bandwidth"]
        for path in sorted(saved(project, "shape_points"))
    )
    assert once == pytest.approx(twice)
