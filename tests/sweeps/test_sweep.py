"""Sweeps with real workers: every trial is one child, and none is lost, whoever is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

from pointillist.groups import flatten
from pointillist.sweeps import worker
from pointillist.sweeps.plan import Trial
from pointillist.sweeps.worker import Order
from pointillist.tracking import Parent
from tests.projects import QUICK, kedro, kedro_here, run, saved
from tests.reliability.test_tracking_down import Server

SWEEPS = {
    "two": {
        "about": "two configurations, two seeds",
        "seeds": [0, 1],
        "parameters": flatten(QUICK) | {"training.steps": 40},
        "grid": {"training.learning_rate": [0.001, 0.005]},
    },
    "bad": {
        "parameters": flatten(QUICK),
        "list": [{"shape": "dino"}, {"shape": "unicorn"}],
    },
    "long": {
        "seeds": [0, 1, 2],
        "pipelines": ["train"],
        "metric": "training/loss",
        "parameters": flatten(QUICK) | {"training.steps": 500},
        "grid": {"training.learning_rate": [0.001, 0.005]},
    },
    "endless": {
        "pipelines": ["train"],
        "metric": "training/loss",
        "parameters": flatten(QUICK) | {"training.steps": 1_000_000},
        "grid": {"training.learning_rate": [0.001, 0.005]},
    },
    "unfolded": {"parameters": flatten(QUICK), "list": [{"shape": "cat"}]},
    "unmeasured": {
        "metric": "kl_bound_natz",
        "parameters": flatten(QUICK),
        "grid": {"training.learning_rate": [0.001, 0.005, 0.01]},
    },
    "samplers": {
        "pipelines": ["sample", "evaluate"],
        "metric": "sw2",
        "parameters": flatten(QUICK),
        "grid": {"sampling.sampler": ["ddpm", "heun"]},
    },
    "searched": {
        "parameters": flatten(QUICK),
        "search": {"training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}},
        "trials": 3,
    },
}


@pytest.fixture
def project(project):
    (project / "conf" / "base" / "sweeps.yml").write_text(yaml.safe_dump(SWEEPS))
    return project


def runs(project):
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("pointillist")
    found = client.search_runs([experiment.experiment_id]) if experiment else []
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in found if "mlflow.parentRunId" in run.data.tags]
    return sorted(parents, key=lambda run: run.info.start_time), children


def statuses(children):
    return sorted(child.info.status for child in children)


def test_a_grid_is_ranked_recorded_and_drawn(project):
    result = kedro(project, "sweep", "two", "--workers", "2")
    assert result.returncode == 0, result.stderr
    assert "4 of 4 done, 0 running, 0 failed" in result.stderr
    assert "worker at" not in result.stdout + result.stderr, "Dask keeps its words to itself"
    assert "two: ranked by kl_bound_nats" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    (parent,), children = runs(project)
    assert parent.info.run_name == "sweep two"
    assert parent.info.status == "FINISHED"
    assert statuses(children) == ["FINISHED"] * 4
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}
    assert len({child.data.tags["sweep.key"] for child in children}) == 4
    assert len({child.data.tags["kedro.session_id"] for child in children}) == 4
    assert len(saved(project, "denoiser")) == 4
    path = next(project.glob("data/08_reporting/sweeps/two/table.csv/*/table.csv"))
    table = pd.read_csv(path)
    assert table["kl_bound_nats"].is_monotonic_increasing
    assert table["seeds"].tolist() == [2, 2]
    means = pd.Series([c.data.metrics["kl_bound_nats"] for c in children]).mean()
    assert table["kl_bound_nats"].mean() == pytest.approx(means)
    assert parent.data.metrics["kl_bound_nats"] == pytest.approx(table["kl_bound_nats"].iloc[0])
    for name in ("metric", "samples"):
        assert list(project.glob(f"data/08_reporting/sweeps/two/{name}.png/*/{name}.png"))
    # Asked again, nothing is left to do.
    again = kedro(project, "sweep", "two", "--resume", parent.info.run_id[:8])
    assert again.returncode == 0, again.stderr
    assert "4 from before" in again.stderr
    assert len(runs(project)[1]) == 4


def test_a_trial_that_fails_is_one_failed_child_and_the_exit_code_says_so(project):
    result = kedro(project, "sweep", "bad", "--workers", "1")
    assert result.returncode == 1
    assert "1 trial failed" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert "unicorn" in result.stdout
    (parent,), children = runs(project)
    assert statuses(children) == ["FAILED", "FINISHED"]
    assert parent.info.status == "FAILED"
    (failed,) = [child for child in children if child.info.status == "FAILED"]
    assert "unicorn" in failed.data.tags["error"]


def test_reports_that_cannot_be_written_are_said_in_words_and_the_table_is_printed(project):
    (project / "data" / "08_reporting").mkdir()
    (project / "data" / "08_reporting" / "sweeps").write_text("no folder")
    result = kedro(project, "sweep", "unfolded", "--workers", "1")
    assert result.returncode == 1
    assert "can't be written to data/08_reporting/sweeps" in result.stderr
    assert "Traceback" not in result.stderr, result.stderr
    assert "ranked by kl_bound_nats" in result.stdout
    (parent,), children = runs(project)
    assert (parent.info.status, statuses(children)) == ("FAILED", ["FINISHED"])


def test_a_wrong_parameter_is_refused_before_anything_starts(project):
    result = kedro_here(project, "sweep", "two", "--params", "training.stepz=5")
    assert result.exit_code == 1
    assert "training.steps" in result.stderr
    assert runs(project) == ([], [])
    assert "two configurations" in kedro_here(project, "sweep").stdout
    assert "Did you mean 'two'" in kedro_here(project, "sweep", "tow").stderr


def test_a_metric_that_no_trial_has_stops_the_sweep_at_its_first(project):
    result = kedro(project, "sweep", "unmeasured", "--workers", "1")
    assert result.returncode == 1
    assert "give no metric 'kl_bound_natz'. Did you mean 'kl_bound_nats'" in result.stderr
    _, children = runs(project)
    assert len(children) <= 2


def test_one_model_is_sampled_in_several_ways_and_resumed_only_as_it_was_begun(project):
    run(project, "train")
    result = kedro(project, "sweep", "samplers", "--workers", "1")
    assert result.returncode == 0, result.stderr
    assert "2 of 2 done, 0 running, 0 failed" in result.stderr
    parent = next(r for r in runs(project)[0] if r.data.tags.get("sweep") == "samplers")
    begun = ("sweep", "samplers", "--resume", parent.info.run_id[:8])
    assert f"kedro {' '.join(('sweep', 'samplers', '--workers', '1'))} --resume" in result.stderr
    other = kedro(project, *begun, "--params", "sampling.steps=9")
    assert other.returncode == 1
    assert "was begun by another command" in other.stderr
    assert "2 from before" in kedro(project, *begun).stderr


def test_two_trials_in_one_process_are_two_runs(project, monkeypatch):
    monkeypatch.chdir(project)
    parent = Parent.open("two", {}, project, {})
    order = Order(project, None, "two", parent.run_id)
    common = flatten(QUICK) | {"threads": 1, "shape": "dino"}
    pair = [Trial({}, common | {"seed": seed}, ("train",)) for seed in (0, 1)]
    outcomes = [worker.run(trial, order) for trial in (*pair, pair[0])]
    assert [outcome.error for outcome in outcomes] == [""] * 3
    _, children = runs(project)
    assert {child.data.params["seed"] for child in children} == {"0", "1"}
    assert len(children) == 2, "what was finished is not run again"
    assert outcomes[2].version == outcomes[0].version


def start(project, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "kedro", "sweep", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition, process):
    give_up = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < give_up
        time.sleep(0.05)


def running(project):
    return [child for child in runs(project)[1] if child.info.status == "RUNNING"]


def test_a_worker_that_is_killed_is_replaced_and_its_trial_run_again(project):
    process = start(project, "long", "--workers", "2")
    wait_for(lambda: any("training/loss" in c.data.metrics for c in running(project)), process)
    victim = next(c for c in running(project) if "training/loss" in c.data.metrics)
    os.kill(int(re.search(r":(\d+)", victim.data.tags["process"])[1]), signal.SIGKILL)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    (parent,), children = runs(project)
    assert statuses(children) == ["FINISHED"] * 6 + ["KILLED"]
    finished = [c.data.tags["sweep.key"] for c in children if c.info.status == "FINISHED"]
    assert len(set(finished)) == 6
    assert parent.info.status == "FINISHED"


def test_ctrl_c_leaves_no_run_open(project):
    process = start(project, "endless")
    try:
        wait_for(lambda: running(project), process)
        (parent,), _ = runs(project)
        second = kedro(project, "sweep", "endless", "--resume", parent.info.run_id[:8])
        assert second.returncode == 1
        assert "is under way in process" in second.stderr, second.stderr
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert f"To go on: kedro sweep endless --resume {parent.info.run_id[:8]}" in output, output
    (parent,), children = runs(project)
    assert process.returncode
    assert parent.info.status == "KILLED"
    assert set(statuses(children)) == {"KILLED"}


@pytest.mark.soak
def test_a_driver_that_is_killed_goes_on_with_what_is_missing(project):
    process = start(project, "long", "--workers", "2")
    wait_for(lambda: "FINISHED" in statuses(runs(project)[1]), process)
    process.kill()
    process.wait()
    (parent,), before = runs(project)
    done = {c.data.tags["sweep.key"] for c in before if c.info.status == "FINISHED"}
    time.sleep(3)  # its workers notice
    result = kedro(project, "sweep", "long", "--workers", "2", "--resume", parent.info.run_id[:10])
    assert result.returncode == 0, result.stderr
    (parent,), children = runs(project)
    finished = [c.data.tags["sweep.key"] for c in children if c.info.status == "FINISHED"]
    assert len(finished) == len(set(finished)) == 6
    assert done <= set(finished)
    assert set(statuses(children)) <= {"FINISHED", "KILLED"}
    assert parent.info.status == "FINISHED"


class Cluster:
    """A scheduler and workers in processes of their own, as a user of Dask starts them."""

    def __init__(self, folder):
        self._folder, self._file, self._processes = folder, folder / "scheduler.json", []
        self._start("scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", self._file)
        give_up = time.monotonic() + 60
        while not self._file.exists():
            assert time.monotonic() < give_up
            time.sleep(0.05)
        self.address = json.loads(self._file.read_text())["address"]

    def _start(self, *arguments):
        command = [sys.executable, "-m", "dask", *map(str, arguments), "--host", "127.0.0.1"]
        with (self._folder / f"{len(self._processes)}.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        self._processes.append(process)

    def add(self, *arguments):
        self._start("worker", "--no-dashboard", "--scheduler-file", self._file, *arguments)

    def lose_its_scheduler(self):
        self._processes[0].kill()

    def stop(self):
        for process in reversed(self._processes):
            process.terminate()
            process.wait(timeout=60)


@pytest.fixture
def cluster(tmp_path, monkeypatch, project):
    monkeypatch.setenv("PYTHONPATH", str(project / "src"))
    found = Cluster(tmp_path)
    yield found
    found.stop()


def test_a_cluster_runs_a_trial_where_its_resources_are(project, cluster):
    # More threads than one: of a worker's process only one trial is at work all the same.
    cluster.add("--nthreads", "3", "--resources", "GPU=3", "--name", "able")
    cluster.add("--nthreads", "1", "--name", "other")
    process = start(project, "two", "--address", cluster.address, "--resources", "GPU=1")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    _, children = runs(project)
    assert statuses(children) == ["FINISHED"] * 4
    assert len({child.data.tags["process"] for child in children}) == 1
    spans = sorted((child.info.start_time, child.info.end_time) for child in children)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    given = ("--address", cluster.address, "--resources", "TPU=1")
    refused = kedro_here(project, "sweep", "two", *given)
    assert refused.exit_code == 1
    assert "None of the cluster's 2 workers has TPU=1." in refused.stderr
    assert len(runs(project)[0]) == 1, "what is refused leaves nothing"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--resources", "GPU=1"), "--address too"),
        (("--address", "tcp://127.0.0.1:1", "--resources", "GPU"), "'GPU' is no resource"),
        (("--address", "tcp://127.0.0.1:1", "--resources", "GPU=-1"), "'GPU=-1' is no resource"),
        (("--address", "tcp://127.0.0.1:1", "--workers", "2"), "either"),
        (("--address", "tcp://127.0.0.1:1x"), "is no address of a Dask scheduler, as in tcp://"),
        (("--address", "ftp://127.0.0.1:1"), "unknown address scheme 'ftp'"),
        (("--address", "tls://127.0.0.1:1"), "is no address of a Dask scheduler, as in tcp://"),
    ],
)
def test_options_that_do_not_go_together_are_refused(project, options, said):
    result = kedro_here(project, "sweep", "two", *options)
    assert result.exit_code == 1
    assert said in result.stderr
    assert runs(project) == ([], [])


@pytest.mark.soak
def test_a_cluster_that_is_lost_can_be_gone_on_from(project, cluster):
    process = start(project, "long", "--address", cluster.address)
    wait_for(lambda: runs(project)[0], process)
    cluster.add("--nthreads", "1")  # a worker that comes late
    wait_for(lambda: "FINISHED" in statuses(runs(project)[1]), process)
    cluster.lose_its_scheduler()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1, output
    assert "The cluster's scheduler is gone" in output, output
    assert "Traceback" not in output, output
    (parent,), _ = runs(project)
    assert parent.info.status == "KILLED"
    result = kedro(project, "sweep", "long", "--workers", "2", "--resume", parent.info.run_id[:10])
    assert result.returncode == 0, result.stderr
    _, children = runs(project)
    finished = [c.data.tags["sweep.key"] for c in children if c.info.status == "FINISHED"]
    assert len(finished) == len(set(finished)) == 6


@pytest.mark.soak
def test_a_search_asks_as_often_as_it_may(project):
    result = kedro(project, "sweep", "searched", "--workers", "2")
    assert result.returncode == 0, result.stderr
    _, children = runs(project)
    assert statuses(children) == ["FINISHED"] * 3
    rates = [float(child.data.params["training.learning_rate"]) for child in children]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert len(set(rates)) == 3


def test_a_sweep_that_is_not_there_cannot_be_resumed(project):
    result = kedro_here(project, "sweep", "two", "--resume", "abcdef")
    assert result.exit_code == 1
    assert "No sweep in MLflow has an id that begins with 'abcdef'" in result.stderr


@pytest.mark.soak
def test_a_server_that_is_away_for_ten_seconds_costs_no_trial(project, tmp_path, database):
    server = Server(tmp_path, database)
    server.start()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "kedro", "sweep", "long", "--workers", "2"],
            cwd=project,
            env={
                **os.environ,
                "PYTHONPATH": str(project / "src"),
                "MLFLOW_TRACKING_URI": server.address,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

        def children():
            return [r for r in server.runs()[1] if "mlflow.parentRunId" in r.data.tags]

        wait_for(lambda: "FINISHED" in statuses(children()), process)
        server.stop()
        time.sleep(10)
        server.start()
        output, _ = process.communicate(timeout=400)
        assert process.returncode == 0, output
        finished = [c for c in children() if c.info.status == "FINISHED"]
        assert len({c.data.tags["sweep.key"] for c in finished}) == len(finished) == 6
        assert set(statuses(children())) == {"FINISHED"}
        for child in finished:
            steps = server.runs()[0].get_metric_history(child.info.run_id, "training/loss")
            assert [m.step for m in steps] == list(range(10, 501, 10))
    finally:
        server.stop()
