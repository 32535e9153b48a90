"""The edge of a run: parameters are checked before anything happens, errors are said in a line or two."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.io.core import DatasetError, VersionNotFoundError
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pointillist import __version__, diffusion, shapes, tracking
from pointillist.datasets import Tensors, atomic
from pointillist.errors import PointillistError, causes, nearest
from pointillist.parameters import Parameters, validate
from pointillist.terminal import display, print_samplers, print_summary

logger = logging.getLogger(__name__)

_MADE_BY = {
    "denoiser": ("train", "No trained model of {shape!r} was found. Train one first"),
    "training_history": ("train", "No training history of {shape!r} was found. Train first"),
    "training_snapshots": (
        "train",
        "No moments of the training of {shape!r} were kept. Train again",
    ),
    "reverse_chain": ("sample", "No samples of {shape!r} were found. Draw some first"),
    "samples": ("sample", "No samples of {shape!r} were found. Draw some first"),
    "risk_by_noise": ("evaluate", "{shape!r} was not evaluated yet. Evaluate its samples first"),
    "metrics": ("evaluate", "No metrics of {shape!r} were found. Evaluate its samples first"),
    "sampler_table": ("samplers", "No table of samplers of {shape!r} was found. Make one first"),
    "shape_points": ("ingest", "The shape {shape!r} was not ingested yet. Ingest it first"),
    "normalizer": ("ingest", "The shape {shape!r} was not ingested yet. Ingest it first"),
}
_NEXT = {
    "train": "kedro run --pipelines sample --params shape={shape}",
    "sample": "kedro run --pipelines evaluate --params shape={shape}",
    "evaluate": "kedro run --pipelines render --params shape={shape}",
    "samplers": "kedro run --pipelines sample,evaluate --params shape={shape},"
    "sampling.sampler=dpmpp_2m,sampling.steps=20,sampling.rho=20,sampling.sigma_max=3,"
    "sampling.sigma_min=0.004",
    "ingest": "kedro run --pipelines train --params {source}",
}


class ConfigurationError(PointillistError, click.ClickException):
    """A configuration that can't be used, said in a line by every Kedro command, not only by `run`."""


