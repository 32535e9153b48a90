"""A sweep in MLflow: one parent run, whose children are its trials."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pointillist import processes
from pointillist.errors import PointillistError, causes
from pointillist.tracking import store as stores

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

KEY, SWEEP, PROCESS = "sweep.key", "sweep", "process"
_MOST = 50_000
_PATIENCE, _TRIES_AGAIN = 120.0, 2.0

T = TypeVar("T")
_trial: ContextVar[Mapping[str, str] | None] = ContextVar("trial", default=None)


@dataclass(frozen=True)
class Child:
    """A trial that was finished."""

    run_id: str
    version: str
    """Of all that it saved."""
    metrics: Mapping[str, float]
    params: Mapping[str, str]


class Parent:
    """The run of a sweep."""

    def __init__(
        self, client: MlflowClient, experiment_id: str, run: Run, store: stores.Store
    ) -> None:
        self._client, self._experiment_id, self._store = client, experiment_id, store
        self.run_id: str = run.info.run_id
        self.name: str = run.data.tags[SWEEP]

    @classmethod
    def open(
        cls, name: str, settings: Mapping[str, Any], project: Path, tags: Mapping[str, str]
    ) -> Parent:
        """Begin a sweep: the database, the experiment and its run are there before any worker starts.

        Raises
        ------
        PointillistError
            If the store can't be reached.
        """
        client, experiment_id, store = _connected(settings, project)
        about = {**tags, SWEEP: name, PROCESS: this_process(), "mlflow.source.name": "pointillist"}
        with stores.in_words(store):
            masked = {key: store.masked(value) for key, value in about.items()}
            run = client.create_run(experiment_id, tags=masked, run_name=f"sweep {name}")
            return cls(client, experiment_id, client.get_run(run.info.run_id), store)

    @classmethod
    def resume(
        cls,
        prefix: str,
        name: str,
        settings: Mapping[str, Any],
        project: Path,
        tags: Mapping[str, str],
    ) -> Parent:
        """Resume a sweep that was interrupted, by the first digits of its run's id.

        Its run must have `tags`, if it has tags of these names.

        Raises
        ------
        PointillistError
            If there is no such run, or more than one, or it is another sweep's, was begun otherwise, or
            is under way on this machine.
        """
        client, experiment_id, store = _connected(settings, project)
        with stores.in_words(store):
            found = client.search_runs([experiment_id], f"tags.{SWEEP} LIKE '%'", max_results=_MOST)
            parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
            run = _the_one(parents, prefix)
            masked = {key: store.masked(value) for key, value in tags.items()}
            _require_resumable(run, prefix, name, masked)
            client.set_tag(run.info.run_id, PROCESS, this_process())
            client.update_run(run.info.run_id, "RUNNING")
        return cls(client, experiment_id, run, store)

    def finished(self) -> dict[str, Child]:
        """Return the finished trials by key, after marking those KILLED whose process has ended."""
        self.put_right()
        with stores.in_words(self._store):
            return _finished(self._client, self._experiment_id, self.run_id)

    def log(self, files: Mapping[str, Path], metrics: Mapping[str, float]) -> None:
        """Record the table, the pictures and the best trial's metrics."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        batch = [Metric(name, float(value), now, 0) for name, value in metrics.items()]
        with stores.in_words(self._store):
            self._client.log_batch(self.run_id, metrics=batch)
            for folder, file in files.items():
                self._client.log_artifact(self.run_id, str(file), folder)

    def close(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED."""
        with stores.in_words(self._store):
            self._client.set_terminated(self.run_id, status)

    def put_right(self) -> None:
        """Mark as KILLED what was cut off on this machine, as `mark_killed` does."""
        with stores.in_words(self._store):
            mark_killed(self._client, self._experiment_id)


@contextmanager
def trial_of(parent_run_id: str, key: str, sweep: str, name: str) -> Iterator[None]:
    """Let the runs of the block be the trial `key` of a sweep: children of its run, called `name`."""
    tags = {"mlflow.parentRunId": parent_run_id, "mlflow.runName": name, KEY: key, SWEEP: sweep}
    token = _trial.set(tags)
    try:
        yield
    finally:
        _trial.reset(token)


def tags_of_trial() -> Mapping[str, str]:
    """Return the tags that a run has as a trial; none outside `trial_of`."""
    return _trial.get() or {}


def patiently(call: Callable[[], T]) -> T:
    """Return what `call` returns, tried again for two minutes while the store is away.

    Raises what `call` raises if that has another reason, or if the store is still away then.
    """
    give_up = time.monotonic() + _PATIENCE
    while True:
        try:
            return call()
        except Exception as error:
            away = any(isinstance(cause, stores.StoreAwayError) for cause in causes(error))
            if not away or time.monotonic() > give_up:
                raise
            time.sleep(_TRIES_AGAIN)


def _the_one(parents: list[Run], prefix: str) -> Run:
    """Return the sweep's run whose id begins with `prefix`. Raises PointillistError naming all."""
    runs = [run for run in parents if prefix and run.info.run_id.startswith(prefix)]
    if len(runs) != 1:
        known = ", ".join(f"{run.info.run_id[:8]} ({run.data.tags[SWEEP]})" for run in parents)
        raise PointillistError(
            f"{'No sweep' if not runs else 'More than one sweep'} in MLflow has an id that begins "
            f"with {prefix!r}. There are: {known or 'none'}."
        )
    return runs[0]


def _require_resumable(run: Run, prefix: str, name: str, tags: Mapping[str, str]) -> None:
    had = run.data.tags
    if had[SWEEP] != name:
        raise PointillistError(f"{prefix!r} is a run of the sweep {had[SWEEP]!r}, not of {name!r}.")
    if any(had.get(tag, value) != value for tag, value in tags.items()):
        raise PointillistError(
            f"The sweep {prefix!r} was begun by another command; only --resume may be added: "
            f"{had.get('kedro.command', '')}"
        )
    on, _, pid = had.get(PROCESS, "").rpartition(":")
    if run.info.status == "RUNNING" and processes.is_there(on, pid):
        raise PointillistError(
            f"The sweep {prefix!r} is under way in process {pid}. Wait for its end, or stop it."
        )


def _finished(client: MlflowClient, experiment_id: str, run_id: str) -> dict[str, Child]:
    query = f"tags.`mlflow.parentRunId` = '{run_id}' and attributes.status = 'FINISHED'"
    return {
        run.data.tags[KEY]: Child(
            run.info.run_id, run.data.tags["kedro.session_id"], run.data.metrics, run.data.params
        )
        for run in client.search_runs([experiment_id], query, max_results=_MOST)
        if KEY in run.data.tags
    }


def child(run_id: str, key: str, settings: Mapping[str, Any], project: Path) -> Child | None:
    """Return the trial `key` of the sweep `run_id` if it was finished."""
    client, experiment_id, store = _connected(settings, project)
    with stores.in_words(store):
        return _finished(client, experiment_id, run_id).get(key)


def record_failure(
    run_id: str, tags: Mapping[str, str], error: str, settings: Mapping[str, Any], project: Path
) -> None:
    """Record a trial that failed before it had a run of its own: a FAILED child says why."""
    client, experiment_id, store = _connected(settings, project)
    with stores.in_words(store):
        query = f"tags.`mlflow.parentRunId` = '{run_id}' and tags.`{KEY}` = '{tags[KEY]}'"
        runs = client.search_runs([experiment_id], query)
        if all(run.info.status == "KILLED" for run in runs):
            about = {"mlflow.parentRunId": run_id, PROCESS: this_process(), **tags}
            about["error"] = store.masked(error)
            name = about.pop("mlflow.runName", None)
            run = client.create_run(experiment_id, tags=about, run_name=name)
            client.set_terminated(run.info.run_id, "FAILED")


def mark_killed(client: MlflowClient, experiment_id: str) -> None:
    """Mark the runs as KILLED whose process, on this machine, has ended without saying so."""
    query = "attributes.status = 'RUNNING'"
    for run in client.search_runs([experiment_id], query):
        on, _, pid = run.data.tags.get(PROCESS, "").rpartition(":")
        if processes.is_over(on, pid):
            client.set_terminated(run.info.run_id, "KILLED")


def _connected(
    settings: Mapping[str, Any], project: Path
) -> tuple[MlflowClient, str, stores.Store]:
    store = stores.resolve(settings, project)
    return *stores.connect(store), store


def this_process() -> str:
    """Return what the tag PROCESS says of this process."""
    return f"{processes.host()}:{processes.this()}"
