"""A copy of the project, run through KedroSession, in this process or in one of its own."""

import os
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

from click.testing import CliRunner, Result
from kedro.framework.cli.cli import KedroCLI
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from mlflow import MlflowClient

from pointillist.groups import flatten

QUICK = {
    "threads": 1,
    "training": {"steps": 30, "batch_size": 64, "report_every": 10},
    "sampling": {"steps": 6, "n_samples": 500},
    "evaluation": {
        "n_eval": 500,
        "noise_levels": 8,
        "risk_draws": 64,
        "projections": 20,
        "ode_steps": 8,
        "ode_draws": 64,
    },
    "rendering": {"frames": 8, "points": 200, "size": 160},
}
QUICK_TEXT = ",".join(f"{name}={value}" for name, value in flatten(QUICK).items())


def run(project: Path, *pipelines: str, node=None, load_versions=None, env=None, **parameters):
    bootstrap_project(project)
    options = {"project_path": project, "runtime_params": QUICK | parameters, "env": env}
    with KedroSession.create(**options) as session:
        session.run(
            pipeline_names=list(pipelines) or None,
            node_names=node and [node],
            load_versions=load_versions,
        )
        return session.session_id


def kedro(project: Path, *arguments: str, **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(project / "src"), "COLUMNS": "100"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.run(
        [sys.executable, "-m", "kedro", *arguments],
        cwd=project,
        env=environment | options.pop("env", {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def kedro_here(project: Path, *arguments: str) -> Result:
    """As `kedro`, but in this process, which has loaded everything: for commands that do little."""
    with chdir(project):
        return CliRunner().invoke(KedroCLI(project_path=project), list(arguments))


def saved(project: Path, name: str) -> list[Path]:
    """All versions of a dataset, oldest first."""
    return sorted(p for p in project.glob(f"data/*/*/{name}.*/*/*") if p.is_file())


def mlflow(project: Path) -> tuple[MlflowClient, list]:
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("pointillist")
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    return client, sorted(runs, key=lambda r: r.info.start_time)
