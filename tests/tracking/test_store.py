"""Where runs go: environment, then configuration, then the project itself, whatever it is called."""

import os
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from pointillist.errors import PointillistError
from pointillist.tracking import store

PROJECT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("TRACKING_URI", "EXPERIMENT_NAME", "EXPERIMENT_ID"):
        monkeypatch.delenv(f"MLFLOW_{name}", raising=False)


@pytest.fixture
def project(tmp_path, database):
    shutil.copy(database, tmp_path / "mlflow.db")
    return tmp_path


def test_committed_settings_are_the_defaults():
    values = yaml.safe_load((PROJECT / "conf/base/mlflow.yml").read_text())
    assert store.Settings.model_validate(values) == store.Settings()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"tracking_url": "x"}, "tracking_url: extra inputs are not permitted"),
        ({"flush_seconds": 0}, "flush_seconds: input should be greater than 0"),
        ({"experiment": 3}, "experiment: input should be a valid string"),
    ],
)
def test_wrong_settings_name_file_and_key(values, said, tmp_path):
    with pytest.raises(PointillistError, match=r"conf/\*/mlflow.yml") as error:
        store.resolve(values, tmp_path)
    assert said in str(error.value)
    assert "Known settings: tracking_uri, experiment" in str(error.value)


def test_environment_goes_before_configuration_before_default(tmp_path, monkeypatch):
    configured = {"tracking_uri": "http://127.0.0.1:5001", "experiment": "mine"}
    default = store.resolve({}, tmp_path)
    assert default.tracking_uri == f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert default.artifact_location == (tmp_path / "mlartifacts").as_uri()
    chosen = store.resolve(configured, tmp_path)
    assert chosen.tracking_uri == "http://127.0.0.1:5001"
    assert (chosen.artifact_location, chosen.experiment) == (None, "mine")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5002")
    chosen = store.resolve(configured, tmp_path)
    assert chosen.tracking_uri == "http://127.0.0.1:5002"
    assert chosen.named_by == "MLFLOW_TRACKING_URI"


def test_the_experiment_of_the_environment_is_taken_as_mlflow_takes_it(project, monkeypatch):
    def connected():
        client, number = store.connect(store.resolve({"experiment": "configured"}, project))
        return client.get_experiment(number).name, number

    name, configured = connected()
    assert name == "configured"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "of the environment")
    name, other = connected()
    assert (name, other != configured) == ("of the environment", True)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", configured)
    with pytest.raises(PointillistError, match="Set one of the two"):
        connected()
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "")
    assert connected() == ("configured", configured)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "12345")
    with pytest.raises(PointillistError, match=r"MLFLOW_EXPERIMENT_ID is '12345', which"):
        connected()


NAMES = [
    "what?",
    "a%20b",
    "o'brien [x]",
    "100%(here)s",
    'a#b&c=d;"e"',
    "ünï {x} $HOME",
    "new\nline",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_project_in_a_folder_of_any_name_has_its_store_in_it(tmp_path, database, name):
    project = tmp_path / name
    project.mkdir()
    shutil.copy(database, project / "mlflow.db")
    client, experiment = store.connect(store.resolve({}, project))
    run_id = client.create_run(experiment).info.run_id
    (project / "file.txt").write_text("x")
    client.log_artifact(run_id, str(project / "file.txt"), "model")
    assert [file.path for file in client.list_artifacts(run_id, "model")] == ["model/file.txt"]
    assert (project / "mlartifacts" / run_id / "artifacts" / "model" / "file.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == [name], "nothing beside the project"


def test_first_runs_side_by_side_share_one_experiment(project):
    place = store.resolve({"experiment": "shared"}, project)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: store.connect(place)[1], range(4)))
    assert len(set(found)) == 1


