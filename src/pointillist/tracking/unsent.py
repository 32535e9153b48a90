"""What a store of runs did not take: kept on disk, one file a run, until it does.

A record is what one request says, as JSON. Delivering one twice does no harm: MLflow keeps one of two
equal metrics, parameters, tags, inputs or artifacts.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from pointillist.datasets import atomic
from pointillist.errors import reason

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

Record = Mapping[str, Any]
"""kind, run_id, and what that kind needs."""

FOLDER = ".mlflow-outbox"
# What a store says of a request that it will never take.
_FOR_GOOD = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "BAD_REQUEST")


def deliver(client: MlflowClient, record: Record) -> None:
    """Send one record. Raises what the client raises."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

    run_id = record["run_id"]
    match record["kind"]:
        case "metrics":
            client.log_batch(run_id, metrics=[Metric(*metric) for metric in record["metrics"]])
        case "params":
            client.log_batch(run_id, params=[Param(*param) for param in record["params"]])
        case "tags":
            client.log_batch(run_id, tags=[RunTag(*tag) for tag in record["tags"]])
        case "artifact":
            client.log_artifact(run_id, record["path"], record["folder"])
        case "shape":
            dataset = Dataset(
                name=record["name"],
                digest=record["digest"],
                source_type="local",
                source=record["source"],
            )
            tags = [InputTag("mlflow.data.context", "shape")]
            client.log_inputs(run_id, [DatasetInput(dataset, tags)])
        case "end":
            client.set_terminated(run_id, record["status"], record["time"])


class Outbox:
    """The records of one run that wait, oldest first."""

    def __init__(self, folder: Path, run_id: str, address: str) -> None:
        self.address = address
        """Of the store that it waits for, without a password."""
        self._path = folder / f"{run_id}.jsonl"
        self._header = {"store": address}
        self._lock = FileLock(folder / f"{run_id}.lock")
        self.waiting: list[Record] = []
        self.refused = 0
        """Records that the store will never take."""

    def add(self, record: Record) -> None:
        """Keep a record, on disk if that is possible."""
        self.waiting.append(record)
        try:
            self._path.parent.mkdir(exist_ok=True)
            self._lock.acquire(blocking=False)
            new = [record] if self._path.exists() else [self._header, record]
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(line) + "\n" for line in new)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, Timeout) as error:
            logger.warning("What MLflow did not take can't be kept: %s", reason(error))

    def send(self, client: MlflowClient) -> None:
        """Send what waits, until the store refuses; raises what the client raised then."""
        while self.waiting:
            record = self.waiting[0]
            try:
                deliver(client, record)
            except Exception as error:
                if not _is_for_good(error, record):
                    self._rewrite()
                    raise
                self.refused += 1
                logger.warning(
                    "MLflow never takes the %s of run %s: %s",
                    record["kind"],
                    record["run_id"],
                    reason(error)[:200],
                )
            self.waiting.pop(0)
        self._rewrite()

    def close(self) -> None:
        """Let others send what still waits."""
        self._lock.release()
        if not self.waiting:
            Path(self._lock.lock_file).unlink(missing_ok=True)

    def _rewrite(self) -> None:
        if not self.waiting:
            self._path.unlink(missing_ok=True)
            return
        lines = [self._header, *self.waiting]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        atomic.write_bytes(self._path, text.encode())


@contextmanager
def kept_back(folder: Path) -> Iterator[list[Outbox]]:
    """Yield what runs that are over left waiting in `folder`; nobody else sends it meanwhile."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        lines = _lines(path)
        if not lines:
            continue
        outbox = Outbox(folder, path.stem, lines[0].get("store", ""))
        try:
            outbox._lock.acquire(blocking=False)
        except (Timeout, OSError):
            continue
        outbox.waiting = list(lines[1:])
        found.append(outbox)
    try:
        yield found
    finally:
        for outbox in found:
            outbox.close()


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file that are whole: the last is half if the process was killed then."""
    lines = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            logger.warning("A record in %s was cut off when its process was killed.", path)
            break
    return lines


def _is_for_good(error: Exception, record: Record) -> bool:
    if record["kind"] == "artifact" and not Path(record["path"]).exists():
        return True
    return getattr(error, "error_code", None) in _FOR_GOOD
