"""What MLflow has not taken of a run: one small file, .mlflow-outbox/RUN_ID.json, until it has all of it.

The file is there from the beginning of a run, so that nothing is lost when its process is killed. What is
large, artifacts, it names by path: they are the run's own versioned outputs. Sending twice does no harm:
MLflow keeps one of two equal metrics, parameters, tags, inputs or artifacts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from pointillist.datasets import atomic
from pointillist.errors import reason
from pointillist.tracking.masking import masked

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

FOLDER = ".mlflow-outbox"
# What a store says of a request that it will never take.
_FOR_GOOD = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "BAD_REQUEST")
# MLflow's own limits of one request.
_METRICS, _PAIRS = 1000, 100

Pair = tuple[str, str]
LINKS: dict[str, tuple[str, str]] = {
    "training": ("training_run_id", "Uses the model of"),
    "resumed": ("resumed_run_id", "Resumes the training of"),
}
"""Of each kind of link to another run: the tag for that run's id, and what the description says."""


class Unsent(BaseModel):
    """What a run has to say that MLflow has not taken yet."""

    model_config = ConfigDict(ser_json_inf_nan="constants")

    store: str
    """Its address, as it may be shown."""
    run_id: str
    params: list[Pair] = []
    tags: list[Pair] = []
    metrics: list[tuple[str, float, int, int]] = []
    """Name, value, milliseconds since 1970, step."""
    inputs: list[tuple[str, str, str]] = []
    """Shapes: name, digest, source."""
    artifacts: list[Pair] = []
    """Path of a file, folder among the artifacts."""
    links: list[Pair] = []
    """Kind of link, version (session) of the run that is linked."""
    ended: tuple[str, int] | None = None
    """Status, milliseconds since 1970; None while the run goes on, or if it was killed."""

    def __bool__(self) -> bool:
        """Whether anything is left to be sent."""
        return self.ended is not None or any(getattr(self, name) for name in _PARTS)

    def add(self, later: Unsent) -> None:
        """Take over what was said later."""
        for name in _PARTS:
            getattr(self, name).extend(getattr(later, name))
        self.ended = later.ended or self.ended

    def send(self, client: MlflowClient) -> int:
        """Send it, the end of the run last; what is taken, or refused for good, is forgotten here.

        Returns how many requests were refused for good. Raises what the client raises otherwise.
        """
        from mlflow.entities import Metric, Param, RunTag

        refused = 0
        for name, entity, most in (("params", Param, _PAIRS), ("tags", RunTag, _PAIRS)):
            refused += self._send_batches(client, name, entity, most)
        refused += self._send_batches(client, "metrics", Metric, _METRICS)
        for name, log in (
            ("links", partial(_link, client, self.run_id)),
            ("inputs", partial(_log_input, client, self.run_id)),
            ("artifacts", partial(client.log_artifact, self.run_id)),
        ):
            waiting = getattr(self, name)
            while waiting:
                refused += self._refuses(client, name, partial(log, *waiting[0]))
                del waiting[0]
        if self.ended is not None:
            refused += self._refuses(
                client, "end", partial(client.set_terminated, self.run_id, *self.ended)
            )
            self.ended = None
        return refused

    def _send_batches(self, client: MlflowClient, name: str, entity: Any, most: int) -> int:
        refused, waiting = 0, getattr(self, name)
        while waiting:
            batch = {name: [entity(*values) for values in waiting[:most]]}
            refused += self._refuses(client, name, partial(client.log_batch, self.run_id, **batch))
            del waiting[:most]
        return refused

    def _refuses(self, client: MlflowClient, what: str, request: Callable[[], Any]) -> bool:
        """Make a request; return whether it was refused for good. Raises what the client raises."""
        try:
            request()
        except Exception as error:
            lost = isinstance(error, FileNotFoundError)
            if not lost and getattr(error, "error_code", None) not in _FOR_GOOD:
                raise
            said = masked(reason(error), client.tracking_uri)[:200]
            logger.warning("MLflow never takes the %s of run %s: %s", what, self.run_id, said)
            return True
        return False


_PARTS = ("params", "tags", "metrics", "inputs", "artifacts", "links")


def _log_input(client: MlflowClient, run_id: str, name: str, digest: str, source: str) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    shape = Dataset(name=name, digest=digest, source_type="local", source=source)
    tags = [InputTag("mlflow.data.context", "shape")]
    client.log_inputs(run_id, [DatasetInput(shape, tags)])


def _link(client: MlflowClient, run_id: str, kind: str, version: str) -> None:
    """Link the run of the session `version`, if there is one, and describe this run by it."""
    from mlflow.entities import RunTag

    run = client.get_run(run_id)
    query = f"tags.`kedro.session_id` = '{version}'"
    found = client.search_runs([run.info.experiment_id], query, max_results=1)
    if not found:
        return
    other, (tag, words) = found[0].info, LINKS[kind]
    page = f"#/experiments/{other.experiment_id}/runs/{other.run_id}"
    tags = {tag: other.run_id, "mlflow.note.content": f"{words} [{other.run_name}]({page})."}
    # A trial is its sweep's child, whatever model it uses.
    if kind == "training" and "mlflow.parentRunId" not in run.data.tags:
        tags["mlflow.parentRunId"] = other.run_id
    client.log_batch(run_id, tags=[RunTag(*pair) for pair in tags.items()])


class UnsentFile:
    """The file of a run, and the lock that its process holds, which ends with the process."""

    def __init__(self, project: Path, run_id: str) -> None:
        self._path = project / FOLDER / f"{run_id}.json"
        self._lock = FileLock(self._path.with_suffix(".lock"), thread_local=False)

    def acquire(self) -> bool:
        """Return whether no other process has it. Raises OSError if the folder can't be written to."""
        self._path.parent.mkdir(exist_ok=True)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        return True

    def read(self) -> Unsent | None:
        """Return what it holds, the run's end included; None if it is gone or damaged."""
        try:
            unsent = Unsent.model_validate_json(self._path.read_bytes())
            ended = int(self._path.stat().st_mtime * 1000)
        except FileNotFoundError:
            return None
        except (ValidationError, OSError) as error:
            logger.warning("%s can't be read; remove it: %s", self._path, reason(error))
            return None
        if unsent.ended is None:
            unsent.ended = ("KILLED", ended)
        return unsent

    def write(self, unsent: Unsent) -> None:
        """Keep `unsent`. Raises OSError."""
        atomic.write_bytes(self._path, unsent.model_dump_json(exclude_defaults=True).encode())

    def remove(self) -> None:
        """Remove the file: MLflow has all of the run."""
        self._path.unlink(missing_ok=True)

    def release(self) -> None:
        """Let others send what is left."""
        with suppress(OSError):
            Path(self._lock.lock_file).unlink()
        self._lock.release()


@contextmanager
def left_behind(project: Path) -> Iterator[list[tuple[UnsentFile, Unsent]]]:
    """Yield what runs that are over left to be sent; nobody else sends it meanwhile."""
    held, found = [], []
    for path in sorted((project / FOLDER).glob("*.json")):
        file = UnsentFile(project, path.stem)
        try:
            if not file.acquire():
                continue
        except OSError:
            continue
        held.append(file)
        if (unsent := file.read()) is not None:
            found.append((file, unsent))
    try:
        yield found
    finally:
        for file in held:
            file.release()
