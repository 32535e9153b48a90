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

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

# MLflow's own limits of one request.
_METRICS_PER_BATCH = 1000
_PARAMETERS_PER_BATCH = 100
_LONGEST_VALUE = 500


class Recorder:
    """Writes to one run through a client; live metrics go through a buffer and a thread of its own."""

    def __init__(self, client: MlflowClient, run_id: str, flush_seconds: float) -> None:
        self.client, self.run_id = client, run_id
        self._flush_seconds = flush_seconds
        self._pending: queue.SimpleQueue[tuple[str, float, int, int]] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._complained = False
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
            self.client.log_batch(self.run_id, params=chunk)

    def log_metrics(self, metrics: Mapping[str, float], run_id: str | None = None) -> None:
        """Record final metrics on this run, or on another."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        batch = [Metric(name, float(value), now, 0) for name, value in metrics.items()]
        self.client.log_batch(run_id or self.run_id, metrics=batch)

    def log_artifact(self, path: Path, folder: str) -> None:
        """Upload a file."""
        self.client.log_artifact(self.run_id, str(path), folder)

    def log_shape(self, name: str, digest: str, source: str) -> None:
        """Record the shape as the run's dataset."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(name=name, digest=digest, source_type="local", source=source)
        tags = [InputTag("mlflow.data.context", "shape")]
        self.client.log_inputs(self.run_id, [DatasetInput(dataset, tags)])

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags in one request."""
        from mlflow.entities import RunTag

        batch = [RunTag(key, value[:5000]) for key, value in tags.items()]
        self.client.log_batch(self.run_id, tags=batch)

    def close(self, status: str) -> None:
        """Send what is left and end the run as FINISHED, FAILED or KILLED."""
        self._closing.set()
        self._thread.join(timeout=30)
        self._flush()
        self.client.set_terminated(self.run_id, status)

    def _flush_regularly(self) -> None:
        while not self._closing.wait(self._flush_seconds):
            self._flush()

    def _flush(self) -> None:
        from mlflow.entities import Metric

        while not self._pending.empty():
            batch: list[Any] = []
            while not self._pending.empty() and len(batch) < _METRICS_PER_BATCH:
                name, value, now, step = self._pending.get()
                # A database has no place for infinity; NaN is stored as such.
                batch.append(Metric(name, value if math.isfinite(value) else math.nan, now, step))
            try:
                self.client.log_batch(self.run_id, metrics=batch)
            except Exception as error:
                if not self._complained:
                    why = reason(error)
                    logger.warning("MLflow took no live metrics (%s). The run goes on.", why)
                self._complained = True
                return
