"""The Kedro hook that records a run in MLflow."""

from __future__ import annotations

import atexit
import getpass
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from pointillist import processes, shapes, stages
from pointillist.errors import reason, redacted
from pointillist.groups import flatten
from pointillist.parameters import Parameters, validate
from pointillist.progress import hearing, listening
from pointillist.tracking import parents, sync
from pointillist.tracking import store as stores
from pointillist.tracking.outbox import FOLDER, Outbox
from pointillist.tracking.registry import InMlflow

if TYPE_CHECKING:
    from pointillist.models import TrainedDenoiser
    from pointillist.tracking.recorder import Recorder

logger = logging.getLogger(__name__)

# What every run records beside the parameters that its nodes take.
_ALWAYS = {"shape", "shape_file", "text", "seed", "device", "threads"}
_NEVER = {"tracking", "resume", "run"}


@dataclass(frozen=True)
class RunSummary:
    """Where a finished run can be found."""

    run_id: str
    run_name: str
    experiment_id: str
    server: str | None
    """Its address without a password; None: an embedded store, which `make ui` serves."""

    @property
    def shown(self) -> str:
        """Name, id and the address of its page."""
        server = self.server or "http://127.0.0.1:5000"
        page = stores.runs_address(server, self.experiment_id, self.run_id)
        return f"{self.run_name}: {page}{'' if self.server else ' (after: make ui)'}"


_last_run: RunSummary | None = None
_trial: dict[str, str] = {}


@contextmanager
def trial_of(parent_run_id: str, key: str, sweep: str, name: str) -> Iterator[None]:
    """Let the runs of the block be the trial `key` of a sweep: children of its run, called `name`."""
    _trial.update(
        {
            "mlflow.parentRunId": parent_run_id,
            "mlflow.runName": name,
            parents.KEY: key,
            parents.SWEEP: sweep,
        }
    )
    try:
        yield
    finally:
        _trial.clear()


def last_run() -> RunSummary | None:
    """Return the run that this process recorded last, if any."""
    return _last_run


