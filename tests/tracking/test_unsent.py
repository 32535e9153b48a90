"""What a run left is sent once, what is refused for good is counted, and what is damaged is said."""

import shutil
from contextlib import closing

import pytest

from pointillist.errors import PointillistError
from pointillist.tracking import send_all, store
from pointillist.tracking.unsent import FOLDER, Unsent, UnsentFile


@pytest.fixture
def left(tmp_path, database, monkeypatch):
    """A project, and a run that was killed before its store took three tags and a file."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(database, tmp_path / "mlflow.db")
    place = store.resolve({}, tmp_path)
    client, experiment = store.connect(place)
    run_id = client.create_run(experiment).info.run_id
    (tmp_path / "a.txt").write_text("a")
    unsent = Unsent(
        store=place.shown,
        run_id=run_id,
        tags=[(f"tag{k}", "x") for k in range(3)],
        metrics=[("loss", float("nan"), 1, 0), ("loss", 0.5, 2, 1)],
        artifacts=[(str(tmp_path / "a.txt"), "model")],
    )
    file = UnsentFile(tmp_path, run_id)
    assert file.acquire()
    file.write(unsent)
    file.release()
    return tmp_path, client, run_id


def test_what_a_killed_run_left_is_sent_once(left):
    project, client, run_id = left
    assert send_all(project, {}) == (1, 0)
    run = client.get_run(run_id)
    assert {"tag0", "tag1", "tag2"} <= run.data.tags.keys()
    assert [m.step for m in client.get_metric_history(run_id, "loss")] == [0, 1]
    assert [file.path for file in client.list_artifacts(run_id, "model")] == ["model/a.txt"]
    assert run.info.status == "KILLED"
    assert send_all(project, {}) == (0, 0)
    assert list((project / FOLDER).iterdir()) == []


def test_what_was_taken_already_does_no_harm(left):
    project, client, run_id = left
    file = next((project / FOLDER).glob("*.json"))
    content = file.read_bytes()
    send_all(project, {})
    before = client.get_run(run_id).to_dictionary()
    file.write_bytes(content)
    send_all(project, {})
    after = client.get_run(run_id).to_dictionary()
    assert after["data"] == before["data"]
    assert len(client.get_metric_history(run_id, "loss")) == 2


def test_a_run_that_goes_on_is_left_alone(left):
    project, client, run_id = left
    file = UnsentFile(project, run_id)
    assert file.acquire()
    with closing(type("Held", (), {"close": lambda self: file.release()})()):
        assert send_all(project, {}) == (0, 0)
    assert client.get_run(run_id).info.status == "RUNNING"


def test_a_file_that_is_gone_costs_nothing_else(left, caplog):
    project, client, run_id = left
    (project / "a.txt").unlink()
    assert send_all(project, {}) == (0, 1)
    assert "MLflow never takes the artifacts" in caplog.text
    assert "tag2" in client.get_run(run_id).data.tags


def test_what_is_refused_for_good_is_named_and_not_tried_again(left, caplog):
    project, client, run_id = left
    client.delete_run(run_id)
    assert send_all(project, {}) == (0, 1)
    assert caplog.text.count("MLflow never takes the tags") == 1
    assert send_all(project, {}) == (0, 0)


def test_a_damaged_file_is_named(left, caplog):
    project, _, _ = left
    (file,) = (project / FOLDER).glob("*.json")
    file.write_bytes(file.read_bytes()[:-10])
    assert send_all(project, {}) == (0, 0)
    assert f"{file} can't be read" in caplog.text


def test_what_is_left_for_another_store_is_kept(left):
    project, _, _ = left
    (file,) = (project / FOLDER).glob("*.json")
    there = Unsent.model_validate_json(file.read_bytes())
    there.store = "http://127.0.0.1:9"
    file.write_text(there.model_dump_json())
    with pytest.raises(PointillistError, match=r"left for MLflow at http://127\.0\.0\.1:9"):
        send_all(project, {})
    with pytest.raises(PointillistError, match="1 runs are not there entirely"):
        send_all(project, {"tracking_uri": "http://127.0.0.1:9"})
