"""Where runs go: environment, then configuration, then the project itself."""

import os
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from pointillist.errors import PointillistError
from pointillist.tracking import store

PROJECT = Path(__file__).parents[2]


def test_committed_settings_are_the_defaults():
    values = yaml.safe_load((PROJECT / "conf/base/mlflow.yml").read_text())
    assert store.read_settings(values) == store.Settings()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"tracking_url": "x"}, "tracking_url: extra inputs are not permitted"),
        ({"flush_seconds": 0}, "flush_seconds: input should be greater than 0"),
        ({"experiment": 3}, "experiment: input should be a valid string"),
    ],
)
def test_wrong_settings_name_file_and_key(values, said):
    with pytest.raises(PointillistError, match=r"conf/\*/mlflow.yml") as error:
        store.read_settings(values)
    assert said in str(error.value)
    assert "Known settings: tracking_uri, experiment" in str(error.value)


def test_environment_goes_before_configuration_before_default(tmp_path, monkeypatch):
    configured = store.Settings(tracking_uri="http://127.0.0.1:5001")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    default = store.resolve(store.Settings(), tmp_path)
    assert default.tracking_uri == f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert default.artifact_location == (tmp_path / "mlartifacts").as_uri()
    assert store.resolve(configured, tmp_path).tracking_uri == "http://127.0.0.1:5001"
    assert store.resolve(configured, tmp_path).artifact_location is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5002")
    chosen = store.resolve(configured, tmp_path)
    assert (chosen.tracking_uri, chosen.named_by) == (
        "http://127.0.0.1:5002",
        "MLFLOW_TRACKING_URI",
    )


def test_first_runs_side_by_side_share_one_experiment(tmp_path, database):
    shutil.copy(database, tmp_path / "mlflow.db")
    place = store.Store(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path.as_uri(), "the test")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: store.connect(place, "shared")[1], range(4)))
    assert len(set(found)) == 1


def test_two_first_runs_make_one_whole_database(tmp_path):
    code = (
        "import sys; from pathlib import Path; from pointillist.tracking import store; "
        "place = store.resolve(store.Settings(), Path(sys.argv[1])); "
        "print(store.connect(place, 'shared')[1])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120) for process in runs]
    assert [process.returncode for process in runs] == [0, 0], said
    assert len({out.splitlines()[-1] for out, _ in said}) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_first_run_that_is_stopped_leaves_no_half_database(tmp_path, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("mlflow.store.db.utils._upgrade_db", stop)
    place = store.resolve(store.Settings(), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.connect(place, "shared")
    assert [p.name for p in tmp_path.iterdir()] == ["mlflow.db.lock"]


def test_experiment_that_was_deleted_is_said_with_the_cure(tmp_path, database):
    shutil.copy(database, tmp_path / "mlflow.db")
    place = store.Store(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path.as_uri(), "the test")
    client, experiment = store.connect(place, "gone")
    client.delete_experiment(experiment)
    with pytest.raises(PointillistError, match=f"restore --experiment-id {experiment}"):
        store.connect(place, "gone")


def test_file_that_is_no_database_is_said(tmp_path):
    (tmp_path / "notes.db").write_text("no database at all, only some words " * 9)
    place = store.Store(f"sqlite:///{tmp_path / 'notes.db'}", tmp_path.as_uri(), "the test")
    with pytest.raises(PointillistError, match=r"the test.*file is not a database"):
        store.connect(place, "any")


@pytest.mark.soak
def test_server_that_never_answers_is_given_up_within_ten_seconds(monkeypatch):
    for name in ("MAX_RETRIES", "TIMEOUT", "BACKOFF_FACTOR"):
        monkeypatch.delenv(f"MLFLOW_HTTP_REQUEST_{name}", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(PointillistError, match="tracking=false"):
            store.connect(store.Store(address, None, "the test"), "any")
        assert time.monotonic() - started < 11
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "20", "uploads may take longer"


def test_passwords_in_addresses_are_not_shown():
    place = store.Store("https://me:secret@example.org/mlflow", None, "the test")
    assert place.shown == "https://example.org/mlflow"
    assert store.Store("sqlite:////a@b/c.db", None, "").shown == "sqlite:////a@b/c.db"