class TrackingHooks:
    """One MLflow run for each `kedro run` that computes or draws something."""

    def __init__(self) -> None:
        self._project = Path()
        self._config: Any = None
        self._run: _OpenRun | None = None
        self._open: Callable[[], _OpenRun] | None = None
        atexit.register(self._close, "KILLED")

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where the configuration is."""
        self._project = Path(context.project_path)
        self._config = context.config_loader

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Open a run, unless there is nothing to record.

        Where a shape is read first, that waits until it turned out to be one: a mistyped file leaves
        nothing behind.
        """
        global _last_run
        _last_run = self._open = None
        # A run that was interrupted in this process never came to its end.
        self._close("KILLED")
        for name in pipeline.datasets():
            if isinstance(dataset := catalog.get(name), InMlflow):
                dataset.bind(self._config.get("mlflow", {}), self._project)
        names = tuple(stages.of(pipeline))
        parameters = validate(self._config["parameters"])
        if not parameters.tracking or not set(names) - {"ingest"}:
            return
        settings = stores.read_settings(self._config.get("mlflow", {}))
        store = stores.resolve(settings, self._project)
        tags = _tags(run_params, parameters, names, self._project) | _trial
        name = tags.pop("mlflow.runName", _run_name(parameters.shape, names))
        started = time.time_ns() // 1_000_000

        def open_run() -> _OpenRun:
            client, experiment_id = stores.connect(store, settings.experiment)
            with stores.in_words(store):
                parents.put_right(client, experiment_id)
            sync.send(self._project, client, store.shown)
            with stores.in_words(store):
                run = client.create_run(experiment_id, started, tags, name)
            server = store.shown if store.is_server else None
            summary = RunSummary(run.info.run_id, name, experiment_id, server)
            outbox = Outbox(self._project / FOLDER, summary.run_id, store.shown)
            opened = _OpenRun(
                summary, client, settings.flush_seconds, outbox, parameters, pipeline, catalog
            )
            opened.log_parameters(parameters)
            return opened

        if "ingest" in names:
            self._open = open_run
        else:
            self._run = open_run()

    @hook_impl(tryfirst=True)
    def before_dataset_saved(self) -> None:
        """Open the run that waited for its shape, before the first output is written."""
        self._open_now()

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Note versions from earlier runs; link the training run whose model is used."""
        if dataset_name == "denoiser":
            self._open_now()
        if self._run is None or dataset_name in self._run.saved | self._run.loaded:
            return
        self._run.loaded.add(dataset_name)
        if (version := _version(self._run.catalog, dataset_name)) is not None:
            self._run.note_loaded(dataset_name, version)
        if dataset_name == "shape_points":
            self._run.log_shape(shapes.digest(data.to_numpy()))
        if dataset_name == "denoiser":
            self._run.adopt(data, version)
        if dataset_name == "reverse_chain":
            self._run.recorder.log_parameters(
                flatten({"sampling": data.sampling.model_dump(mode="json")})
            )

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Record what the catalog's metadata says is to be recorded."""
        if self._run is None:
            return
        self._run.saved.add(dataset_name)
        if dataset_name == "shape_points":
            self._run.log_shape(shapes.digest(data.to_numpy()))
        dataset = self._run.catalog.get(dataset_name)
        wishes = (getattr(dataset, "metadata", None) or {}).get("mlflow", {})
        if wishes.get("metrics"):
            self._run.log_metrics(data)
        if folder := wishes.get("artifact"):
            for file in dataset.saved:
                self._run.recorder.log_artifact(file, folder)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """End the run well."""
        self._close("FINISHED")

    @hook_impl(tryfirst=True)
    def on_pipeline_error(self, error: Exception) -> None:
        """End the run as failed, with the first line of what went wrong."""
        if self._run is not None:
            self._run.recorder.set_tags({"error": reason(error)})
        self._close("FAILED")

    def _open_now(self) -> None:
        if self._open is not None:
            open_run, self._open = self._open, None
            self._run = open_run()

    def _close(self, status: str) -> None:
        global _last_run
        run, self._run = self._run, None
        if run is None:
            return
        try:
            run.close(status)
            _last_run = run.summary
        except Exception as error:
            logger.warning("MLflow run %s was not closed: %s", run.summary.run_id, reason(error))


