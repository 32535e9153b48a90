"""One MLflow run: what is recorded while it is open, and how it ends."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointillist.errors import reason
from pointillist.progress import Progress
from pointillist.tracking.outbox import Outbox, Record, deliver

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

logger = logging.getLogger(__name__)

# MLflow's own limits of one request.
_METRICS_PER_BATCH = 1000
_PARAMETERS_PER_BATCH = 100
_LONGEST_VALUE, _LONGEST_TAG = 500, 5000

# So many refusals in a row, or one for which the work waited so many seconds, and nothing more is tried.
_PATIENCE, _LONG = 3, 5.0


class Recorder:
    """Writes to one run through a client; live metrics go through a buffer and a thread of its own.

    A store that fails while the work goes on is complained of once and never stops the work: what
    was trained is worth more than its record. What it does not take waits in an `Outbox`, is sent when
    it takes something again, at the end of the run at the latest, or else stays for `kedro mlflow-sync`.
    """

    def __init__(
        self, client: MlflowClient, run_id: str, flush_seconds: float, outbox: Outbox
    ) -> None:
        self.client, self.run_id = client, run_id
        self._flush_seconds, self._outbox = flush_seconds, outbox
        self._pending: queue.SimpleQueue[tuple[str, float, int, int]] = queue.SimpleQueue()
        self._unsent: list[tuple[str, float, int, int]] = []
        self._closing = threading.Event()
        self._complained = False
        self._refusals = 0
        self._thread = threading.Thread(target=self._flush_regularly, daemon=True)
        self._thread.start()

    def listen(self, progress: Progress) -> None:
        """Take note of what a stage measured; costs microseconds."""
        now = _now()
        for name, value in progress.metrics.items():
            self._pending.put((f"{progress.stage.lower()}/{name}", value, now, progress.step))

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Record parameters, once each."""
        params = [(key, str(value)[:_LONGEST_VALUE]) for key, value in parameters.items()]
        for start in range(0, len(params), _PARAMETERS_PER_BATCH):
            self._record("params", params=params[start : start + _PARAMETERS_PER_BATCH])

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Record final metrics."""
        now = _now()
        batch = [(name, float(value), now, 0) for name, value in metrics.items()]
        self._record("metrics", metrics=batch)

    def log_artifact(self, path: Path, folder: str) -> None:
        """Upload a file."""
        self._record("artifact", path=str(path), folder=folder)

    def log_shape(self, name: str, digest: str, source: str) -> None:
        """Record the shape as the run's dataset."""
        self._record("shape", name=name, digest=digest, source=source)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags in one request."""
        self._record("tags", tags=[(key, value[:_LONGEST_TAG]) for key, value in tags.items()])

    def find_run(self, experiment_id: str, session_id: str) -> Run | None:
        """Return the run of a Kedro session, which is the version of all that it saved, if it answers."""
        query = f"tags.`kedro.session_id` = '{session_id}'"
        try:
            found = self.client.search_runs([experiment_id], query, max_results=1)
        except Exception as error:
            self._refusals += 1
            self._complain("search", error)
            return None
        return found[0] if found else None

    def close(self, status: str) -> None:
        """Send what is left and end the run as FINISHED, FAILED or KILLED."""
        self._closing.set()
        self._thread.join()
        self._flush()
        for start in range(0, len(self._unsent), _METRICS_PER_BATCH):
            self._outbox.add(self._live(self._unsent[start : start + _METRICS_PER_BATCH]))
        self._refusals = 0
        self._record("end", status=status, time=_now())
        if waiting := len(self._outbox.waiting):
            logger.warning(
                "%d records of MLflow run %s are not there yet. Send them when the server is back: "
                "kedro mlflow-sync (the next run does, too)",
                waiting,
                self.run_id,
            )
        self._outbox.close()

    def _flush_regularly(self) -> None:
        while not self._closing.wait(self._flush_seconds):
            self._flush()

    def _flush(self) -> None:
        """Send what is pending; what is refused is kept for the next time."""
        while self._unsent or not self._pending.empty():
            while not self._pending.empty() and len(self._unsent) < _METRICS_PER_BATCH:
                self._unsent.append(self._pending.get())
            try:
                deliver(self.client, self._live(self._unsent[:_METRICS_PER_BATCH]))
            except Exception as error:
                while not self._pending.empty():
                    self._unsent.append(self._pending.get())
                self._complain("live metrics", error)
                return
            del self._unsent[:_METRICS_PER_BATCH]
            self._refusals = 0

    def _live(self, metrics: list[tuple[str, float, int, int]]) -> Record:
        # A database has no place for infinity; NaN is stored as such.
        batch = [
            (name, value if math.isfinite(value) else math.nan, now, step)
            for name, value, now, step in metrics
        ]
        return {"kind": "metrics", "run_id": self.run_id, "metrics": batch}

    def _record(self, kind: str, **content: Any) -> None:
        """Send a record after those that wait, or let it wait with them."""
        record = {"kind": kind, "run_id": self.run_id, **content}
        if self._refusals >= _PATIENCE:
            self._outbox.add(record)
            return
        started = time.monotonic()
        try:
            self._outbox.send(self.client)
            deliver(self.client, record)
        except Exception as error:
            waited = time.monotonic() - started
            self._refusals = _PATIENCE if waited > _LONG else self._refusals + 1
            self._outbox.add(record)
            self._complain(kind, error)
        else:
            self._refusals = 0

    def _complain(self, what: str, error: Exception) -> None:
        if not self._complained:
            logger.warning(
                "MLflow took no %s (%s). The run goes on, and what was not taken is kept.",
                what,
                reason(error)[:200],
            )
        self._complained = True


def _now() -> int:
    """Return milliseconds since 1970."""
    return int(time.time() * 1000)
