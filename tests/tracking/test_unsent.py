"""What waits is sent once, what is refused for good is counted, and what was cut off is said."""

import json
import shutil

import pytest

from pointillist.errors import PointillistError
from pointillist.tracking import outbox, send_all, store


@pytest.fixture
def waiting(tmp_path, database, monkeypatch):
    """A project with three tags that wait for its store."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(database, tmp_path / "mlflow.db")
    place = store.resolve(store.Settings(), tmp_path)
    client, experiment = store.connect(place, "pointillist")
    run_id = client.create_run(experiment).info.run_id
    box = outbox.Outbox(tmp_path / outbox.FOLDER, run_id, place.shown)
    for k in range(3):
        box.add({"kind": "tags", "run_id": run_id, "tags": [[f"tag{k}", "x"]]})
    box.close()
    return tmp_path, client, run_id


def test_what_waits_is_sent_once(waiting):
    project, client, run_id = waiting
    assert send_all(project, {}) == (3, 0)
    assert {"tag0", "tag1", "tag2"} <= client.get_run(run_id).data.tags.keys()
    assert send_all(project, {}) == (0, 0)
    assert list((project / outbox.FOLDER).iterdir()) == []


def test_what_is_refused_for_good_is_counted_and_named(waiting, caplog):
    project, client, run_id = waiting
    client.delete_run(run_id)
    sent, not_taken = send_all(project, {})
    assert (sent, not_taken) == (0, 3)
    assert caplog.text.count("MLflow never takes the tags") == 3


def test_a_record_that_was_cut_off_is_said(waiting, caplog):
    project, _, _ = waiting
    (path,) = (project / outbox.FOLDER).glob("*.jsonl")
    path.write_text(path.read_text()[:-10])
    assert send_all(project, {}) == (2, 0)
    assert "was cut off" in caplog.text


def test_what_waits_for_another_store_is_kept(waiting):
    project, _, _ = waiting
    (path,) = (project / outbox.FOLDER).glob("*.jsonl")
    lines = path.read_text().splitlines()
    lines[0] = json.dumps({"store": "http://127.0.0.1:9"})
    path.write_text("\n".join([*lines, ""]))
    with pytest.raises(PointillistError, match=r"waits for MLflow at http://127\.0\.0\.1:9"):
        send_all(project, {})
    with pytest.raises(PointillistError, match="3 records wait on"):
        send_all(project, {"tracking_uri": "http://127.0.0.1:9"})
    assert path.exists()