class _OpenRun:
    """The state of one recorded run."""

    def __init__(
        self,
        summary: RunSummary,
        client: Any,
        flush_seconds: float,
        outbox: Outbox,
        parameters: Parameters,
        pipeline: Pipeline,
        catalog: CatalogProtocol,
    ) -> None:
        from pointillist.tracking.recorder import Recorder

        self.summary = summary
        self.catalog = catalog
        self.saved: set[str] = set()
        self.loaded: set[str] = set()
        self.recorder: Recorder = Recorder(client, summary.run_id, flush_seconds, outbox)
        self._parameters, self._pipeline = parameters, pipeline
        self._shape_logged = False
        self._subscriptions = ExitStack()
        self._subscriptions.enter_context(listening(self.recorder.listen))
        self._subscriptions.enter_context(hearing(self._hear))
        self._previous_handler = _handle_sigterm()

    def log_parameters(self, parameters: Parameters) -> None:
        """Record the parameters of the stages that run, defaults included."""
        taken = {*stages.parameters(self._pipeline), *_ALWAYS} - _NEVER
        self.recorder.log_parameters(flatten(parameters.model_dump(include=taken)))

    def log_shape(self, digest: str) -> None:
        """Record the shape, once."""
        if not self._shape_logged:
            source = self._parameters.shape_file or self._parameters.text or self._parameters.shape
            self.recorder.log_shape(self._parameters.shape, digest, source)
        self._shape_logged = True

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Record metrics. Those of another run, the training's among them, stay as they are."""
        self.recorder.log_metrics(metrics)

    def note_loaded(self, dataset: str, version: str) -> None:
        """Record which version of an earlier run was loaded."""
        self.recorder.set_tags({f"loaded.{dataset}": version})

    def adopt(self, model: TrainedDenoiser, version: str | None) -> None:
        """Carry over what a model from an earlier run was trained with, and link that run."""
        if "train" in stages.of(self._pipeline):
            return
        trained_with = {k: v for k, v in model.parameters.items() if k != "seed"}
        self.recorder.log_parameters(flatten(trained_with))
        self.log_shape(model.shape_digest)
        if version is None:
            return
        training = self.recorder.find_run(self.summary.experiment_id, version)
        if training is None:
            return
        run_id = training.info.run_id
        link = f"#/experiments/{self.summary.experiment_id}/runs/{run_id}"
        self.recorder.set_tags(
            {
                "training_run_id": run_id,
                # A trial is its sweep's child, whatever model it uses.
                **({} if _trial else {"mlflow.parentRunId": run_id}),
                "mlflow.note.content": f"Uses the model of [{training.info.run_name}]({link}).",
            }
        )

    def _hear(self, name: str, value: str) -> None:
        """Link the interrupted training that this run goes on with."""
        if name == "resumed_from":
            before = self.recorder.find_run(self.summary.experiment_id, value)
            tags = {"resumed_from": value}
            if before is not None:
                link = f"#/experiments/{self.summary.experiment_id}/runs/{before.info.run_id}"
                tags["resumed_run_id"] = before.info.run_id
                tags["mlflow.note.content"] = (
                    f"Goes on with the training of [{before.info.run_name}]({link})."
                )
            self.recorder.set_tags(tags)

    def close(self, status: str) -> None:
        """Stop listening and end the run."""
        self._subscriptions.close()
        if self._previous_handler is not None:
            with suppress(ValueError):
                signal.signal(signal.SIGTERM, self._previous_handler)
        self.recorder.close(status)


def _handle_sigterm() -> Any:
    """Let SIGTERM unwind the stack like Ctrl-C, so that the run can be closed; return the old handler."""
    if threading.current_thread() is not threading.main_thread():
        return None

    def stop(signum: int, _frame: Any) -> None:
        raise SystemExit(128 + signum)

    return signal.signal(signal.SIGTERM, stop)


def _run_name(shape: str, names: tuple[str, ...]) -> str:
    """Shape and stages; the default run needs no list, and training implies its ingestion."""
    default = pipelines.get(stages.DEFAULT)
    if default is not None and list(names) == stages.of(default):
        return shape
    told = [stage for stage in names if not (stage == "ingest" and "train" in names)]
    return f"{shape} {'+'.join(told)}"


def _version(catalog: CatalogProtocol, name: str) -> str | None:
    """Return the version that was loaded; None for a dataset without versions."""
    resolve = getattr(catalog.get(name), "resolve_load_version", None)
    return None if resolve is None else resolve()


def _tags(
    run_params: Mapping[str, Any], parameters: Parameters, names: tuple[str, ...], project: Path
) -> dict[str, str]:
    tags = {
        "shape": parameters.shape,
        "device": _device(parameters.device),
        "kedro.session_id": str(run_params.get("run_id") or run_params.get("session_id")),
        "kedro.pipelines": "+".join(names),
        "kedro.env": str(run_params.get("env") or "local"),
        "kedro.command": redacted(" ".join(["kedro", *sys.argv[1:]])),
        parents.PROCESS: f"{processes.host()}:{os.getpid()}",
        "mlflow.source.name": "pointillist",
        "mlflow.source.type": "LOCAL",
    }
    with suppress(Exception):
        tags["mlflow.user"] = getpass.getuser()
    if commit := _git_commit(project):
        tags["mlflow.source.git.commit"] = commit
    return tags


def _device(device: str) -> str:
    from pointillist.diffusion import devices

    return str(devices.resolve(device))


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