class ProjectHooks:
    """Validation, progress, errors and the summary."""

    def __init__(self) -> None:
        self._parameters = Parameters()
        self._project = Path()
        self._saved: set[str] = set()
        self._started: dict[str, float] = {}
        self._loading: str | None = None
        self._saving: str | None = None

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Refuse unknown or impossible parameters and shapes before anything is written."""
        self._project = Path(context.project_path)
        try:
            values = _read_parameters(context)
            self._parameters = validate(values)
            self._check_device_and_shape()
            if (runs := self._parameters.runs) is not None:
                settings = context.config_loader.get("mlflow", {})
                values["runs"] = tracking.model_versions(runs, settings, self._project)
        except PointillistError as error:
            raise ConfigurationError(str(error)) from None
        # From here on the shape has one spelling, as it has in the catalog's paths, and 1e3 is 1000.
        whole = {k: v for k, v in dict(self._parameters).items() if isinstance(v, int)}
        context.config_loader["parameters"] = {**values, **whole, "shape": self._parameters.shape}

    def _check_device_and_shape(self) -> None:
        name = shapes.canonical_name(self._parameters.shape)
        self._parameters = self._parameters.model_copy(update={"shape": name})
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
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Refuse to start without what earlier stages make; start to show progress; set the threads."""
        for name in sorted(_MADE_BY.keys() & pipeline.inputs()):
            if not catalog.exists(name) and (
                message := self._explain_missing(str(_folder(catalog, name)), catalog)
            ):
                raise PointillistError(message)
        atomic.sweep(self._project, depth=0)
        atomic.sweep(self._project / "data", depth=4)
        if _stages(pipeline) - {"ingest", "render"}:
            diffusion.devices.use_threads(self._parameters.threads)
        self._saved.clear()
        self._loading = self._saving = None
        display.start()

    @hook_impl
    def before_dataset_loaded(self, dataset_name: str) -> None:
        """Note what is being read, for the message if it can't be."""
        self._loading = dataset_name

    @hook_impl(tryfirst=True)
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Forget it, and refuse what was made for another shape."""
        self._loading = None
        if isinstance(data, Tensors):
            self._check_origin(dataset_name, data.metadata)

    @hook_impl
    def before_dataset_saved(self, dataset_name: str) -> None:
        """Note what is being written, for the message if it can't be."""
        self._saving = dataset_name

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
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Note what this run made."""
        self._saved.add(dataset_name)
        self._saving = None

    @hook_impl(trylast=True)
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Say what came out, where it is and what to try next."""
        display.stop()
        shape = self._parameters.shape
        metrics = catalog.load("metrics") if "metrics" in self._saved else None
        facts: dict[str, str] = {}
        for name, title in (
            ("denoiser", "Model"),
            ("samples", "Samples"),
            ("animation", "Animation"),
            ("many_summary", "Partitions"),
            ("sampler_table", "Table"),
            ("sampler_figure", "Figure"),
            ("score_figure", "Scores"),
            ("density_figure", "Density"),
            ("trajectory_figure", "Ways"),
            ("training_film", "Training"),
            ("gallery_figure", "Gallery"),
            ("player", "Player"),
            ("report", "Report"),
            ("comparison", "Comparison"),
        ):
            if name in self._saved:
                facts[title] = _relative(_saved_path(catalog, name), self._project)
        if (run := tracking.last_run()) is not None:
            facts["MLflow run"] = f"{run.run_name} ({run.run_id}); compare runs with: make ui"
        facts["Next"] = self._next_step(pipeline).format(shape=shape, source=self._source())
        if "sampler_table" in self._saved:
            print_samplers(shape, catalog.load("sampler_table"))
        print_summary(shape, metrics, facts)

    @hook_impl(trylast=True)
    def on_pipeline_error(self, error: Exception, catalog: CatalogProtocol) -> None:
        """Turn errors that a person can mend into a line or two; others keep their traceback."""
        display.stop()
        if message := self._explain(error, catalog):
            raise PointillistError(message) from error

    def _check_origin(self, name: str, metadata: Mapping[str, Any]) -> None:
        shape, other = self._parameters.shape, metadata.get("shape")
        if other != shape:
            raise PointillistError(
                f"{name} of {shape!r} holds what was made for {other!r}. Use it with --params "
                f"shape={other}, or make it again: kedro run --pipelines {_MADE_BY[name][0]} --params "
                f"shape={shape}"
            )
        if (version := metadata.get("package_version")) != __version__:
            logger.warning(
                "%s was written by version %s of Pointillist; this is %s.",
                name,
                version,
                __version__,
            )

    def _next_step(self, pipeline: Pipeline) -> str:
        stages = _stages(pipeline)
        for stage in ("samplers", "render", "evaluate", "sample", "train", "ingest"):
            if stage in stages and stage in _NEXT:
                return _NEXT[stage]
            if stage in stages:
                break
        other = "cat" if self._parameters.shape != "cat" else "panda"
        return f"another shape: kedro run --params shape={other}"

    def _source(self) -> str:
        """Return the parameter that names this run's shape again."""
        given = self._parameters.model_dump(include={"shape_file", "text"}, exclude_none=True)
        name, value = next(iter(given.items()), ("shape", self._parameters.shape))
        return shlex.quote(f"{name}={value}") if " " in str(value) else f"{name}={value}"

    def _explain(self, error: BaseException, catalog: CatalogProtocol) -> str | None:
        chain = list(causes(error))
        for cause in chain:
            if isinstance(cause, PointillistError):
                return str(cause)
        for cause in chain:
            if isinstance(cause, VersionNotFoundError | FileNotFoundError) and (
                message := self._explain_missing(str(cause), catalog)
            ):
                return message
        if any(isinstance(cause, DatasetError | OSError) for cause in chain):
            if self._saving is not None:
                return self._explain_unsaved(self._saving, chain[-1], catalog)
            if self._loading is not None:
                return self._explain_unreadable(self._loading, chain[-1], catalog)
        for cause in chain:
            if isinstance(cause, OSError) and cause.strerror and cause.filename:
                return f"{cause.strerror}: {cause.filename}"
            if isinstance(cause, DatasetError):
                return _first_line(cause)
        return None

    def _explain_unsaved(self, name: str, cause: BaseException, catalog: CatalogProtocol) -> str:
        where = _relative(_folder(catalog, name) or Path(name), self._project)
        return f"{name} can't be saved in {where}: {_first_line(cause)}"

    def _explain_unreadable(self, name: str, cause: BaseException, catalog: CatalogProtocol) -> str:
        where = _relative(_saved_path(catalog, name), self._project)
        message = f"{where} can't be read: {_first_line(cause)}"
        if name not in _MADE_BY:
            return message
        command = (
            f"kedro run --pipelines {_MADE_BY[name][0]} --params shape={self._parameters.shape}"
        )
        return (
            f"{message}\nMake it again: {command}, or load another: --load-versions {name}:VERSION"
        )

    def _explain_missing(self, message: str, catalog: CatalogProtocol) -> str | None:
        """Name the command that makes the dataset no version of which was found."""
        shape = self._parameters.shape
        for name, (stage, sentence) in _MADE_BY.items():
            folder = _folder(catalog, name)
            if folder is None or str(folder) not in message:
                continue
            versions = sorted(p.parent.name for p in folder.glob("*/*") if p.is_file())
            if versions:
                return f"{name} of {shape!r} has no such version. There are: {', '.join(versions)}."
            given = self._source() if stage in ("ingest", "train") else f"shape={shape}"
            command = f"kedro run --pipelines {stage} --params {given}"
            return f"{sentence.format(shape=shape)}: {command}"
        return None


def _read_parameters(context: KedroContext) -> dict[str, Any]:
    """Read the parameters' files and command line as they are, and say which file can't be read."""
    loader = context.config_loader
    try:
        return dict(loader["parameters"])
    except MissingConfigException:
        known = [p.name for p in Path(loader.conf_source).glob("*") if p.is_dir()]
        if context.env is None or context.env in known:
            raise
        raise PointillistError(
            f"Environment {context.env!r} is unknown.{nearest(context.env, known)} "
            f"Known: {', '.join(sorted(known))}."
        ) from None
    except (OmegaConfBaseException, YAMLError, ValueError) as error:
        raise PointillistError(f"The parameters can't be read: {_first_line(error)}") from None


def _stages(pipeline: Pipeline) -> set[str]:
    return {node.namespace for node in pipeline.nodes if node.namespace}


def _first_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f' ({error.filename})' if error.filename else ''}"
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _folder(catalog: CatalogProtocol, name: str) -> Path | None:
    dataset = catalog.get(name)
    path = getattr(dataset, "_filepath", None)
    return None if path is None else Path(str(path))


def _saved_path(catalog: CatalogProtocol, name: str) -> Path:
    return Path(str(catalog.get(name)._get_load_path()))


def _relative(path: Path, project: Path) -> str:
    return str(path.relative_to(project)) if path.is_relative_to(project) else str(path)
