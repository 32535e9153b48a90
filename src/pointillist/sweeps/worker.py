"""One trial: a whole Kedro run in a warm worker."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pointillist import tracking
from pointillist.errors import PointillistError, causes, reason
from pointillist.groups import nested
from pointillist.sweeps.plan import Trial


@dataclass(frozen=True)
class Order:
    """What a worker needs to know besides the trial."""

    project: Path
    env: str | None
    sweep: str
    parent_run_id: str


@dataclass(frozen=True)
class Outcome:
    """What came of a trial."""

    trial: Trial
    metrics: Mapping[str, float]
    version: str
    """Of what it saved; empty if it failed."""
    error: str
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether it did not come to its end."""
        return bool(self.error)


def run(trial: Trial, order: Order) -> Outcome:
    """Run a trial, unless it was finished already by a worker that died before it could say so.

    One at a time, however many threads the worker has: Kedro's and MLflow's run is the process's.
    """
    with _alone:
        return _carry_out(trial, order)


_alone = threading.Lock()


def _carry_out(trial: Trial, order: Order) -> Outcome:
    started = time.monotonic()
    with _quiet():
        try:
            done = tracking.patiently(lambda: _child(trial, order))
            if done is None:
                tracking.patiently(lambda: _run(trial, order))
                done = tracking.patiently(lambda: _child(trial, order))
            error = "" if done else "MLflow does not have it (kedro mlflow-sync, then --resume)"
        except Exception as failure:
            done, error = None, _said(failure)
            _record(trial, order, error)
    seconds = time.monotonic() - started
    metrics = done.metrics if done else {}
    return Outcome(trial, metrics, done.version if done else "", error, seconds)


def _child(trial: Trial, order: Order) -> tracking.Child | None:
    """Return the run of the trial if it was finished, after sending what a server did not take."""
    settings = _settings(order)
    tracking.send_all(order.project, settings)
    return tracking.child(order.parent_run_id, trial.key, settings, order.project)


def _run(trial: Trial, order: Order) -> None:
    from kedro.framework.session import KedroSession

    with (
        tracking.trial_of(order.parent_run_id, trial.key, order.sweep, trial.label),
        KedroSession.create(
            order.project, env=trial.env or order.env, runtime_params=nested(trial.parameters)
        ) as session,
    ):
        session.run(pipeline_names=list(trial.pipelines))


def _record(trial: Trial, order: Order, error: str) -> None:
    """Let MLflow have a failed run of a trial that came to none."""
    tags = {
        tracking.KEY: trial.key,
        tracking.SWEEP: order.sweep,
        "mlflow.runName": trial.label,
    }
    with contextlib.suppress(Exception):
        tracking.record_failure(order.parent_run_id, tags, error, _settings(order), order.project)


def _settings(order: Order) -> Mapping[str, Any]:
    """Return conf/*/mlflow.yml, and make the project known to this process, once."""
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    if order.project not in _known:
        bootstrap_project(order.project)
        with KedroSession.create(order.project, env=order.env) as session:
            loader = session.load_context().config_loader
            _known[order.project] = dict(loader.get("mlflow", {}))
    return _known[order.project]


_known: dict[Path, Mapping[str, Any]] = {}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep a worker's words to itself: the sweep has a display of its own."""
    level = logging.root.manager.disable
    logging.disable(logging.INFO)
    logging.getLogger("kedro_viz").setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(level)


def _said(error: Exception) -> str:
    if any(isinstance(cause, PointillistError) for cause in causes(error)):
        return reason(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {reason(error)} ({Path(last.filename).name}:{last.lineno})"