def test_two_first_runs_make_one_database(tmp_path):
    code = (
        "import sys; from pathlib import Path; from pointillist.tracking import store; "
        "print(store.connect(store.resolve({}, Path(sys.argv[1])))[1])"
    )
    project = tmp_path / "what? 100%"
    project.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(project)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=project,
            env=environment,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120) for process in runs]
    assert [process.returncode for process in runs] == [0, 0], said
    assert len({out.splitlines()[-1] for out, _ in said}) == 1
    assert sorted(p.name for p in project.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_first_run_that_is_stopped_leaves_no_half_database(tmp_path, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("mlflow.store.db.utils._upgrade_db", stop)
    with pytest.raises(KeyboardInterrupt):
        store.connect(store.resolve({}, tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["mlflow.db.lock"]


def test_experiment_that_was_deleted_is_said_with_the_cure(project):
    place = store.resolve({"experiment": "gone"}, project)
    client, experiment = store.connect(place)
    client.delete_experiment(experiment)
    with pytest.raises(PointillistError, match=f"restore --experiment-id {experiment}"):
        store.connect(place)


def test_file_that_is_no_database_is_said(tmp_path):
    (tmp_path / "notes.db").write_text("no database at all, only some words " * 9)
    address = store.sqlite_uri(tmp_path / "notes.db")
    place = store.resolve({"tracking_uri": address}, tmp_path)
    with pytest.raises(PointillistError, match=r"tracking_uri in.*file is not a database"):
        store.connect(place)


@pytest.mark.soak
def test_server_that_never_answers_is_given_up_within_ten_seconds(monkeypatch, tmp_path):
    for name in ("MAX_RETRIES", "TIMEOUT", "BACKOFF_FACTOR"):
        monkeypatch.delenv(f"MLFLOW_HTTP_REQUEST_{name}", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(PointillistError, match="tracking=false"):
            store.connect(store.resolve({"tracking_uri": address}, tmp_path))
        assert time.monotonic() - started < 11
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "20", "uploads may take longer"


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("sqlite:////a/mlflow.db", "http://127.0.0.1:5000/#/experiments/7/runs/abc"),
        ("https://me:secret@x.org/mlflow/", "https://x.org/mlflow/#/experiments/7/runs/abc"),
        ("https://x.org?token=secret", "https://x.org/#/experiments/7/runs/abc"),
    ],
)
def test_a_run_has_an_address(address, page):
    assert store.Store(address, None, "the test").page("7", "abc") == page


ADDRESSES = {
    "login": "http://me:{}@127.0.0.1:9/mlflow",
    "user": "https://{}@127.0.0.1:9",
    "query": "http://127.0.0.1:9/?auth={}&x=1",
    "database": "postgresql://me:{}@127.0.0.1:9/runs",
    "driver": "mysql+pymysql://me:{}@127.0.0.1:9/runs?charset=utf8",
}


@pytest.mark.parametrize("encoded", ["s3cr3t%2Fpa%40ss%20w", "s3cr3t/pa@ss w", "s3cr3t"])
@pytest.mark.parametrize("form", ADDRESSES)
def test_a_password_is_in_no_message(form, encoded, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", ADDRESSES[form].format(encoded))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr("mlflow.store.db.utils.MAX_RETRY_COUNT", 1)
    place = store.resolve({}, tmp_path)
    with pytest.raises(PointillistError, match="MLFLOW_TRACKING_URI") as error:
        store.connect(place)
    url = place.tracking_uri
    said = [str(error.value), place.shown, repr(place), place.page("1", "2"), caplog.text]
    said += [place.masked(f"no way to {url}, {encoded}, {unquote(encoded)}: HTTPError({url!r})")]
    for text in said:
        for part in ("s3cr3t", "pa@ss", "pa%40ss"):
            assert part not in text
    assert ("127.0.0.1" in str(error.value)) != ("can't be read" in str(error.value))


def test_passwords_of_the_environment_are_masked_and_paths_are_kept(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter22")
    place = store.Store("https://example.org/mlflow", None, "the test")
    assert place.masked("401 for hunter22") == "401 for ***"
    assert place.shown == "https://example.org/mlflow"
    assert store.Store("sqlite:////a@b/c.db", None, "").shown == "sqlite:////a@b/c.db"
    said = "file:///a@b/c; kedro run --params shape=cat,training.steps=5"
    assert place.masked(said) == said
