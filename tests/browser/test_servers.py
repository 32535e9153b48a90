"""Kedro-Viz and MLflow's own pages show what a run left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tests.projects import QUICK, run

_LITTLE = {
    "player": {"points": 50},
    "sampling": QUICK["sampling"],
    "evaluation": QUICK["evaluation"],
    "samplers": {"nfe": 5, "n_samples": 100, "floor_draws": 5},
    "rendering": {"size": 120},
}


def free_port() -> int:
    """Find a port that nobody listens on; Kedro-Viz takes none above 49151."""
    for port in range(20_000 + os.getpid() % 20_000, 49_000):
        with socket.socket() as listener:
            if listener.connect_ex(("127.0.0.1", port)):
                return port
    raise RuntimeError("no port is free")


def serve(project: Path, *arguments: str) -> Callable[[], None]:
    """Start a server and return what ends it."""
    environment = {**os.environ, "PYTHONPATH": str(project / "src"), "MLFLOW_TRACKING_URI": ""}
    environment.pop("MLFLOW_TRACKING_URI")
    with (project / f"{arguments[0]}.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=project,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return lambda: os.killpg(server.pid, signal.SIGKILL)


def wait_for(address: str, seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address, timeout=2)
            return
        except OSError:
            assert time.monotonic() < give_up, f"{address} does not answer"
            time.sleep(0.3)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, copy_project) -> Path:
    project = copy_project(tmp_path_factory.mktemp("served") / "project")
    run(project)
    for pipeline in ("report", "player", "explain", "samplers", "gallery"):
        run(project, pipeline, **_LITTLE)
    versions = sorted(
        p.name for p in (project / "data/06_models/dino/denoiser.safetensors").iterdir()
    )
    run(project, "compare", runs="+".join(versions * 2), **_LITTLE)
    return project


@pytest.fixture(scope="module")
def viz(finished) -> Iterator[str]:
    port = free_port()
    stop = serve(
        finished, "kedro", "viz", "run", "--host", "127.0.0.1", "--port", str(port), "--no-browser"
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/api/main")
        yield f"http://127.0.0.1:{port}"
    finally:
        stop()


@pytest.fixture(scope="module")
def ui(finished) -> Iterator[str]:
    port = free_port()
    stop = serve(finished, "pointillist.tracking", "--port", str(port))
    try:
        wait_for(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        stop()


def ask(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return json.load(answer)


def test_kedro_viz_tells_the_story_in_five_boxes(viz, watched):
    page = watched.page
    page.goto(viz)
    boxes = [
        page.locator(".pipeline-node", has_text=re.compile(f"^{stage}$"))
        for stage in ("ingest", "train", "sample", "evaluate", "render")
    ]
    for box in boxes:
        box.wait_for(timeout=60_000)
    # They move to their places before the eye.
    for _ in range(100):
        heights = [box.bounding_box()["y"] for box in boxes]
        if heights == sorted(heights):
            break
        page.wait_for_timeout(100)
    assert heights == sorted(heights)
    assert page.locator(".pipeline-node", has_text="train_denoiser").count() == 0


def test_kedro_viz_has_a_preview_of_every_report(viz):
    nodes = {
        node["id"]: node
        for pipeline in ask(f"{viz}/api/main")["pipelines"]
        for node in ask(f"{viz}/api/pipelines/{pipeline['id']}")["nodes"]
    }
    reports = {i: node["name"] for i, node in nodes.items() if node.get("layer") == "reporting"}
    assert {"animation", "metrics", "player_page", "report_page", "comparison_page"} <= set(
        reports.values()
    )
    blank = [name for i, name in reports.items() if not ask(f"{viz}/api/nodes/{i}").get("preview")]
    # A run whose bandwidth was given draws none of how it was chosen.
    assert blank == ["bandwidth_figure"]


def test_kedro_viz_holds_all_nodes_and_shows_the_gif(viz, watched):
    page = watched.page
    page.goto(f"{viz}/?pid=__default__&expandAllPipelines=true")
    page.wait_for_selector(".pipeline-node", timeout=60_000)
    drawn = " ".join(page.locator(".pipeline-node").all_text_contents())
    for name in ("train_denoiser", "run_reverse_chain", "measure_samples", "animate_chain"):
        assert name in drawn
    page.locator(".pipeline-node", has_text="animation").first.click()
    picture = page.locator(".pipeline-metadata img, .pipeline-metadata__image").first
    picture.wait_for(timeout=30_000)
    assert picture.get_attribute("src").startswith("data:image")


def test_the_address_that_is_printed_is_the_table_of_runs(finished, ui, watched):
    printed = re.search(r"Runs: (\S+)", (finished / "pointillist.tracking.log").read_text())
    assert printed[1].startswith(ui)
    watched.page.goto(printed[1])
    watched.page.get_by_text("dino gallery", exact=True).first.wait_for(timeout=60_000)


def test_mlflow_opens_the_run_with_metrics_pictures_and_report(finished, ui, watched):
    client = MlflowClient(f"sqlite:///{finished / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("pointillist").experiment_id
    runs = {r.info.run_name: r.info.run_id for r in client.search_runs([experiment])}
    page, address = watched.page, f"{ui}/#/experiments/{experiment}/runs"
    page.goto(f"{address}/{runs['dino']}")
    page.get_by_text("kl_bound_nats", exact=True).first.wait_for(timeout=60_000)
    page.goto(f"{address}/{runs['dino']}/artifacts/reporting/samples.png")
    page.locator("img[src*='samples.png'], img[src^='blob:']").first.wait_for(timeout=60_000)
    page.goto(f"{address}/{runs['dino report']}/artifacts/reporting/report.html")
    frame = page.frame_locator("iframe").first
    frame.locator("h1", has_text="dino").wait_for(timeout=60_000)
    frame.locator("canvas").first.wait_for(timeout=60_000)
