"""Where runs go: environment, then configuration, then the project itself."""

import shutil
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
