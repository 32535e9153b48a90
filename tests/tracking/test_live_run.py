"""Live metrics arrive, in order, whatever happens around them."""

import logging
import math
import shutil
import time

import pytest

from pointillist.progress import Progress, listening, report
from pointillist.tracking import store
from pointillist.tracking.outbox import Outbox
from pointillist.tracking.recorder import Recorder


@pytest.fixture
def recorder(tmp_path, database):
    shutil.copy(database, tmp_path / "mlflow.db")
    place = store.Store(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path.as_uri(), "the test")
    client, experiment = store.connect(place, "test")
    run_id = client.create_run(experiment).info.run_id
    return Recorder(client, run_id, 0.05, Outbox(tmp_path / "outbox", run_id, place.shown))


def told(recorder, name):
    return [(m.step, m.value) for m in recorder.client.get_metric_history(recorder.run_id, name)]


def test_metrics_arrive_while_the_work_goes_on(recorder):
    with listening(recorder.listen):
        report(Progress("Training", 1, 10, metrics={"loss": 0.5}))
        for _ in range(100):
            if told(recorder, "training/loss"):
                break
            time.sleep(0.05)
    assert told(recorder, "training/loss") == [(1, 0.5)]
    recorder.close("FINISHED")


def test_everything_is_sent_before_a_run_ends(recorder):
    with listening(recorder.listen):
        for step in range(2500):
            report(Progress("Training", step, 2500, metrics={"loss": step / 2}))
    recorder.close("FAILED")
    assert told(recorder, "training/loss") == [(step, step / 2) for step in range(2500)]
    assert recorder.client.get_run(recorder.run_id).info.status == "FAILED"


def test_numbers_that_are_none_do_not_stop_the_rest(recorder):
    recorder.listen(Progress("Training", 1, 2, metrics={"loss": math.inf, "rate": 3.0}))
    recorder.close("FINISHED")
    assert told(recorder, "training/rate") == [(1, 3.0)]
    assert math.isnan(told(recorder, "training/loss")[0][1])


def test_work_goes_on_when_live_metrics_are_refused(recorder, monkeypatch, caplog):
    def refuse(*arguments, **options):
        raise ConnectionError("gone")

    monkeypatch.setattr(recorder.client, "log_batch", refuse)
    with caplog.at_level(logging.WARNING):
        for step in range(5):
            recorder.listen(Progress("Training", step, 5, metrics={"loss": 1.0}))
            time.sleep(0.06)
        recorder._flush()
    assert caplog.text.count("took no live metrics") == 1
    monkeypatch.undo()
    recorder.close("FINISHED")


def test_parameters_beyond_one_batch_are_all_recorded(recorder):
    recorder.log_parameters({f"p{i}": "v" * i for i in range(250)})
    recorder.close("FINISHED")
    assert len(recorder.client.get_run(recorder.run_id).data.params) == 250
