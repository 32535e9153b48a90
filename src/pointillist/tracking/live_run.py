"""One MLflow run that goes on: what is recorded meanwhile, and how it ends."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointillist.errors import reason
from pointillist.progress import Progress
from pointillist.tracking.store import Store
from pointillist.tracking.unsent import Unsent, UnsentFile

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

# MLflow's own limits.
_LONGEST_VALUE, _LONGEST_TAG = 500, 5000


class LiveRun:
    """Sends what a run says to MLflow, from a thread of its own: the work never waits for a store.

    A store that fails meanwhile is complained of once. What it does not take is tried again, at the end
    of the run at the latest, and else stays in the run's file for the next run or `kedro mlflow-sync`.
    """

    def __init__(self, client: MlflowClient, run_id: str, store: Store, project: Path) -> None:
        self.run_id = run_id
        self._client, self._store = client, store
        self._unsent, self._in_flight = self._nothing(), self._nothing()
        self._lock = threading.Lock()
        self._file = UnsentFile(project, run_id)
        self._said: set[str] = set()
        self._complained = False
        self._ending = threading.Event()
        self._keep(acquire=True)
        self._thread = threading.Thread(target=self._send_regularly, daemon=True)
        self._thread.start()

    def listen(self, progress: Progress) -> None:
        """Take note of what a stage measured; costs microseconds."""
        now, stage = _now(), progress.stage.lower()
        # A database has no place for infinity; NaN is stored as such.
        live = [
            (f"{stage}/{name}", value if math.isfinite(value) else math.nan, now, progress.step)
            for name, value in progress.metrics.items()
        ]
        with self._lock:
            self._unsent.metrics += live

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Record parameters; MLflow takes each once, so what was said first holds."""
        new = {
            key: str(v)[:_LONGEST_VALUE] for key, v in parameters.items() if key not in self._said
        }
        self._said |= new.keys()
        self._say(params=list(new.items()))

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Record final metrics."""
        now = _now()
        self._say(metrics=[(name, float(value), now, 0) for name, value in metrics.items()])

    def log_artifact(self, path: Path, folder: str) -> None:
        """Upload a file, which has to stay where it is."""
        self._say(artifacts=[(str(path.absolute()), folder)])

    def log_shape(self, name: str, digest: str, source: str) -> None:
        """Record the shape as the run's dataset, once."""
        if "shape of the run" not in self._said:
            self._say(inputs=[(name, digest, source)])
        self._said.add("shape of the run")

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags."""
        masked = {key: self._store.masked(value)[:_LONGEST_TAG] for key, value in tags.items()}
        self._say(tags=list(masked.items()))

    def link(self, kind: str, version: str) -> None:
        """Link the run of the session `version`; the kinds are those of `unsent.LINKS`."""
        self._say(links=[(kind, version)])

    def close(self, status: str) -> None:
        """Send what is left and end the run as FINISHED, FAILED or KILLED."""
        self._say(ended=(status, _now()))
        self._ending.set()
        self._thread.join()
        if self._unsent:
            self._keep()
            logger.warning(
                "MLflow has not got all of run %s. Send the rest when the server is back: kedro "
                "mlflow-sync (the next run does, too)",
                self.run_id,
            )
        else:
            self._file.remove()
        self._file.release()

    def _say(self, **parts: Any) -> None:
        with self._lock:
            self._unsent.add(self._nothing().model_copy(update=parts))
        self._keep()

    def _nothing(self) -> Unsent:
        return Unsent(store=self._store.shown, run_id=self.run_id)

    def _keep(self, *, acquire: bool = False) -> None:
        """Write what is not sent yet to the run's file, if that is possible."""
        with self._lock:
            rest = self._in_flight.model_copy(deep=True)
            rest.add(self._unsent)
        try:
            if acquire:
                self._file.acquire()
            self._file.write(rest)
        except OSError as error:
            logger.warning("What MLflow did not take can't be kept: %s", reason(error))

    def _send_regularly(self) -> None:
        last = False
        while not last:
            last = self._ending.wait(self._store.flush_seconds)
            self._send()

    def _send(self) -> None:
        with self._lock:
            batch, self._unsent = self._unsent, self._nothing()
            self._in_flight = batch.model_copy(deep=True)
        try:
            batch.send(self._client)
        except Exception as error:
            self._complain(error)
        with self._lock:
            batch.add(self._unsent)
            self._unsent, self._in_flight = batch, self._nothing()

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            logger.warning(
                "MLflow does not answer (%s). The run goes on, and what it did not take is kept.",
                self._store.masked(reason(error))[:200],
            )
        self._complained = True


def _now() -> int:
    """Return milliseconds since 1970."""
    return int(time.time() * 1000)
