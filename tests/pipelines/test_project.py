"""The whole project, from a temporary copy: through KedroSession and through the command line."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pointillist import runtime, shapes
from pointillist.errors import PointillistError
from pointillist.models import ReverseChain, TrainedDenoiser
from pointillist.models.tensors import decode
from pointillist.shapes.naming import name_from
from tests.projects import QUICK, QUICK_TEXT, kedro, kedro_here, mlflow, run, saved


@pytest.fixture(scope="module")
def finished(tmp_path_factory, copy_project):
    """A project in which everything ran once, for several tests to look at."""
    project = copy_project(tmp_path_factory.mktemp("whole") / "project")
    return project, run(project)


def test_everything_is_saved_under_one_version(finished):
    project, session = finished
    names = ["shape_points", "normalizer", "denoiser", "training_history", "reverse_chain"]
    names += ["samples", "metrics", "risk_by_noise", "animation", "process", "loss", "risk"]
    for name in names:
        found = saved(project, name)
        assert found, name
        assert all(p.parent.name == session for p in found)
        assert all(p.parts[-4] == "dino" for p in found)


def test_samples_are_a_table_in_original_coordinates(finished):
    project, _ = finished
    samples = pd.read_parquet(next(p for p in saved(project, "samples") if p.suffix == ".parquet"))
    truth = shapes.load("dino", None, project / "data/01_raw")
    assert list(samples.columns) == ["x", "y"]
    assert len(samples) == 500
    spread = (samples.std() / truth.std()).to_numpy()
    assert ((spread > 0.5) & (spread < 2)).all()


def test_checkpoint_holds_all_that_belongs_together(finished):
    project, session = finished
    file = decode(saved(project, "denoiser")[0].read_bytes(), "denoiser")
    truth = shapes.load("dino", None, project / "data/01_raw").to_numpy()
    assert file.metadata["shape"] == "dino"
    assert file.metadata["shape_digest"] == shapes.digest(truth)
    assert file.metadata["version"] == session
    assert file.metadata["parameters"]["training"]["steps"] == 30
    model = TrainedDenoiser.from_tensors(file)
    np.testing.assert_allclose(model.original(model.density.anchors), truth)


def test_chain_is_bounded_and_ends_in_the_samples(finished):
    project, _ = finished
    chain = decode(saved(project, "reverse_chain")[0].read_bytes(), "chain")
    model = TrainedDenoiser.read(saved(project, "denoiser")[0])
    samples = pd.read_parquet(next(p for p in saved(project, "samples") if p.suffix == ".parquet"))
    assert chain.tensors["x"].shape == (7, 500, 2)
    np.testing.assert_array_equal(
        model.original(chain.tensors["x"][-1].double()), samples.to_numpy()
    )


def test_every_metric_has_its_floor(finished):
    project, _ = finished
    metrics = json.loads(saved(project, "metrics")[0].read_text())
    for name in ("off_manifold", "nn95", "coverage", "tv", "sw2", "energy", "mmd", "c2st"):
        assert np.isfinite([metrics[name], metrics[f"{name}_floor"]]).all()
    assert metrics["kl_bound_nats"] > 0
    assert metrics["kl_ode_nats"] + 4 * metrics["kl_ode_nats_error"] > 0
    assert np.isfinite(metrics["kl_ode_nats_step_error"])


def test_split_over_noise_adds_up_to_the_bound(finished):
    project, _ = finished
    metrics = json.loads(saved(project, "metrics")[0].read_text())
    risk = pd.read_csv(saved(project, "risk_by_noise")[0])
    assert list(risk) == ["noise_ratio_low", "noise_ratio_high", "nats", "nats_error"]
    total = risk["nats"].sum() + metrics["kl_prior_nats"]
    assert total == pytest.approx(metrics["kl_bound_nats"])
    np.testing.assert_allclose(risk.iloc[[0, -1], [0, 1]].to_numpy().diagonal(), [0.002, 20])


def test_animation_is_a_gif_that_loops_and_holds(finished):
    project, _ = finished
    picture = Image.open(io.BytesIO(saved(project, "animation")[0].read_bytes()))
    assert picture.n_frames == 8
    assert picture.size == (160, 160)
    assert picture.info["loop"] == 0


def test_run_is_tracked_with_all_that_was_asked_for(finished):
    project, session = finished
    client, (recorded,) = mlflow(project)
    info, data = recorded.info, recorded.data
    assert (info.status, info.run_name) == ("FINISHED", "dino")
    assert data.tags["kedro.session_id"] == session
    assert data.tags["shape"] == "dino"
    assert data.tags["device"] in {"cpu", "cuda", "mps"}
    assert data.params["training.steps"] == "30"
    assert data.params["training.learning_rate"] == "0.0075"
    assert data.params["sampling.sampler"] == "dpmpp_2m_sde"
    assert data.metrics["sw2_floor"] > 0
    losses = client.get_metric_history(info.run_id, "training/loss")
    assert [m.step for m in losses] == [10, 20, 30]
    for name in ("learning_rate", "steps_per_second", "gradient_norm", "loss_floor"):
        assert f"training/{name}" in data.metrics
    (shape,) = recorded.inputs.dataset_inputs
    truth = shapes.load("dino", None, project / "data/01_raw").to_numpy()
    assert (shape.dataset.name, shape.dataset.digest) == ("dino", shapes.digest(truth))
    uploaded = {
        Path(file.path).name
        for folder in client.list_artifacts(info.run_id)
        for file in client.list_artifacts(info.run_id, folder.path)
    }
    assert uploaded == {
        "denoiser.safetensors",
        "training_history.csv",
        "metrics.json",
        "risk_by_noise.csv",
        "animation.gif",
        "process.png",
        "loss.png",
        "risk.png",
        "samples.png",
    }
    assert not (project / "mlruns").exists()


def test_same_parameters_same_bits_with_any_number_of_threads(project, monkeypatch):
    monkeypatch.setattr(runtime, "_cores", lambda: 3)
    # Larger than a part of each kind, so that there is something to share.
    larger = {
        "training": QUICK["training"] | {"batch_size": 1200},
        "sampling": QUICK["sampling"] | {"n_samples": 2500},
        "evaluation": QUICK["evaluation"] | {"risk_draws": 1200, "ode_draws": 1200},
    }
    before = runtime.threads()
    for threads in (1, 3):
        run(project, tracking=False, threads=threads, **larger)
        assert runtime.threads() == threads
    runtime.use_threads(before)
    first, second = (decode(p.read_bytes(), "x") for p in saved(project, "denoiser")[-2:])
    for name, tensor in first.tensors.items():
        np.testing.assert_array_equal(tensor.numpy(), second.tensors[name].numpy())
    tables = [p for p in saved(project, "samples") if p.suffix == ".parquet"][-2:]
    assert tables[0].read_bytes() == tables[1].read_bytes()
    metrics = [p.read_bytes() for p in saved(project, "metrics")[-2:]]
    assert metrics[0] == metrics[1]
    gifs = [p.read_bytes() for p in saved(project, "animation")[-2:]]
    assert gifs[0] == gifs[1]


def test_stages_run_one_by_one_and_link_to_the_training(project):
    training = run(project, "train", shape="cat")
    for stage in ("sample", "evaluate", "render"):
        run(project, stage, shape="cat")
    client, runs = mlflow(project)
    assert [r.info.run_name for r in runs] == [
        "cat train",
        "cat sample",
        "cat evaluate",
        "cat render",
    ]
    trained, *later = runs
    assert trained.data.tags["kedro.session_id"] == training
    for recorded in later:
        assert recorded.data.tags["training_run_id"] == trained.info.run_id
        assert recorded.data.tags["mlflow.parentRunId"] == trained.info.run_id
        assert recorded.data.tags["loaded.denoiser"] == training
        assert recorded.data.params["training.steps"] == "30"
    evaluated = later[1]
    assert evaluated.data.metrics["sw2"] > 0
    assert set(trained.data.metrics) == {k for k in trained.data.metrics if "/" in k}


def test_table_of_samplers_is_made_from_the_newest_model(project, capsys):
    training = run(project, "train")
    few = {"nfe": [3, 6], "n_samples": 200, "floor_draws": 5}
    run(project, "samplers", samplers=few)
    (file,) = (p for p in saved(project, "sampler_table") if p.suffix == ".csv")
    table = pd.read_csv(file)
    assert table.groupby(["sampler", "denoiser"]).ngroups == 14
    assert (table["nfe"] <= table["budget"]).all()
    assert (table[["sw2", "sw2_floor", "off_manifold_floor"]] > 0).all(axis=None)
    assert Image.open(saved(project, "samplers")[0]).size == (1500, 780)
    said = capsys.readouterr().out
    assert re.search(r"dpmpp_2m +trained", said)
    assert re.search(r"Table +data/08_reporting/dino/sampler_table.csv/", said)
    client, (_, recorded) = mlflow(project)
    assert recorded.info.run_name == "dino samplers"
    assert recorded.data.tags["loaded.denoiser"] == training
    assert recorded.data.params["samplers.n_samples"] == "200"
    files = {file.path for file in client.list_artifacts(recorded.info.run_id, "reporting")}
    assert files == {"reporting/sampler_table.csv", "reporting/samplers.png"}


def test_player_explanation_and_report_are_pages_and_pictures(project):
    quick = {"sampling": QUICK["sampling"] | {"n_samples": 500}, "player": {"points": 50}}
    first = run(project, **quick, shape="heart")
    run(project, "player", "explain", **quick | {"player": {"against": "sde"}}, shape="heart")
    run(project, "report", shape="heart", training={"steps": 7})
    for name in ("scores", "density", "trajectories", "training_strip", "report", "player"):
        assert len(saved(project, name)) == 1, name
    with Image.open(saved(project, "training_film")[0]) as film:
        assert (
            film.n_frames == 4 * 2 + 1
        )  # three reports in 30 steps; about rendering.frames in all
    run(project, "train", shape="heart", tracking=False)
    with pytest.raises(PointillistError, match="Take one run's: --params shape=heart,run="):
        run(project, "explain", shape="heart", load_versions={"denoiser": first}, tracking=False)
    (player,) = saved(project, "player")
    assert "sde, 6 steps" in player.read_text()
    report = saved(project, "report")[0].read_text()
    assert "<h1>heart</h1>" in report
    # What the model was trained with, not what this run was called with.
    assert "training.steps=30" in report
    assert "network.bandwidth" not in report
    assert len(report) < 5e6
    client, runs = mlflow(project)
    kept = {f.path for f in client.list_artifacts(runs[-1].info.run_id, "reporting")}
    assert kept == {"reporting/report.html"}


def test_what_a_later_node_lacks_is_said_before_the_first_one_starts(project):
    run(project, "train", shape="heart", tracking=False)
    for file in saved(project, "training_snapshots"):
        file.unlink()
    with pytest.raises(PointillistError, match="There is no training_snapshots of 'heart' yet"):
        run(project, "explain", shape="heart")
    assert not saved(project, "scores")
    assert not mlflow(project)[1]


def test_films_in_other_formats_are_written_and_recorded_on_request(project):
    wished = {"rendering": QUICK["rendering"] | {"formats": "gif+webp+mp4"}}
    run(project, shape="heart", **wished)
    (folder,) = {path.parent for path in saved(project, "animation")}
    names = {path.name for path in folder.iterdir()}
    assert names == {"animation.gif", "animation.webp", "animation.mp4"}
    client, (recorded,) = mlflow(project)
    kept = {f.path for f in client.list_artifacts(recorded.info.run_id, "reporting")}
    assert {f"reporting/{name}" for name in names} <= kept


def test_two_runs_are_compared_by_version_or_by_mlflow_id(project):
    first = run(project, "train", shape="heart")
    longer = {"training": QUICK["training"] | {"steps": 31}}
    run(project, "train", "sample", shape="star", **longer)
    _, (_, second) = mlflow(project)
    run(project, "compare", runs=f"{first}+{second.info.run_id[:12]}", shape="cat")
    (page,) = saved(project, "comparison")
    text = page.read_text()
    assert f"A: heart, {first}" in text
    assert f"B: star, {second.data.tags['kedro.session_id']}" in text
    for row in ("<td>heart</td><td>star</td>", "<td>30</td><td>31</td>"):
        assert row in text
    assert "training.batch_size" not in text


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (None, "Name two to 8 runs, joined by"),
        ("one", "Name two to 8 runs, joined by"),
        ("one+two", "No model of the version 'one' is there. The newest: none."),
        ("abcdef012+two", "No run in MLflow has an id that begins with 'abcdef012'"),
    ],
)
def test_runs_that_are_not_there_are_refused(project, runs, said):
    given = [] if runs is None else ["--params", f"runs={runs}"]
    result = kedro_here(project, "run", "--pipelines", "compare", *given)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_older_versions_are_loaded_on_request(project, capsys):
    old = run(project, "train", "sample", tracking=False)
    run(project, "train", tracking=False, seed=1)
    with pytest.raises(PointillistError, match=f"--params shape=dino,run={re.escape(old)}"):
        run(project, "evaluate", tracking=False)
    capsys.readouterr()
    evaluated = run(project, "evaluate", tracking=False, load_versions={"denoiser": old})
    assert f"--params shape=dino,run={evaluated}" in capsys.readouterr().out
    run(project, "render", tracking=False, run=evaluated)


def test_what_a_run_made_before_it_failed_belongs_together(project, monkeypatch):
    def fail(*arguments):
        raise ValueError("no luck")

    monkeypatch.setattr("pointillist.models.measures.measure", fail)
    with pytest.raises(ValueError, match="no luck"):
        run(project, "train", "sample", "evaluate", tracking=False)
    monkeypatch.undo()
    version = saved(project, "denoiser")[0].parent.name
    run(project, "train", tracking=False, seed=1)
    run(project, "evaluate", tracking=False, run=version)
    assert saved(project, "metrics")


def test_one_run_is_taken_whole_by_every_stage(project, capsys):
    """A model of an older run is sampled, evaluated and rendered, though a newer one is there."""
    old = run(project, "train", tracking=False)
    run(project, "train", "sample", tracking=False, seed=1)
    sampled = run(project, "sample", tracking=False, run=old)
    assert (
        f"kedro run --pipelines evaluate --params shape=dino,run={sampled}"
        in capsys.readouterr().out
    )
    evaluated = run(project, "evaluate", tracking=False, run=sampled)
    run(project, "render", "player", tracking=False, run=evaluated)
    made = ReverseChain.read(saved(project, "reverse_chain")[-1])
    assert (made.version, made.model_version) == (sampled, old)
    with pytest.raises(PointillistError, match="was made with") as caught:
        run(project, "render", tracking=False)
    advised = re.search(r"--params shape=dino,run=(\S+?), or make", str(caught.value))
    assert advised, caught.value
    run(project, "render", tracking=False, run=advised[1])
    # The first run is still taken whole, with what was made from it since.
    run(project, "sample", "evaluate", tracking=False)
    run(project, "render", tracking=False, run=old)
    with pytest.raises(PointillistError, match=r"No run 'gone' is known\. The newest of 'dino': "):
        run(project, "render", tracking=False, run="gone")
    with pytest.raises(PointillistError, match=f"is of 'dino'.*: --params shape=dino,run={old}"):
        run(project, "sample", tracking=False, run=old, shape="cat")


def test_metrics_of_earlier_samples_are_not_shown_beside_new_ones(project):
    whole = run(project, tracking=False)
    sampled = run(project, "sample", tracking=False, seed=1)
    with pytest.raises(PointillistError) as caught:
        run(project, "render", tracking=False)
    said = str(caught.value)
    assert f"metrics of {whole} was made with" in said
    assert f"--params shape=dino,run={whole}" in said
    assert "make metrics anew: kedro run --pipelines evaluate --params shape=dino" in said
    run(project, "render", tracking=False, run=whole)
    with pytest.raises(PointillistError, match="was made with"):
        run(project, "render", tracking=False, run=sampled)
    run(project, "evaluate", tracking=False)
    run(project, "render", tracking=False, run=sampled)


def test_the_next_step_repeats_what_it_needs(project):
    given = "text=Hi,source.filled=true,source.n_points=50,data.bandwidth=0.05"
    result = kedro_here(project, "run", "--pipelines", "ingest", "--params", given)
    assert f"kedro run --pipelines train --params {given}" in result.stdout
    given = f"shape=heart,{QUICK_TEXT},tracking=false"
    result = kedro_here(project, "run", "--env", "ddim", "--pipelines", "train", "--params", given)
    assert result.exit_code == 0, result.stderr
    again = "kedro run --env ddim --pipelines sample --params shape=heart"
    assert (
        f"{again},threads=1,sampling.steps=6,sampling.n_samples=500,tracking=false" in result.stdout
    )
    missing = kedro_here(project, "run", "--pipelines", "evaluate", "--params", "shape=cat")
    assert "kedro run --pipelines train,sample --params shape=cat" in missing.stderr


def test_own_shape_goes_through_the_whole_project(project, tmp_path):
    rows = "\n".join(f"{3 * i},{i * i}" for i in range(-9, 10))
    file = tmp_path / "my parabola.csv"
    file.write_text(f"x,y\n{rows}\n")
    run(project, shape_file=str(file), tracking=False)
    assert saved(project, "animation")[0].parts[-4] == "my parabola"
    (project / "data/01_raw/line.csv").write_text("x,y\n5,1\n5,2\n5,3\n")
    run(project, shape="line", tracking=False)
    samples = pd.read_parquet(
        next(p for p in saved(project, "samples") if "line" in p.parts and p.suffix == ".parquet")
    )
    assert samples.notna().all(axis=None)


def test_weights_go_through_the_whole_project(project):
    rows = "\n".join(f"{x},{y},{9 if x > 0 else 1}" for x in (-1, 1) for y in range(20))
    (project / "data/01_raw/two.csv").write_text(f"x,y,weight\n{rows}\n")
    more = {"training": QUICK["training"] | {"steps": 300}}
    run(project, shape="two", **more)
    model = TrainedDenoiser.read(saved(project, "denoiser")[0])
    table = pd.read_csv(project / "data/01_raw/two.csv")
    np.testing.assert_array_equal(model.weights, table["weight"])
    np.testing.assert_allclose(model.density.moments()[0], 0, atol=1e-9)
    samples = pd.read_parquet(next(p for p in saved(project, "samples") if p.suffix == ".parquet"))
    assert (samples["x"] > 0).mean() == pytest.approx(0.9, abs=0.05)
    file = decode(saved(project, "denoiser")[0].read_bytes(), "x")
    assert file.metadata["shape_digest"] == shapes.digest(table.to_numpy(dtype="float64"))
    _, (recorded,) = mlflow(project)
    assert file.metadata["shape_digest"] in str(recorded.data) + str(recorded.inputs)


@pytest.mark.parametrize("scale", [(1e-3, 1e-3), (1e3, 1e-3)])
def test_a_shape_far_away_or_thin_is_learnt_as_well(project, scale):
    points = shapes.load("cat", None, project).to_numpy()
    moved = points / np.ptp(points, 0) * scale + [0, 1e6 if scale[0] < 1 else 0]
    pd.DataFrame(moved, columns=["x", "y"]).to_csv(
        project / "data/01_raw/moved.csv", index=False, float_format="%.17g"
    )
    for name in ("cat", "moved"):
        run(project, shape=name, tracking=False, data={"bandwidth": 0.05})
    here, there = (
        json.loads(file.read_text())
        for name in ("cat", "moved")
        for file in project.glob(f"data/08_reporting/{name}/metrics.json/*/metrics.json")
    )
    assert there["kl_bound_nats"] == pytest.approx(here["kl_bound_nats"], rel=0.05)
    assert there["sw2"] == pytest.approx(here["sw2"], rel=0.05)


def draw(file: Path) -> None:
    """Draw a ring, black on white, or an SVG of it."""
    if file.suffix == ".svg":
        ring = '<circle cx="50" cy="50" r="40"/>'
        file.write_text(f'<svg xmlns="http://www.w3.org/2000/svg">{ring}</svg>')
        return
    y, x = np.mgrid[-1:1:100j, -1:1:100j]
    ring = abs(np.hypot(x, y) - 0.8) < 0.1
    Image.fromarray(np.where(ring, 0, 255).astype("uint8")).save(file)


@pytest.mark.parametrize("suffix", ["svg", "png", "jpg", "webp"])
def test_drawings_and_pictures_become_points(project, suffix):
    draw(project / f"data/01_raw/ring.{suffix}")
    run(project, "ingest", shape="ring", source={"n_points": 300})
    points = pd.read_parquet(saved(project, "shape_points")[-1]).to_numpy()
    radius = np.hypot(*(points - points.mean(0)).T)
    assert len(points) == 300
    assert radius.std() < 0.1 * radius.mean()


@pytest.mark.parametrize("filled", [False, True])
def test_a_word_is_written(project, filled):
    run(project, "ingest", text="Hi, you", source={"filled": filled, "n_points": 500})
    (file,) = saved(project, "shape_points")
    assert file.parts[-4] == name_from("Hi, you")
    points = pd.read_parquet(file)
    assert len(points) == 500
    assert np.ptp(points["x"]) > 2 * np.ptp(points["y"])


def test_the_gallery_shows_every_shape_and_what_was_learnt(project, caplog):
    run(project, "train", shape="cat", tracking=False)
    draw(project / "data/01_raw/ring.png")
    (project / "data/01_raw/bad.csv").write_text("x,y\n1,one\n")
    with caplog.at_level("WARNING", logger="pointillist"):
        run(project, "gallery")
    assert "bad is left out" in caplog.text
    (picture,) = saved(project, "gallery")
    with Image.open(picture) as image:
        assert image.width > 1000


def test_a_sampled_shape_need_not_exist_any_more(project):
    own = project / "data/01_raw/vee.csv"
    own.write_text("x,y\n-1,1\n0,0\n1,1\n")
    run(project, "train", shape="vee", tracking=False)
    own.unlink()
    run(project, "sample", shape="vee", tracking=False)
    assert len(saved(project, "reverse_chain")) == 1


@pytest.mark.parametrize("environment", ["tiny_tiny_diffusion", "tiny_diffusion", "fast", "gpu"])
def test_presets_run(project, environment):
    run(project, env=environment, tracking=False, device="cpu")
    assert saved(project, "animation")


REFUSED = {
    "shpae=cat": "Parameter 'shpae' is unknown. Did you mean 'shape'?",
    "training.steps=-5": "'training.steps': input should be greater than or equal to 1 (got -5)",
    "shape=unicorn": "data/01_raw/unicorn.csv (or .png, .svg",
    "training.stepz=9": "Did you mean 'training.steps'?",
    "shape_file=no.csv": "The shape_file 'no.csv' does not exist",
    "shape_file=.": "The shape_file '.' is a folder",
    "shape=../secret": "Parameter 'shape': a shape has a name, not a path",
    "shape_file=pyproject.toml": "files of the kind '.toml' aren't read",
    "shape_file=empty.csv": "empty.csv is empty",
    "shape_file=blank.png": "blank.png",
    "shape_file=broken.svg": "broken.svg",
    "shape_file=words.csv": "words.csv, line 3, column y: 'four'",
    "shape_file=words.csv,text=Hi": "Give shape_file or text, not both",
    "shape=cat,source.n_points=9": "source.n_points has no effect on",
    "shape=moons,source.turns=9": "source.turns has no effect on moons",
    "text=Hi,source.font=Nonesuch": "Nonesuch",
    "max_megabytes=0.00001,shape_file=words.csv": "max_megabytes=",
}


@pytest.mark.parametrize("parameters", REFUSED)
def test_wrong_parameters_are_refused_before_anything_is_written(project, parameters):
    (project / "empty.csv").touch()
    (project / "words.csv").write_text("x,y\n1,2\n3,four\n5,6\n")
    (project / "broken.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><path d='M0")
    Image.new("L", (40, 40), 255).save(project / "blank.png")
    before = sorted(project.rglob("*"))
    result = kedro_here(project, "run", "--params", parameters)
    assert result.exit_code == 1
    assert REFUSED[parameters] in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2
    # Kedro-Viz notes every run that begins, and so do we: its id is taken.
    others = {"__pycache__", ".viz", ".versions"}
    written = {p for p in set(project.rglob("*")) - set(before) if not others & set(p.parts)}
    assert not written


def test_wrong_pipeline_is_refused_with_the_right_one(project):
    result = kedro(project, "run", "--pipelines", "trian")
    assert result.returncode == 1
    assert (
        result.stderr.strip()
        .splitlines()[-1]
        .startswith("Error: Pipeline 'trian' is unknown. Did you mean 'train'?")
    )


def test_sampling_what_was_never_trained_names_the_command(project):
    result = kedro_here(project, "run", "--pipeline", "sample", "--params", "shape=cat")
    assert result.exit_code == 1
    assert result.stderr.strip() == (
        "Error: There is no denoiser of 'cat' yet. Make it first: "
        "kedro run --pipelines train --params shape=cat"
    )


def test_summary_names_model_run_and_next_step(project):
    result = kedro(project, "run", "--pipeline", "train", "--params", QUICK_TEXT)
    assert result.returncode == 0, result.stderr
    assert re.search(r"Model +data/06_models/dino/denoiser.safetensors/", result.stdout)
    assert re.search(r"MLflow run +dino train: http://.*/runs/\w{32} ", result.stdout)
    assert "kedro run --pipelines sample --params shape=dino" in result.stdout
    assert "\x1b[" not in result.stdout + result.stderr


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_stopped_run_is_killed_in_mlflow(project, sent):
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    process = subprocess.Popen(
        [sys.executable, "-m", "kedro", "run", "--params", "training.steps=1000000"],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for _ in range(600):
        _, runs = mlflow(project)
        if runs and "training/loss" in runs[0].data.metrics:
            break
        time.sleep(0.1)
    process.send_signal(sent)
    output, _ = process.communicate(timeout=60)
    assert process.returncode in {130, 143}, output
    assert "Traceback" not in output
    _, (recorded,) = mlflow(project)
    assert recorded.info.status == "KILLED"
    assert not saved(project, "denoiser")


def test_failed_run_is_failed_in_mlflow(project):
    run(project, "train")
    model = saved(project, "denoiser")[0]
    model.write_bytes(model.read_bytes()[:-100])
    with pytest.raises(PointillistError, match="is damaged"):
        run(project, "sample")
    _, runs = mlflow(project)
    assert [r.info.status for r in runs] == ["FINISHED", "FAILED"]
    assert "damaged" in runs[1].data.tags["error"]


def test_unreachable_server_is_said_with_the_setting(project):
    result = kedro(
        project,
        "run",
        "--params",
        QUICK_TEXT,
        env={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"},
    )
    assert result.returncode == 1
    assert "MLFLOW_TRACKING_URI" in result.stderr
    assert "--params tracking=false" in result.stderr
    assert "Traceback" not in result.stderr
