"""The edge of a run: parameters are checked before anything happens, errors are said in a line or two."""

from __future__ import annotations

import logging
import time
from functools import partial
from pathlib import Path
from typing import Any

import click
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from pointillist import command_line, diffusion, records, runtime, shapes, stages, summary, tracking
from pointillist.configuration import read_parameters
from pointillist.datasets import TrainingStatesDataset, VersionedFile, atomic
from pointillist.errors import PointillistError, first_line, listed
from pointillist.explanation import Explanation
from pointillist.groups import flatten
from pointillist.models import Stored
from pointillist.parameters import Parameters, validate
from pointillist.provenance import Provenance
from pointillist.terminal import display
from pointillist.version import __version__

logger = logging.getLogger(__name__)


class ConfigurationError(PointillistError, click.ClickException):
    """A configuration that can't be used, said in a line by every Kedro command, not only by `run`."""


class ProjectHooks:
    """Validation, the versions that belong together, progress, errors and the summary."""

    def __init__(self, recording: tracking.MlflowHooks | None = None) -> None:
        self._recording = recording
        self._parameters = Parameters()
        self._project = Path()
        self._explanation = Explanation(self._parameters, self._project)
        self._given: dict[str, Any] = {}
        self._pinned: records.Versions = {}
        self._loaded: records.Versions = {}
        self._saved: list[str] = []
        self._is_of_a_run = False
        self._provenance: Provenance | None = None
        self._started: dict[str, float] = {}

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Refuse unknown or impossible parameters and shapes before anything is written."""
        self._project = Path(context.project_path)
        try:
            values = read_parameters(context)
            self._parameters = validate(values)
            self._check_device_and_shape()
            settings = context.config_loader.get("mlflow", {})
            for name, version_of in (
                ("run", tracking.run_version),
                ("runs", tracking.model_versions),
            ):
                if (named := getattr(self._parameters, name)) is not None:
                    values[name] = version_of(named, settings, self._project)
            self._given = flatten(context.config_loader.runtime_params)
            run = values.get("run")
            shape = self._parameters.shape
            self._pinned = {} if run is None else records.required(self._project, run, shape)
        except PointillistError as error:
            raise ConfigurationError(str(error)) from None
        # From here on 1e3 is 1000.
        whole = {k: v for k, v in dict(self._parameters).items() if isinstance(v, int)}
        context.config_loader["parameters"] = {**values, **whole}

    def _check_device_and_shape(self) -> None:
        name = self._parameters.shape
        if self._parameters.schedule.kind not in ("log_uniform", "rectified_flow"):
            diffusion.schedules.make_path(self._parameters.schedule)
        if self._parameters.evaluation.exact_w2:
            diffusion.two_sample.require_exact_w2(self._parameters.evaluation.n_eval)
        if self._parameters.device not in ("auto", "cpu"):
            diffusion.devices.resolve(self._parameters.device)
        shape_file, text = self._parameters.shape_file, self._parameters.text
        # A trained model carries its points: it can be sampled when the file is long gone.
        if not (self._project / "data" / "06_models" / name).is_dir() or shape_file or text:
            shapes.find(name, self._project / "data" / "01_raw", shape_file, text)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Choose the versions of what earlier runs made; refuse to start without, or with a mixture."""
        self._explanation = Explanation(self._parameters, self._project)
        self._loaded, self._saved = {}, []
        # A model that is asked for by its version is taken as it is.
        asked_for = {*self._pinned, *(run_params.get("load_versions") or {})}
        self._is_of_a_run = bool(asked_for & pipeline.inputs())
        chosen = "denoiser" not in pipeline.inputs() or "denoiser" in asked_for
        folder = self._project / "data" / "01_raw"
        self._provenance = None if chosen else Provenance(self._parameters, folder)
        for name in sorted(pipeline.inputs()):
            if isinstance(dataset := catalog.get(name), VersionedFile):
                if name in self._pinned:
                    dataset.pin(self._pinned[name])
                self._explanation.require(name, pipeline.inputs(), catalog)
                if version := dataset.resolve_load_version():
                    self._loaded[name] = version
        self._warn_of_what_has_no_effect(pipeline, catalog)
        records.require_one_run(
            self._project,
            self._loaded,
            asked_for,
            partial(stages.upstream, pipelines=pipelines),
            lambda names: ",".join(stages.needed(names, pipelines)),
            partial(command_line.source, self._parameters),
        )
        for folder in (self._project, self._project / tracking.OUTBOX):
            atomic.sweep(folder, depth=0)
        atomic.sweep(self._project / "data", depth=4)
        if set(stages.of(pipeline)) - {"ingest", "render"}:
            runtime.use_threads(self._parameters.threads)
        display.start()

    def _warn_of_what_has_no_effect(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Name what is given or made in vain: parameters nobody takes, outputs nobody keeps."""
        if self._pinned and not self._pinned.keys() & pipeline.inputs():
            logger.warning("run has no effect here: nothing of an earlier run is loaded.")
        for name, takers in stages.without_effect(self._given, pipeline, pipelines).items():
            verb = "takes" if len(takers) == 1 else "take"
            logger.warning("%s has no effect here: only %s %s it.", name, listed(takers), verb)
        for node in pipeline.nodes:
            if not node.namespace:
                logger.warning("The node %s belongs to no stage: give it a namespace.", node.name)
        for name in sorted(name for name in pipeline.outputs() if name not in catalog):
            logger.warning("%s isn't in the catalog, and is lost when the run ends.", name)
        if "sampling.eta" in self._given:
            sampler = self._parameters.sampling.sampler
            if "eta" not in diffusion.samplers.SAMPLERS[sampler].options:
                logger.warning("sampling.eta has no effect on %s.", sampler)

    @hook_impl
    def before_dataset_loaded(self, dataset_name: str) -> None:
        """Note what is being read, for the message if it can't be."""
        self._explanation.loading = dataset_name

    @hook_impl(tryfirst=True)
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Refuse what was made for another shape."""
        self._explanation.loading = None
        if isinstance(data, Stored):
            self._explanation.require_shape(dataset_name, data)
            if data.package_version != __version__:
                logger.warning(
                    "%s was written by version %s of Pointillist; this is %s.",
                    dataset_name,
                    data.package_version,
                    __version__,
                )
        if self._provenance and dataset_name == "denoiser":
            self._provenance.note_model(data)

    @hook_impl
    def before_dataset_saved(self, dataset_name: str) -> None:
        """Note what is being written, for the message if it can't be."""
        self._explanation.saving = dataset_name

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Note when a node starts."""
        self._started[node.name] = time.perf_counter()

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Say in a line that a node is done."""
        seconds = time.perf_counter() - self._started[node.name]
        logger.info("%-9s %-18s %6.1f s", node.namespace, node.short_name, seconds)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Note what this run made."""
        self._saved.append(dataset_name)
        if self._provenance and dataset_name == "shape_points":
            self._provenance.note_points(data)
        self._explanation.saving = None

    @hook_impl(trylast=True)
    def after_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Keep which versions belong together; say what came out, where it is and what to try next."""
        display.stop()
        version = self._keep_record(run_params, catalog)
        for name in pipeline.inputs():
            if isinstance(dataset := catalog.get(name), TrainingStatesDataset):
                dataset.remove_finished()
        summary.show(
            self._parameters,
            self._project,
            catalog,
            self._saved,
            summary.next_step(
                self._parameters,
                pipeline,
                run_params.get("env"),
                self._given,
                version if self._is_of_a_run else None,
            ),
            None if self._recording is None else self._recording.last_run,
        )

    @hook_impl(trylast=True)
    def on_pipeline_error(
        self, error: Exception, run_params: dict[str, Any], catalog: CatalogProtocol
    ) -> None:
        """Turn errors that a person can mend into a line or two; others keep their traceback."""
        display.stop()
        self._keep_record(run_params, catalog)
        if message := self._explanation.of(error, catalog):
            raise PointillistError(message) from error

    def _keep_record(self, run_params: dict[str, Any], catalog: CatalogProtocol) -> str:
        """Keep which versions belong together, if that is possible; return the run's own."""
        version = str(run_params.get("run_id") or run_params.get("session_id"))
        made = [n for n in self._saved if isinstance(catalog.get(n), VersionedFile)]
        try:
            records.write(
                self._project,
                version,
                self._loaded,
                dict.fromkeys(made, version),
                partial(stages.upstream, pipelines=pipelines),
            )
        except OSError as error:
            logger.warning("What belongs to this run can't be noted: %s", first_line(error))
        return version
