"""The Kedro hooks that record a run in MLflow."""

from __future__ import annotations

import atexit
import getpass
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from pointillist import shapes, stages
from pointillist.errors import reason
from pointillist.groups import flatten
from pointillist.parameters import Parameters, validate
from pointillist.progress import Progress, hearing, listening
from pointillist.shapes.points import split
from pointillist.tracking import store as stores
from pointillist.tracking import sweep_runs, sync

if TYPE_CHECKING:
    from pointillist.tracking.live_run import LiveRun

logger = logging.getLogger(__name__)

# What every run records beside the parameters that its nodes take, and what says nothing of a result.
_ALWAYS = {"shape", "shape_file", "text", "seed", "device", "threads"}
_NEVER = {"tracking", "resume", "run"}


Note = Callable[["_OpenRun"], None]
"""Something that a run is told."""


class MlflowHooks:
    """One MLflow run for each `kedro run` one of whose outputs has `mlflow` in its metadata."""

    def __init__(self) -> None:
        self.last_run: str | None = None
        """Name and address of the run that ended last, if the last run of a pipeline was recorded."""
        self._project = Path()
        self._config: Any = None
        self._run: _OpenRun | None = None
        self._waiting: _WaitingRun | None = None
        atexit.register(self._close, "KILLED")

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember the configuration; hand the catalog's datasets of MLflow its settings.

        They come as credentials, which Kedro lets hooks provide: an address may hold a password.
        """
        self._project = Path(context.project_path)
        self._config = context.config_loader
        try:
            others = dict(self._config["credentials"])
        except (MissingConfigException, KeyError):
            others = {}
        mlflow = {"settings": self._config.get("mlflow", {}), "project": str(self._project)}
        self._config["credentials"] = others | {"mlflow": mlflow}

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Open a run, unless there is nothing to record.

        Where a shape is read first, that waits until it turned out to be one (a mistyped file leaves
        nothing behind), and then until there is something to record, if the store is a file: MLflow
        takes longer to be imported than the way to the first step of the training. A server is asked
        before anything is written.
        """
        self.last_run = None
        self._give_up_waiting()
        # A run that was interrupted in this process never came to its end.
        self._close("KILLED")
        parameters = validate(self._config["parameters"])
        outputs = (name for node in pipeline.nodes for name in node.outputs)
        recorded = any(_about(catalog, name) is not None for name in outputs)
        if not parameters.tracking or not recorded:
            return
        store = stores.resolve(self._config.get("mlflow", {}), self._project)
        tags = _tags(run_params, parameters, stages.of(pipeline), self._project)
        tags |= sweep_runs.tags_of_trial()
        started = time.time_ns() // 1_000_000

        def open_run() -> _OpenRun:
            return _OpenRun(store, self._project, tags, started, parameters, pipeline, catalog)

        if "raw_shape" in pipeline.inputs():

            def concerns(name: str) -> bool:
                return not store.is_file or _about(catalog, name) is not None

            self._waiting = _WaitingRun(open_run, self._open_now, concerns)
        else:
            self._run = open_run()

    @hook_impl(tryfirst=True)
    def before_dataset_saved(self, dataset_name: str) -> None:
        """Open the run that waited for its shape, if this is to be recorded or the store is a server."""
        if self._waiting is not None:
            self._waiting.listen()
            if self._waiting.concerns(dataset_name):
                self._open_now()

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Record versions and parameters of what an earlier run made."""
        if dataset_name == "denoiser":
            self._open_now()
        self._tell(lambda run: run.note_loaded(dataset_name, data))

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Record what the catalog's metadata says is to be recorded."""
        self._tell(lambda run: run.note_saved(dataset_name, data))

    @hook_impl
    def after_pipeline_run(self) -> None:
        """End the run well."""
        self._close("FINISHED")

    @hook_impl(tryfirst=True)
    def on_pipeline_error(self, error: Exception) -> None:
        """End the run as failed, with the first line of what went wrong."""
        if self._waiting is not None and self._waiting.listens:
            # What went wrong is said, not that the store can't be used either.
            with suppress(stores.StoreAwayError):
                self._open_now()
        self._give_up_waiting()
        if self._run is not None:
            self._run.live.set_tags({"error": reason(error)})
        self._close("FAILED")

    def _open_now(self) -> None:
        """Open the run that waits, if one does, and tell it what it missed. Raises StoreAwayError."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._run = waiting.open()

    def _tell(self, note: Note) -> None:
        """Tell the run something, now or when it is open."""
        if self._run is not None:
            note(self._run)
        elif self._waiting is not None:
            self._waiting.notes.append(note)

    def _give_up_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.stop()

    def _close(self, status: str) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        try:
            run.close(status)
            self.last_run = run.shown
        except Exception as error:
            logger.warning("MLflow run %s was not closed: %s", run.shown, reason(error))


class _WaitingRun:
    """A run that is not open yet: what it is to be told when it is.

    Once it listens, the first measurement that is reported opens it.
    """

    def __init__(
        self,
        open_run: Callable[[], _OpenRun],
        open_now: Callable[[], None],
        concerns: Callable[[str], bool],
    ) -> None:
        self.notes: list[Note] = []
        self.concerns = concerns
        """Whether it has to be open before a dataset of this name is saved."""
        self.listens = False
        """Whether the shape was read."""
        self._open_run, self._open_now = open_run, open_now
        self._subscriptions = ExitStack()

    def listen(self) -> None:
        """Wait for the first measurement from now on."""
        if not self.listens:
            self.listens = True
            self._subscriptions.enter_context(listening(self._listen))
            self._subscriptions.enter_context(hearing(self._hear))

    def open(self) -> _OpenRun:
        """Open the run and tell it all. Raises StoreAwayError."""
        self.stop()
        run = self._open_run()
        for note in self.notes:
            note(run)
        return run

    def stop(self) -> None:
        """Wait no longer."""
        self._subscriptions.close()

    def _listen(self, progress: Progress) -> None:
        if progress.metrics:
            self.notes.append(lambda run: run.live.listen(progress))
            self._open_now()

    def _hear(self, name: str, value: str) -> None:
        self.notes.append(lambda run: run.hear(name, value))


class _OpenRun:
    """The state of one recorded run."""

    def __init__(
        self,
        store: stores.Store,
        project: Path,
        tags: Mapping[str, str],
        started: int,
        parameters: Parameters,
        pipeline: Pipeline,
        catalog: CatalogProtocol,
    ) -> None:
        """Create the run, after bringing earlier ones up to date. Raises StoreAwayError."""
        from pointillist.tracking.live_run import LiveRun

        client, experiment_id = stores.connect(store)
        with stores.in_words(store):
            sync.send(project, client, store)
            sweep_runs.mark_killed(client, experiment_id)
            masked = {key: store.masked(value) for key, value in tags.items()}
            run = client.create_run(experiment_id, started, masked).info
        page = store.page(experiment_id, run.run_id)
        served = "" if store.is_server else " (after: make ui)"
        self.shown = f"{tags['mlflow.runName']}: {page}{served}"
        """Its name and address in a line."""
        self.live: LiveRun = LiveRun(client, run.run_id, store, project)
        self._parameters, self._catalog = parameters, catalog
        self._trains = "denoiser" in pipeline.all_outputs()
        self._seen: set[str] = set()
        self._subscriptions = ExitStack()
        self._subscriptions.enter_context(listening(self.live.listen))
        self._subscriptions.enter_context(hearing(self.hear))
        self._previous_handler = _handle_sigterm()
        taken = {*stages.parameters(pipeline), *_ALWAYS} - _NEVER
        self.live.log_parameters(flatten(parameters.model_dump(include=taken)))

    def note_loaded(self, name: str, data: Any) -> None:
        """Record the version of a dataset that an earlier run made, and the parameters that made it."""
        if name in self._seen:
            return
        self._seen.add(name)
        resolve = getattr(self._catalog.get(name), "resolve_load_version", None)
        version = None if resolve is None else resolve()
        if version is not None:
            self.live.set_tags({f"loaded.{name}": version})
        if name == "shape_points":
            self._log_shape(shapes.digest(split(data).table().to_numpy()))
        elif name == "reverse_chain":
            self.live.log_parameters(flatten({"sampling": data.sampling.model_dump(mode="json")}))
        elif name == "denoiser" and not self._trains:
            trained_with = {k: v for k, v in data.parameters.items() if k != "seed"}
            self.live.log_parameters(flatten(trained_with))
            self._log_shape(data.shape_digest)
            if version is not None:
                self.live.link("training", version)

    def note_saved(self, name: str, data: Any) -> None:
        """Record an output as its metadata in the catalog says."""
        self._seen.add(name)
        if name == "shape_points":
            self._log_shape(shapes.digest(split(data).table().to_numpy()))
        about = _about(self._catalog, name) or {}
        if about.get("metrics"):
            self.live.log_metrics(data)
        if folder := about.get("artifact"):
            for file in self._catalog.get(name).saved:
                self.live.log_artifact(file, folder)

    def hear(self, name: str, value: str) -> None:
        """Link the interrupted training that this run resumes."""
        if name == "resumed_from":
            self.live.set_tags({"resumed_from": value})
            self.live.link("resumed", value)

    def close(self, status: str) -> None:
        """Stop listening and end the run."""
        self._subscriptions.close()
        if self._previous_handler is not None:
            with suppress(ValueError):
                signal.signal(signal.SIGTERM, self._previous_handler)
        self.live.close(status)

    def _log_shape(self, digest: str) -> None:
        given = self._parameters
        self.live.log_shape(given.shape, digest, given.shape_file or given.text or given.shape)


def _about(catalog: CatalogProtocol, name: str) -> Mapping[str, Any] | None:
    """Return what the metadata of a dataset says of MLflow; None if it says nothing."""
    metadata = getattr(catalog.get(name), "metadata", None) or {}
    return metadata.get("mlflow")


def _handle_sigterm() -> Any:
    """Let SIGTERM unwind the stack like Ctrl-C, so that the run can be closed; return the old handler."""
    if threading.current_thread() is not threading.main_thread():
        return None

    def stop(signum: int, _frame: Any) -> None:
        raise SystemExit(128 + signum)

    return signal.signal(signal.SIGTERM, stop)


def _run_name(shape: str, names: list[str]) -> str:
    """Return shape and stages; the default run needs no list, and training implies its ingestion."""
    default = pipelines.get(stages.DEFAULT)
    if default is not None and names == stages.of(default):
        return shape
    told = [stage for stage in names if not (stage == "ingest" and "train" in names)]
    return f"{shape} {'+'.join(told)}"


def _tags(
    run_params: Mapping[str, Any], parameters: Parameters, names: list[str], project: Path
) -> dict[str, str]:
    from pointillist.diffusion import devices

    tags = {
        "shape": parameters.shape,
        "device": str(devices.resolve(parameters.device)),
        "kedro.session_id": str(run_params.get("run_id") or run_params.get("session_id")),
        "kedro.pipelines": "+".join(names),
        "kedro.env": str(run_params.get("env") or "local"),
        "kedro.command": " ".join(["kedro", *sys.argv[1:]]),
        sweep_runs.PROCESS: sweep_runs.this_process(),
        "mlflow.runName": _run_name(parameters.shape, names),
        "mlflow.source.name": "pointillist",
        "mlflow.source.type": "LOCAL",
    }
    with suppress(Exception):
        tags["mlflow.user"] = getpass.getuser()
    if commit := _git_commit(project):
        tags["mlflow.source.git.commit"] = commit
    return tags


def _git_commit(project: Path) -> str | None:
    try:
        return subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=project,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
