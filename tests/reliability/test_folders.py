"""A project works in a folder of any name, and leaves nothing beside it."""

import pytest
from mlflow import MlflowClient

from pointillist.tracking import store
from tests.projects import QUICK_TEXT, kedro


@pytest.mark.parametrize(
    "name",
    [
        "what? o'brien [x] 100%(here)s a%20b",
        *(pytest.param(n, marks=pytest.mark.soak) for n in ("*", "new\nline", "ü $HOME", "#a;b=c")),
    ],
)
def test_a_project_works_in_a_folder_of_any_name(tmp_path, copy_project, name):
    project = copy_project(tmp_path / "beside" / name)
    for pipelines in ("train,sample,evaluate,render,report", "promote"):
        done = kedro(project, "run", "--pipelines", pipelines, "--params", QUICK_TEXT)
        assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "beside").iterdir()] == [name]
    client = MlflowClient(store.sqlite_uri(project / "mlflow.db"))
    runs = client.search_runs([client.get_experiment_by_name("pointillist").experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    assert list((project / "mlartifacts").rglob("report.html"))
    assert client.get_model_version_by_alias("pointillist-dino", "champion")


def test_a_folder_that_kedro_cannot_take_is_refused_in_words(tmp_path, copy_project):
    project = copy_project(tmp_path / "{name}")
    done = kedro(project, "run")
    assert done.returncode == 1
    assert "rename the folder of the project" in done.stderr
    assert "Traceback" not in done.stderr
