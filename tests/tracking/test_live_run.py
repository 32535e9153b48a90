"""What a run says arrives, in order, whatever happens around it."""

import logging
import math
import shutil
import time

import pytest

from pointillist.progress import Progress, listening, report
from pointillist.tracking import store
from pointillist.tracking.live_run import LiveRun
from pointillist.tracking.unsent import FOLDER, Unsent


@pytest.fixture
def connection(tmp_path, database):
    shutil.copy(database, tmp_path / "mlflow.db")
    address = store.sqlite_uri(tmp_path / "mlflow.db")
    place = store.Store(address, tmp_path.as_uri(), "the test", flush_seconds=0.05)
    client, experiment = store.connect(place)
    return client, client.create_run(experiment).info.run_id, place, tmp_path


@pytest.fixture
def live(connection):
    return LiveRun(*connection)


def told(connection, name):
    client, run_id, *_ = connection
    return [(m.step, m.value) for m in client.get_metric_history(run_id, name)]


def until(condition):
    give_up = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_metrics_arrive_while_the_work_goes_on(connection, live):
    with listening(live.listen):
        report(Progress("Training", 1, 10, metrics={"loss": 0.5}))
        until(lambda: told(connection, "training/loss"))
    assert told(connection, "training/loss") == [(1, 0.5)]
    live.close("FINISHED")


def test_everything_is_sent_before_a_run_ends(connection, live):
    with listening(live.listen):
        for step in range(2500):
            report(Progress("Training", step, 2500, metrics={"loss": step / 2}))
    live.log_parameters({f"p{i}": "v" * i for i in range(250)})
    live.close("FAILED")
    assert told(connection, "training/loss") == [(step, step / 2) for step in range(2500)]
    client, run_id, _, project = connection
    run = client.get_run(run_id)
    assert (run.info.status, len(run.data.params)) == ("FAILED", 250)
    assert list((project / FOLDER).iterdir()) == []


def test_numbers_that_are_none_do_not_stop_the_rest(connection, live):
    live.listen(Progress("Training", 1, 2, metrics={"loss": math.inf, "rate": 3.0}))
    live.close("FINISHED")
    assert told(connection, "training/rate") == [(1, 3.0)]
    assert math.isnan(told(connection, "training/loss")[0][1])


def test_a_parameter_that_is_said_twice_keeps_its_first_value(connection, live):
    live.log_parameters({"a": 1})
    live.log_parameters({"a": 2, "b": 3})
    live.close("FINISHED")
    client, run_id, *_ = connection
    assert client.get_run(run_id).data.params == {"a": "1", "b": "3"}


def test_a_store_that_comes_back_gets_what_it_missed(connection, live, monkeypatch, caplog):
    def refuse(*arguments, **options):
        raise ConnectionError("gone")

    client, _, _, project = connection
    monkeypatch.setattr(client, "log_batch", refuse)
    with caplog.at_level(logging.WARNING):
        for step in range(5):
            live.listen(Progress("Training", step, 5, metrics={"loss": float(step)}))
        live.log_metrics({"sw2": 0.5})
        until(lambda: "does not answer" in caplog.text)
        time.sleep(0.2)
    assert caplog.text.count("does not answer") == 1, "once a run"
    (file,) = (project / FOLDER).glob("*.json")
    kept = Unsent.model_validate_json(file.read_bytes())
    assert ("sw2", 0.5) in [metric[:2] for metric in kept.metrics], "were the process killed now"
    monkeypatch.undo()
    live.close("FINISHED")
    assert told(connection, "training/loss") == [(step, float(step)) for step in range(5)]
    assert told(connection, "sw2") == [(0, 0.5)]


def test_a_store_that_never_answers_does_not_hold_up_the_work(connection, live, monkeypatch):
    client, *_ = connection
    asked = []

    def hang(*arguments, **options):
        asked.append(arguments)
        time.sleep(5)

    monkeypatch.setattr(client, "log_batch", hang)
    live.log_metrics({"a": 1.0})
    until(lambda: asked)
    started = time.process_time(), len(asked)
    for k in range(20):
        live.log_metrics({f"b{k}": 1.0})
    assert len(asked) == started[1], "all of it was said while one request was under way"
    monkeypatch.undo()
    live.close("FINISHED")
