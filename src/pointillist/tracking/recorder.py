"""One MLflow run: what is recorded while it is open, and how it ends."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointillist.errors import reason
from pointillist.progress import Progress

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

logger = logging.getLogger(__name__)

# MLflow's own limits of one request.
_METRICS_PER_BATCH = 1000
_PARAMETERS_PER_BATCH = 100
_LONGEST_VALUE = 500

# So many refusals in a row, and nothing more is tried while the work waits.
_PATIENCE = 3


class Recorder:
    """Writes to one run through a client; live metrics go through a buffer and a thread of its own.

    A store that fails while the work goes on is complained of once and never stops the work: what
    was trained is worth more than its record.
    """

    def __init__(self, client: MlflowClient, run_id: str, flush_seconds: float) -> None:
        self.client, self.run_id = client, run_id
        self._flush_seconds = flush_seconds
        self._pending: queue.SimpleQueue[tuple[str, float, int, int]] = queue.SimpleQueue()
        self._unsent: list[tuple[str, float, int, int]] = []
        self._closing = threading.Event()
        self._complained = False
        self._refusals = 0
        self._thread = threading.Thread(target=self._flush_regularly, daemon=True)
        self._thread.start()

    def listen(self, progress: Progress) -> None:
        """Take note of what a stage measured; costs microseconds."""
        now = int(time.time() * 1000)
        for name, value in progress.metrics.items():
            self._pending.put((f"{progress.stage.lower()}/{name}", value, now, progress.step))

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Record parameters, once each."""
        from mlflow.entities import Param

        params = [Param(key, str(value)[:_LONGEST_VALUE]) for key, value in parameters.items()]
        for start in range(0, len(params), _PARAMETERS_PER_BATCH):
            chunk = params[start : start + _PARAMETERS_PER_BATCH]
            self._attempt("parameters", partial(self.client.log_batch, self.run_id, params=chunk))

    def log_metrics(self, metrics: Mapping[str, float], run_id: str | None = None) -> None:
        """Record final metrics on this run, or on another."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        batch = [Metric(name, float(value), now, 0) for name, value in metrics.items()]
        self._attempt(
            "metrics", lambda: self.client.log_batch(run_id or self.run_id, metrics=batch)
        )

    def log_artifact(self, path: Path, folder: str) -> None:
        """Upload a file."""
        self._attempt(path.name, lambda: self.client.log_artifact(self.run_id, str(path), folder))

    def log_shape(self, name: str, digest: str, source: str) -> None:
        """Record the shape as the run's dataset."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(name=name, digest=digest, source_type="local", source=source)
        tags = [InputTag("mlflow.data.context", "shape")]
        inputs = [DatasetInput(dataset, tags)]
        self._attempt("shape", lambda: self.client.log_inputs(self.run_id, inputs))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags in one request."""
        from mlflow.entities import RunTag

        batch = [RunTag(key, value[:5000]) for key, value in tags.items()]
        self._attempt("tags", lambda: self.client.log_batch(self.run_id, tags=batch))

    def find_run(self, experiment_id: str, session_id: str) -> Run | None:
        """Return the run of a Kedro session, which is the version of all that it saved."""
        found: list[Run] = []
        query = f"tags.`kedro.session_id` = '{session_id}'"
        self._attempt(
            "search",
            lambda: found.extend(self.client.search_runs([experiment_id], query, max_results=1)),
        )
        return found[0] if found else None

    def close(self, status: str) -> None:
        """Send what is left and end the run as FINISHED, FAILED or KILLED."""
        self._closing.set()
        self._thread.join()
        self._flush()
        self.client.set_terminated(self.run_id, status)

    def _flush_regularly(self) -> None:
        while not self._closing.wait(self._flush_seconds):
            self._flush()

    def _flush(self) -> None:
        """Send what is pending; what is refused is kept for the next time."""
        from mlflow.entities import Metric

        while self._unsent or not self._pending.empty():
            while not self._pending.empty() and len(self._unsent) < _METRICS_PER_BATCH:
                self._unsent.append(self._pending.get())
            # A database has no place for infinity; NaN is stored as such.
            batch = [
                Metric(name, value if math.isfinite(value) else math.nan, now, step)
                for name, value, now, step in self._unsent
            ]
            try:
                self.client.log_batch(self.run_id, metrics=batch)
            except Exception as error:
                self._complain("live metrics", error)
                return
            self._unsent.clear()
            self._refusals = 0

    def _attempt(self, what: str, send: Callable[[], object]) -> None:
        if self._refusals >= _PATIENCE:
            return
        try:
            send()
        except Exception as error:
            self._refusals += 1
            self._complain(what, error)
        else:
            self._refusals = 0

    def _complain(self, what: str, error: Exception) -> None:
        if not self._complained:
            logger.warning("MLflow took no %s (%s). The run goes on.", what, reason(error)[:200])
        self._complained = True
