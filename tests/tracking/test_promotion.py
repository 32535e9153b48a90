"""The best training is registered, loads elsewhere, and answers over HTTP."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pandas as pd
import psutil
import pytest
from mlflow import MlflowClient

from pointillist.errors import PointillistError
from tests.browser.test_servers import free_port
from tests.projects import QUICK, run, saved

ELSEWHERE = """
import mlflow, numpy, pandas, pointillist
model = mlflow.pyfunc.load_model("models:/pointillist-dino@champion")
points = pointillist.load("models:/pointillist-dino@champion").sample(40, seed=3)
numpy.testing.assert_array_equal(model.predict(pandas.DataFrame({"n": [40]}), {"seed": 3}), points)
print()
print(model.predict(pandas.DataFrame({"n": [40]}), params={"seed": 3, "steps": 8}).to_json())
"""


@pytest.fixture(scope="module")
def promoted(tmp_path_factory, copy_project):
    """Three trainings of different length, the longest promoted."""
    project = copy_project(tmp_path_factory.mktemp("registry") / "project")
    versions = [
        run(project, "train", "sample", "evaluate", training=QUICK["training"] | {"steps": steps})
        for steps in (20, 200, 60)
    ]
    run(project, "promote")
    return project, versions


def client_of(project):
    return MlflowClient(f"sqlite:///{project / 'mlflow.db'}")


def champion(project):
    return client_of(project).get_model_version_by_alias("pointillist-dino", "champion")


def elsewhere(project, *command, **options):
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{project / 'mlflow.db'}"
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    return {
        "args": [sys.executable, *command],
        "env": environment,
        "cwd": project.parent,
        **options,
    }


def test_the_best_by_the_metric_is_the_champion(promoted):
    project, versions = promoted
    run_ = client_of(project).get_run(champion(project).run_id)
    assert run_.data.tags["kedro.session_id"] == versions[1]


def test_promoting_again_registers_nothing_new_and_another_metric_another_model(promoted):
    project, versions = promoted
    before = champion(project).version
    run(project, "promote")
    assert champion(project).version == before
    worst = {"metric": "kl_bound_nats", "direction": "maximize"}
    run(project, "promote", promotion=worst)
    run_ = client_of(project).get_run(champion(project).run_id)
    assert run_.data.tags["kedro.session_id"] == versions[0]
    run(project, "promote")
    assert champion(project).version == before


def test_a_good_bound_does_not_crown_what_samples_badly(promoted, caplog):
    """What is served, sampler included, is what is ranked; a training keeps its own record."""
    project, versions = promoted
    before = champion(project)
    own = client_of(project).get_run(before.run_id).data.metrics
    sampled = run(project, "sample", run=versions[1], sampling=QUICK["sampling"] | {"steps": 1})
    run(project, "evaluate", run=sampled)
    assert client_of(project).get_run(before.run_id).data.metrics == own
    run(project, "promote")
    assert champion(project).version == before.version
    run(project, "promote", promotion={"metric": "sw2", "direction": "maximize"})
    worst = json.loads(champion(project).tags["sampling"])
    assert worst["steps"] == 1
    run(project, "promote")
    assert champion(project).version == before.version


def test_only_trainings_of_one_truth_are_ranked(promoted):
    """A broad truth is easily learnt to a few thousandths of a nat; that says nothing of a sharp one."""
    project, versions = promoted
    before = champion(project).version
    broad = run(project, "train", "sample", "evaluate", data={"bandwidth": 1})
    run(project, "promote")
    assert champion(project).version == before
    run(project, "promote", data={"bandwidth": 1})
    run_ = client_of(project).get_run(champion(project).run_id)
    assert run_.data.tags["kedro.session_id"] == broad
    with pytest.raises(PointillistError, match=r"4 have, with another data\.\*"):
        run(project, "promote", data={"bandwidth": 0.5})
    # One that is damaged costs the others nothing.
    (broken,) = project.glob(f"data/06_models/dino/denoiser.safetensors/{broad}/*.safetensors")
    broken.write_bytes(b"rubbish")
    run(project, "promote")
    assert champion(project).version == before


def test_what_cannot_be_promoted_says_what_to_do(promoted):
    project, _ = promoted
    with pytest.raises(
        PointillistError, match="No training of 'dino' in MLflow has the metric 'x'"
    ):
        run(project, "promote", promotion={"metric": "x"})
    run(project, "ingest", shape="cat")
    with pytest.raises(PointillistError, match="kedro run --pipelines train,sample,evaluate"):
        run(project, "promote", shape="cat")


def test_it_paints_in_a_process_that_has_the_package_only(promoted):
    project, _ = promoted
    drawn = [
        subprocess.run(
            **elsewhere(project, "-c", ELSEWHERE, capture_output=True, text=True, check=True)
        ).stdout.splitlines()[-1]
        for _ in range(2)
    ]
    assert drawn[0] == drawn[1]
    points = pd.DataFrame(json.loads(drawn[0]))
    truth = pd.read_parquet(next(p for p in saved(project, "samples") if p.suffix == ".parquet"))
    assert points.shape == (40, 2)
    assert (points.mean() - truth.mean()).abs().lt(3 * truth.std()).all()


def test_nothing_is_pickled(promoted):
    project, _ = promoted
    names = {p.name for p in (project / "mlartifacts").rglob("serving/**/*") if p.is_file()}
    assert {"denoiser.safetensors", "sampling.json", "MLmodel"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pt", ".bin"))]


@pytest.fixture(scope="module")
def server(promoted):
    project, _ = promoted
    port = free_port()
    command = ["-m", "mlflow", "models", "serve", "-m", "models:/pointillist-dino@champion"]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    with (project / "serve.log").open("w") as log:
        process = subprocess.Popen(
            **elsewhere(project, *command), stdout=log, stderr=log, start_new_session=True
        )
    give_up = time.monotonic() + 90
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2)
            break
        except OSError:
            assert time.monotonic() < give_up, (project / "serve.log").read_text()
            time.sleep(0.2)
    yield f"http://127.0.0.1:{port}/invocations"
    # MLflow starts uvicorn in a session of its own.
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    process.wait(timeout=30)


def ask(address, body):
    request = urllib.request.Request(
        address, body.encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_good_requests_are_answered_with_points(server):
    code, answer = ask(server, json.dumps({"dataframe_records": [{"n": 7}]}))
    assert code == 200
    assert [sorted(point) for point in answer["predictions"]] == [["x", "y"]] * 7
    code, answer = ask(server, json.dumps({"dataframe_records": [{"n": 1}]}))
    assert (code, len(answer["predictions"])) == (200, 1)
    given = {"seed": 4, "steps": 6, "sampler": "dpmpp_2m"}
    body = json.dumps({"dataframe_records": [{"n": 3}], "params": given})
    assert ask(server, body) == ask(server, body)


@pytest.mark.parametrize(
    "body",
    [
        "rubbish",
        '{"dataframe_records": [{"n": -1}]}',
        '{"dataframe_records": [{"n": "<script>"}]}',
        '{"dataframe_records": [{"n": 5}], "params": {"sampler": "nope"}}',
        '{"dataframe_records": [{"n": 5}], "params": {"steps": 0}}',
        '{"dataframe_records": [{"n": 100000000000}]}',
        '{"dataframe_records": [{"n": 0}]}',
        '{"dataframe_records": [{"n": 8}, {"n": -3}]}',
        '{"dataframe_records": [{"n": 5}], "params": {"steps": 100000}}',
        '{"dataframe_records": [{"n": 1000000}], "params": {"steps": 1000}}',
    ],
)
def test_bad_requests_are_answered_with_400_and_the_reason(server, body):
    code, answer = ask(server, body)
    assert code == 400
    assert answer["message"]
    assert "Traceback" not in answer["message"]
