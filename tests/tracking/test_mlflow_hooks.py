"""What a run leaves in MLflow, and what MLflow's troubles leave of a run."""

import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, MemoryDataset
from kedro.io.core import Version
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner
from mlflow import MlflowClient

from pointillist import progress, shapes
from pointillist.datasets import AtomicDataset
from pointillist.errors import PointillistError
from pointillist.tracking import MlflowHooks

POINTS = pd.DataFrame({"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 4.0]})


def versioned(folder, name, save, load=None, **wishes):
    return AtomicDataset(
        filepath=str(folder / f"{name}.json"),
        dataset="json.JSONDataset",
        version=Version(load, save),
        metadata={"mlflow": wishes},
    )


class Project:
    """A folder, the hooks and as much of a session as they see."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.hooks, self.parameters = folder, MlflowHooks(), {}

    def run(self, nodes, session="s1", **datasets):
        """Run nodes of one stage, as `KedroSession.run` does."""
        manager = _create_hook_manager()
        manager.register(self.hooks)
        config = {"parameters": self.parameters, "mlflow": {"flush_seconds": 0.05}}
        context = SimpleNamespace(project_path=self.folder, config_loader=config)
        manager.hook.after_context_created(context=context)
        catalog, pipeline = DataCatalog(datasets), Pipeline(nodes)
        about = {"pipeline": pipeline, "catalog": catalog}
        about["run_params"] = {"run_id": session, "env": None}
        manager.hook.before_pipeline_run(**about)
        try:
            result = SequentialRunner().run(pipeline, catalog, manager)
        except Exception as error:
            manager.hook.on_pipeline_error(error=error, **about)
            raise
        manager.hook.after_pipeline_run(run_result=result, **about)

    def train(self, session="s1"):
        """Save a model as training would."""
        model = versioned(self.folder, "denoiser", session, artifact="model")
        node = Node(lambda p: {"weights": session}, "shape_points", "denoiser", namespace="train")
        self.run([node], session, shape_points=MemoryDataset(POINTS), denoiser=model)

    def runs(self):
        client = MlflowClient(f"sqlite:///{self.folder / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("pointillist")
        found = client.search_runs([experiment.experiment_id]) if experiment else []
        return client, sorted(found, key=lambda run: run.info.start_time)


@pytest.fixture
def place(tmp_path, database, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(database, tmp_path / "mlflow.db")
    return Project(tmp_path)


def node(function, inputs, outputs, stage):
    return Node(function, inputs, outputs, namespace=stage)


def test_two_runs_in_one_process_are_two_runs(place):
    place.train("s1")
    first = place.hooks.last_run
    place.train("s2")
    assert place.hooks.last_run != first
    _, runs = place.runs()
    assert [r.info.status for r in runs] == ["FINISHED"] * 2
    assert [r.data.tags["kedro.session_id"] for r in runs] == ["s1", "s2"]
    assert progress._listeners == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_ingest_alone_and_tracking_false_record_nothing(place):
    place.run([node(lambda: POINTS, None, "shape_points", "ingest")], shape_points=MemoryDataset())
    place.parameters = {"tracking": False}
    place.train()
    assert place.runs()[1] == []
    assert place.hooks.last_run is None


def test_shape_is_recorded_with_its_digest(place):
    place.train()
    (recorded,) = place.runs()[1]
    (shape,) = recorded.inputs.dataset_inputs
    assert shape.dataset.digest == shapes.digest(POINTS[["x", "y"]].to_numpy())


def begin(place, work, session="s1"):
    """Run an ingestion and a training, which calls `work`; the MLflow run waits for a shape."""
    normalizer = versioned(place.folder, "normalizer", session)
    normalizer.metadata = None
    place.run(
        [
            node(lambda raw: POINTS, "raw_shape", "shape_points", "ingest"),
            node(lambda points: {"center": 0}, "shape_points", "normalizer", "ingest"),
            node(work, "normalizer", "denoiser", "train"),
        ],
        session,
        raw_shape=MemoryDataset(1),
        shape_points=MemoryDataset(),
        normalizer=normalizer,
        denoiser=versioned(place.folder, "denoiser", session, artifact="model"),
    )


def test_a_run_is_opened_by_the_first_measurement_and_misses_nothing(place):
    place.train("s0")
    seen = []

    def work(_):
        progress.report(progress.Progress("Training", 0, 3))
        progress.tell("resumed_from", "s0")
        seen.append(len(place.runs()[1]))
        for step in (1, 2, 3):
            progress.report(progress.Progress("Training", step, 3, metrics={"loss": step / 4}))
            seen.append(len(place.runs()[1]))
        return {}

    begin(place, work)
    assert seen == [1, 2, 2, 2]
    client, (before, recorded) = place.runs()
    losses = client.get_metric_history(recorded.info.run_id, "training/loss")
    assert [(point.step, point.value) for point in losses] == [(1, 0.25), (2, 0.5), (3, 0.75)]
    assert recorded.data.tags["resumed_run_id"] == before.info.run_id
    (shape,) = recorded.inputs.dataset_inputs
    assert shape.dataset.digest == shapes.digest(POINTS[["x", "y"]].to_numpy())
    assert recorded.info.start_time < losses[0].timestamp
    assert progress._listeners == progress._hearers == []


def test_a_training_that_fails_before_it_measures_is_recorded(place):
    def work(_):
        raise ValueError("no luck")

    with pytest.raises(ValueError, match="no luck"):
        begin(place, work)
    (recorded,) = place.runs()[1]
    assert (recorded.info.status, recorded.data.tags["error"]) == ("FAILED", "no luck")
    assert recorded.inputs.dataset_inputs
    assert progress._listeners == progress._hearers == []


def test_a_server_is_asked_before_anything_is_written(place, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(PointillistError, match="tracking=false"):
        begin(place, lambda _: {})
    assert not list(place.folder.glob("*.json"))
    assert progress._listeners == progress._hearers == []


def test_a_database_that_is_none_ends_the_training_at_its_first_measurement(place):
    (place.folder / "mlflow.db").write_text("no database")
    steps = []

    def work(_):
        for step in (1, 2):
            progress.report(progress.Progress("Training", step, 2, metrics={"loss": 1.0}))
            steps.append(step)
        return {}

    with pytest.raises(PointillistError, match="tracking=false"):
        begin(place, work)
    assert steps == []
    assert not (place.folder / "denoiser.json").exists()
    assert progress._listeners == progress._hearers == []


def model_of(version, **parameters):
    """The dataset of a model that an earlier run trained; its version is known, as Kedro's are."""
    model = SimpleNamespace(parameters=parameters, shape_digest="d" * 16)
    dataset = MemoryDataset(model, copy_mode="assign")
    dataset.resolve_load_version = lambda: version
    return dataset


def test_model_that_is_loaded_brings_its_parameters_and_its_run(place):
    place.train("s1")
    place.parameters = {"data": {"bandwidth": 0.02}, "training": {"steps": 7}}
    place.run(
        [
            node(lambda: POINTS, None, "shape_points", "ingest"),
            node(lambda model: {"sw2": 0.5}, "denoiser", "metrics", "evaluate"),
        ],
        "s2",
        shape_points=MemoryDataset(),
        denoiser=model_of("s1", data={"bandwidth": 0.01}, training={"steps": 99}, seed=3),
        metrics=versioned(place.folder, "metrics", "s2", metrics=True),
    )
    trained, evaluated = place.runs()[1]
    assert evaluated.info.status == "FINISHED"
    assert evaluated.data.params["data.bandwidth"] == "0.01"
    assert evaluated.data.params["training.steps"] == "99"
    assert evaluated.data.params["seed"] == "0"
    assert evaluated.data.tags["mlflow.parentRunId"] == trained.info.run_id
    assert evaluated.data.metrics["sw2"] == 0.5
    assert "sw2" not in trained.data.metrics, "a run's record is its own"


def test_training_run_that_was_deleted_is_no_obstacle(place):
    place.train("s1")
    client, (trained,) = place.runs()
    client.delete_run(trained.info.run_id)
    sample = node(lambda model: [1], "denoiser", "metrics", "sample")
    place.run(
        [sample], "s2", denoiser=model_of("s1"), metrics=versioned(place.folder, "metrics", "s2")
    )
    (sampled,) = place.runs()[1]
    assert sampled.info.status == "FINISHED"
    assert "training_run_id" not in sampled.data.tags


def test_run_carries_the_model_that_it_saved_not_the_newest(place):
    newer = place.folder / "denoiser.json" / "s9" / "denoiser.json"
    newer.parent.mkdir(parents=True)
    newer.write_text('{"weights": "of a run beside this one"}')
    place.train("s1")
    client, (recorded,) = place.runs()
    uploaded = Path(client.download_artifacts(recorded.info.run_id, "model/denoiser.json"))
    own = place.folder / "denoiser.json" / "s1" / "denoiser.json"
    assert uploaded.read_bytes() == own.read_bytes()


def test_failure_is_recorded_with_its_first_line(place):
    def fail(points):
        raise ValueError("no luck at ftp://me:hunter2@x\nsecond line")

    with pytest.raises(ValueError, match="no luck"):
        place.run(
            [node(fail, "shape_points", "metrics", "sample")],
            shape_points=MemoryDataset(POINTS),
            metrics=versioned(place.folder, "metrics", "s1"),
        )
    (recorded,) = place.runs()[1]
    assert (recorded.info.status, recorded.data.tags["error"]) == ("FAILED", "no luck at ftp://x")
    assert progress._listeners == []


def test_store_that_fails_in_mid_run_stops_nothing(place, monkeypatch, caplog):
    def gone(*arguments, **options):
        raise ConnectionError("server gone")

    for name in ("log_batch", "log_artifact", "log_inputs", "set_terminated"):
        monkeypatch.setattr(MlflowClient, name, gone)
    search = MlflowClient.search_runs
    monkeypatch.setattr(
        MlflowClient,
        "search_runs",
        lambda self, ids, query, **more: (
            gone(query) if "session" in query else search(self, ids, query, **more)
        ),
    )
    with caplog.at_level(logging.WARNING):
        place.train()
        place.run(
            [node(lambda model: {"sw2": 0.5}, "denoiser", "metrics", "evaluate")],
            "s2",
            denoiser=model_of("s1", training={"steps": 99}),
            metrics=versioned(place.folder, "metrics", "s2", metrics=True, artifact="reporting"),
        )
    assert (place.folder / "denoiser.json/s1/denoiser.json").exists()
    assert (place.folder / "metrics.json/s2/metrics.json").exists()
    assert caplog.text.count("MLflow does not answer") == 2, "once a run"
    monkeypatch.undo()
    assert [r.info.status for r in place.runs()[1]] == ["RUNNING"] * 2
    # The next run brings what waited, and the end of both.
    place.train("s3")
    _, (first, second, third) = place.runs()
    assert [r.info.status for r in (first, second, third)] == ["FINISHED"] * 3
    assert second.data.metrics["sw2"] == 0.5
    assert second.data.params["training.steps"] == "99"
    assert first.data.params == third.data.params
    assert [d.dataset.digest for d in first.inputs.dataset_inputs]
    artifacts = place.folder / "mlartifacts" / first.info.run_id / "artifacts"
    assert (artifacts / "model" / "denoiser.json").exists()
    assert second.data.tags["training_run_id"] == first.info.run_id
    assert list((place.folder / ".mlflow-outbox").iterdir()) == []


SCRIPT = """
import sys; sys.path.insert(0, {tests!r})
from pathlib import Path
from test_mlflow_hooks import Project, node, versioned, POINTS, MemoryDataset
def work(points):
    {work}
Project(Path({folder!r})).run(
    [node(work, "shape_points", "metrics", "sample")], shape_points=MemoryDataset(POINTS),
    metrics=versioned(Path({folder!r}), "metrics", "s1"))
"""
ENDINGS = {
    "terminated": ("import os; os.kill(os.getpid(), 15); __import__('time').sleep(60)", "KILLED"),
    "interrupted": ("raise KeyboardInterrupt", "KILLED"),
    "failed": ("raise ValueError('no luck')", "FAILED"),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_process_that_ends_early_says_how(place, ending):
    work, status = ENDINGS[ending]
    script = SCRIPT.format(tests=str(Path(__file__).parent), work=work, folder=str(place.folder))
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=place.folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert result.returncode != 0
    (recorded,) = place.runs()[1]
    assert recorded.info.status == status, result.stderr
    assert not (place.folder / "mlruns").exists()


def test_process_that_is_killed_is_said_and_recorded_by_the_next(place):
    work = "import os; os.kill(os.getpid(), 9)"
    script = SCRIPT.format(tests=str(Path(__file__).parent), work=work, folder=str(place.folder))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script], cwd=place.folder, env=environment, check=False)
    assert len(list((place.folder / ".mlflow-outbox").glob("*.json"))) == 1
    place.train("s2")
    killed, trained = place.runs()[1]
    assert (killed.info.status, trained.info.status) == ("KILLED", "FINISHED")
    assert killed.data.params["shape"] == "dino"
    assert killed.inputs.dataset_inputs
    assert not list((place.folder / ".mlflow-outbox").iterdir())


def test_mlflow_costs_nothing_until_it_is_needed():
    code = "import sys, pointillist.tracking; print({'mlflow', 'torch', 'pandas'} & {*sys.modules})"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert said.stdout.strip() == "set()"
