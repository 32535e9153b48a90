"""Many runs at once on one checkout, the first use of the database included."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pointillist.models import TrainedDenoiser
from pointillist.models.tensors import decode
from pointillist.sessions import UniqueSessions
from tests.projects import QUICK_TEXT, kedro, mlflow, saved

FOUR = ("dino", "dino", "dino", "cat")
EIGHT = (*FOUR, "dino", "cat", "panda", "moons")


@pytest.fixture(scope="module", params=[FOUR, pytest.param(EIGHT, marks=pytest.mark.soak)], ids=len)
def crowd(request, tmp_path_factory, copy_project):
    """A project in which so many runs were started together, and what they said."""
    project = copy_project(tmp_path_factory.mktemp("crowd") / "project")
    (project / "mlflow.db").unlink()
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    environment.pop("MLFLOW_TRACKING_URI", None)
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "kedro", "run", "--params", f"shape={shape},{QUICK_TEXT}"],
            cwd=project,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for shape in request.param
    ]
    said = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0] * len(runs), "\n".join(said)
    return project, request.param, said


def test_none_waits_in_vain(crowd, record_property):
    _, shapes, said = crowd
    record_property("runs at once", len(shapes))
    assert "locked" not in "".join(said)
    assert "MLflow does not answer" not in "".join(said)


def test_no_version_is_lost_and_every_model_loads(crowd):
    project, shapes, _ = crowd
    models = saved(project, "denoiser")
    assert sorted(p.parts[-4] for p in models) == sorted(shapes)
    assert len({p.parent.name for p in models}) == len(shapes)
    for path in models:
        TrainedDenoiser.read(path)
    for path in saved(project, "reverse_chain"):
        metadata = decode(path.read_bytes(), str(path)).metadata
        assert metadata["model_version"] == metadata["version"], "another run's model"
    for name in ("samples", "reverse_chain", "metrics", "animation", "training_snapshots"):
        versions = {p.parent.name for p in saved(project, name)}
        assert versions == {p.parent.name for p in models}, name


def test_no_mlflow_run_is_lost_and_each_has_what_belongs_to_it(crowd):
    project, shapes, _ = crowd
    client, runs = mlflow(project)
    assert sorted(run.info.run_name for run in runs) == sorted(shapes)
    versions = {p.parent.name: p.parts[-4] for p in saved(project, "denoiser")}
    for run in runs:
        assert run.info.status == "FINISHED"
        assert versions.pop(run.data.tags["kedro.session_id"]) == run.data.tags["shape"]
        assert {"sw2", "kl_bound_nats", "training/loss"} <= run.data.metrics.keys()
        files = [f.path for f in client.list_artifacts(run.info.run_id, "reporting")]
        assert "reporting/animation.gif" in files
    assert versions == {}


def test_nothing_else_is_left(crowd):
    project, _, _ = crowd
    assert not list(project.rglob(".writing-*"))
    assert not list((project / "data").glob("06_models/*/training_states"))
    assert not list((project / ".mlflow-outbox").iterdir())
    assert kedro(project, "mlflow-sync").stdout.strip().endswith("MLflow has all runs.")


def test_runs_that_start_in_one_millisecond_have_different_ids(tmp_path):
    wanted = "2026-11-25T10.00.00.999Z"

    def session(_):
        store = UniqueSessions(str(tmp_path / "sessions"), wanted)
        store.update(session_id=wanted, project_path=str(tmp_path))
        return store["session_id"]

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(session, range(50)))
    assert len(ids) == 50
    assert {wanted, "2026-11-25T10.00.01.000Z"} <= ids


def test_a_folder_that_cannot_be_written_to_keeps_nobody_from_looking(tmp_path):
    (tmp_path / "data").write_text("no folder")
    store = UniqueSessions(str(tmp_path / "sessions"), "x")
    store.update({"session_id": "2026-11-25T10.00.00.000Z"})
    assert store["session_id"] == "2026-11-25T10.00.00.000Z"
    assert not Path(tmp_path / "sessions").exists()
