"""A real MLflow server that is stopped, started again, or never there."""

import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from mlflow import MlflowClient

from tests.browser.test_servers import free_port
from tests.projects import QUICK_TEXT, kedro, saved

SECRET = "s3cr3tpassword"
LONG = f"{QUICK_TEXT},training.steps=600,training.report_every=5"


class Server:
    """`mlflow server` on one database, as often as it is started."""

    def __init__(self, folder, database) -> None:
        self.folder, self.port, self.process = folder, free_port(), None
        self.address = f"http://127.0.0.1:{self.port}"
        self.address_with_login = f"http://me:{SECRET}@127.0.0.1:{self.port}"
        self.database = folder / "server.db"
        self.database.write_bytes(database.read_bytes())

    def start(self) -> None:
        command = ["server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.database}"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *command],
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        give_up = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"{self.address}/health", timeout=2)
                return
            except OSError:
                assert time.monotonic() < give_up, (self.folder / "server.log").read_text()
                time.sleep(0.2)

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def runs(self):
        client = MlflowClient(f"sqlite:///{self.database}")
        experiment = client.get_experiment_by_name("pointillist")
        return client, client.search_runs([experiment.experiment_id]) if experiment else []


@pytest.fixture
def server(tmp_path, database):
    server = Server(tmp_path, database)
    server.start()
    yield server
    server.stop()


def start(project, server):
    """Run everything, with a training that takes some seconds; return when metrics arrive."""
    run = subprocess.Popen(
        [sys.executable, "-m", "kedro", "run", "--params", LONG],
        cwd=project,
        env={
            **os.environ,
            "PYTHONPATH": str(project / "src"),
            "MLFLOW_TRACKING_URI": server.address_with_login,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for _ in range(3000):
        runs = server.runs()[1]
        if runs and "training/loss" in runs[0].data.metrics:
            return run
        assert run.poll() is None, run.communicate()[0]
        time.sleep(0.02)
    raise AssertionError("no metric arrived")


def assert_all_is_there(server):
    client, (run,) = server.runs()
    assert run.info.status == "FINISHED"
    losses = client.get_metric_history(run.info.run_id, "training/loss")
    assert [m.step for m in losses] == list(range(5, 601, 5))
    assert {"sw2", "kl_bound_nats"} <= run.data.metrics.keys()
    assert run.data.params["training.steps"] == "600"
    files = {p.name for p in (server.folder / "artifacts").rglob("*") if p.is_file()}
    assert {"denoiser.safetensors", "metrics.json", "animation.gif", "samples.png"} <= files


def test_a_server_that_goes_away_costs_a_run_nothing_and_gets_all_of_it_later(project, server):
    run = start(project, server)
    server.stop()
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    assert "Traceback" not in output
    assert output.count("MLflow does not answer") == 1
    assert "kedro mlflow-sync" in output
    assert len(saved(project, "denoiser")) == len(saved(project, "metrics")) == 1
    there = {"env": {"MLFLOW_TRACKING_URI": server.address_with_login}}
    refused = kedro(project, "mlflow-sync", **there)
    assert refused.returncode == 1
    assert "MLFLOW_TRACKING_URI" in refused.stderr
    assert "Traceback" not in refused.stderr
    left = "".join(file.read_text() for file in (project / ".mlflow-outbox").iterdir())
    assert "training_history.csv" in left
    assert SECRET not in left
    elsewhere = kedro(project, "mlflow-sync")
    assert elsewhere.returncode == 1
    assert server.address in elsewhere.stderr
    server.start()
    sent = kedro(project, "mlflow-sync", **there)
    assert sent.returncode == 0, sent.stderr
    assert "MLflow has all of 1 more runs" in sent.stdout
    assert_all_is_there(server)
    assert "MLflow has all runs" in kedro(project, "mlflow-sync", **there).stdout
    said = [output, *(done.stdout + done.stderr for done in (refused, elsewhere, sent))]
    files = [file for place in (project, server.folder) for file in place.rglob("*")]
    said += [file.read_bytes().decode(errors="replace") for file in files if file.is_file()]
    assert not [text for text in said if SECRET in text]


@pytest.mark.soak
def test_a_server_that_comes_back_during_the_run_gets_all_of_it(project, server):
    run = start(project, server)
    server.stop()
    os.kill(run.pid, signal.SIGSTOP)  # a server takes longer to start than this run takes
    time.sleep(0.2)
    os.kill(run.pid, signal.SIGCONT)
    time.sleep(0.5)
    os.kill(run.pid, signal.SIGSTOP)
    server.start()
    os.kill(run.pid, signal.SIGCONT)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    assert "mlflow-sync" not in output
    assert_all_is_there(server)
