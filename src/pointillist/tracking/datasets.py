"""Datasets of what MLflow knows: the trainings that were finished, and the registered models."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from kedro.io.core import AbstractDataset, DatasetError

from pointillist.datasets import Package
from pointillist.diffusion.config import Sampling
from pointillist.errors import PointillistError
from pointillist.models.tensors import encode, sealed
from pointillist.tracking import store as stores
from pointillist.version import __version__

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Run

logger = logging.getLogger(__name__)

ALIAS = "champion"
MODEL, SAMPLING = "denoiser.safetensors", "sampling.json"
_MOST = 50_000
_FOLDER = "serving"


class TrainingRunsDataset(AbstractDataset[None, "pd.DataFrame"]):
    """The trainings of the experiment as they were evaluated, one row an evaluation. Read only."""

    def __init__(
        self, *, credentials: Mapping[str, Any], metadata: dict[str, Any] | None = None
    ) -> None:
        """Take the credentials that the hooks provide: settings of mlflow.yml, folder of the project."""
        self.metadata = metadata
        self._credentials = credentials

    def load(self) -> pd.DataFrame:
        """Return run_id, shape and version of the training, the sampling, and every final metric.

        A training that was evaluated in its own run, or in later ones, perhaps with other samplers, has a
        row for each; one that never was has a row without metrics.
        """
        import pandas as pd

        client, experiment_id, store = _connected(self._credentials)
        with stores.in_words(store):
            runs = client.search_runs(
                [experiment_id], "attributes.status = 'FINISHED'", max_results=_MOST
            )
        known = {run.info.run_id for run in runs}
        return pd.DataFrame([row for run in runs if (row := _evaluation(run, known)) is not None])

    def save(self, data: None) -> None:  # noqa: ARG002 - Kedro's signature
        """Refuse: trainings record themselves."""
        raise DatasetError("Runs are read only here.")

    def _describe(self) -> dict[str, Any]:
        return {}


def _connected(credentials: Mapping[str, Any]) -> tuple[MlflowClient, str, stores.Store]:
    if not credentials:
        raise PointillistError("This dataset lies in MLflow, which only a run of a pipeline knows.")
    store = stores.resolve(credentials["settings"], Path(credentials["project"]))
    return *stores.connect(store), store


def _evaluation(run: Run, known: Collection[str]) -> dict[str, Any] | None:
    """Return the row of a run that trained or evaluated, or None; `known` are ids of finished runs."""
    tags = run.data.tags
    stages = {*tags.get("kedro.pipelines", "").split("+")}
    if not {"train", "evaluate"} & stages:
        return None
    training, prefix = tags.get("training_run_id"), "sampling."
    used = {k.removeprefix(prefix): v for k, v in run.data.params.items() if k.startswith(prefix)}
    return {
        # A training that was not recorded, or was deleted, has no run but that of the evaluation.
        "run_id": training if training in known else run.info.run_id,
        "shape": tags.get("shape"),
        "version": tags.get("kedro.session_id" if "train" in stages else "loaded.denoiser"),
        "sampling": {name: None if value == "None" else value for name, value in used.items()},
        **run.data.metrics,
    }


class ChampionDataset(AbstractDataset[Package, None]):
    """The registered model that has the alias champion."""

    def __init__(
        self, *, credentials: Mapping[str, Any], metadata: dict[str, Any] | None = None
    ) -> None:
        """Take the credentials that the hooks provide: settings of mlflow.yml, folder of the project."""
        self.metadata = metadata
        self._credentials = credentials

    def load(self) -> None:
        """Refuse: MLflow loads it."""
        raise DatasetError(f"Load it with mlflow.pyfunc.load_model('models:/NAME@{ALIAS}').")

    def save(self, data: Package) -> None:
        """Log the model as a pyfunc, register it, and give it the alias, unless it has it already."""
        client, _, store = _connected(self._credentials)
        with stores.in_words(store):
            version = _version_of(client, data) or _register(client, data)
            client.set_registered_model_alias(data.name, ALIAS, version)
        logger.info("models:/%s@%s is version %s.", data.name, ALIAS, version)

    def _describe(self) -> dict[str, Any]:
        return {}


@contextmanager
def downloaded(uri: str, project: Path) -> Iterator[tuple[Path, Sampling]]:
    """Yield the file of a registered model (models:/NAME@ALIAS, models:/NAME/VERSION) and its sampler.

    Raises
    ------
    PointillistError
        If there is no such model, or MLflow can't be reached.
    """
    from mlflow.artifacts import download_artifacts

    store = stores.configured(project)
    with TemporaryDirectory() as folder, stores.in_words(store):
        place = Path(download_artifacts(uri, dst_path=folder, tracking_uri=store.tracking_uri))
        [file] = place.rglob(MODEL)
        yield file, Sampling.model_validate_json(file.with_name(SAMPLING).read_text())


def _version_of(client: MlflowClient, package: Package) -> str | None:
    """Return the version under which the training's model is registered, if it is."""
    digest = package.model.digest
    found = client.search_model_versions(f"name = '{package.name}'")
    sampling = json.dumps(dict(package.sampling), sort_keys=True)
    return next(
        (
            str(v.version)
            for v in found
            if v.tags.get("digest") == digest and v.tags.get("sampling") == sampling
        ),
        None,
    )


def _register(client: MlflowClient, package: Package) -> str:
    from mlflow import pyfunc
    from mlflow.exceptions import MlflowException

    from pointillist.tracking.serving import EXAMPLE, signature

    with TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        (data / MODEL).write_bytes(
            encode(sealed(package.model.to_tensors(), package.model.version))
        )
        (data / SAMPLING).write_text(json.dumps(dict(package.sampling)))
        place = Path(folder) / _FOLDER
        # Found by the name of a module: nothing is pickled.
        pyfunc.save_model(
            str(place),
            loader_module="pointillist.tracking.serving",
            data_path=str(data),
            signature=signature(package.sampling),
            input_example=EXAMPLE,
            pip_requirements=[f"pointillist=={__version__}"],
        )
        client.log_artifacts(package.run_id, str(place), _FOLDER)
    try:
        client.create_registered_model(package.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{client.get_run(package.run_id).info.artifact_uri}/{_FOLDER}"
    tags = {
        "digest": package.model.digest,
        "sampling": json.dumps(dict(package.sampling), sort_keys=True),
        **{name: f"{value:.6g}" for name, value in package.metrics.items()},
    }
    made = client.create_model_version(package.name, source, package.run_id, tags=tags)
    return str(made.version)
