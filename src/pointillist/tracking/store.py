"""Where runs are recorded."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from filelock import FileLock
from pydantic import Field, ValidationError

from pointillist.datasets import atomic
from pointillist.errors import PointillistError, reason, redacted
from pointillist.groups import Group

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

# Seconds that a request may take: the first, which finds out whether anybody is there, and later
# ones, uploads among them. MLflow's own patience, minutes long, is for batch jobs.
_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
_FIRST, _LATER = "4", "20"


class StoreAwayError(PointillistError):
    """A store that can't be reached or used."""


class Settings(Group):
    """conf/*/mlflow.yml."""

    tracking_uri: str | None = None
    """null: an embedded store in the project. MLFLOW_TRACKING_URI in the environment wins."""
    experiment: str = Field("pointillist", min_length=1)
    """MLFLOW_EXPERIMENT_NAME, or else MLFLOW_EXPERIMENT_ID, in the environment wins."""
    flush_seconds: float = Field(1.0, gt=0, le=3600)
    """Live metrics are sent about this often."""


@dataclass(frozen=True)
class Store:
    """An address of MLflow, and where the artifacts of an embedded store lie."""

    tracking_uri: str
    artifact_location: str | None
    """None: the server decides."""
    named_by: str
    """Which setting gave the address, for messages."""

    @property
    def shown(self) -> str:
        """The address as it may be printed: without a name and password in it."""
        return redacted(self.tracking_uri)

    @property
    def is_server(self) -> bool:
        """Whether the address is that of a server."""
        return self.tracking_uri.startswith(("http://", "https://"))


def read_settings(values: Mapping[str, Any]) -> Settings:
    """Check the content of mlflow.yml; MLFLOW_EXPERIMENT_NAME in the environment wins.

    Raises PointillistError naming what is wrong.
    """
    named = os.environ.get("MLFLOW_EXPERIMENT_NAME")
    try:
        return Settings.model_validate({**values, **({"experiment": named} if named else {})})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        known = ", ".join(Settings.model_fields)
        raise PointillistError(
            f"conf/*/mlflow.yml, {key}: {first['msg'].lower()}. Known settings: {known}."
        ) from None


def resolve(settings: Settings, project: Path) -> Store:
    """Return the store: the environment's, else the configuration's, else one in the project."""
    embedded = (project / "mlartifacts").resolve().as_uri()
    if address := os.environ.get("MLFLOW_TRACKING_URI"):
        return _store(address, "MLFLOW_TRACKING_URI", embedded)
    if settings.tracking_uri:
        return _store(settings.tracking_uri, "tracking_uri in conf/*/mlflow.yml", embedded)
    # Quoted, any name of a folder can stand in the address: SQLAlchemy takes it apart again.
    database = quote((project / "mlflow.db").resolve().as_posix(), safe="/:")
    return Store(f"sqlite:///{database}", embedded, "the default")


def _store(address: str, named_by: str, embedded: str) -> Store:
    remote = address.startswith(("http://", "https://"))
    return Store(address, None if remote else embedded, named_by)


def runs_address(server: str, experiment_id: str, run_id: str = "") -> str:
    """Return the address of the table of runs, or of one run, on a server's pages."""
    # MLflow itself opens an experiment on a page about language models.
    return f"{server}/#/experiments/{experiment_id}/runs{f'/{run_id}' if run_id else ''}"


def connect(store: Store, experiment: str) -> tuple[MlflowClient, str]:
    """Return a client and the id of the experiment, which is created if need be.

    Raises
    ------
    PointillistError
        If the store can't be reached within about ten seconds; it names the setting and the cure.
    """
    for noisy in ("alembic", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # It logs a traceback of what it then raises.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    from mlflow import MlflowClient

    with in_words(store), _briefly():
        database = _database(store)
        if database is not None and not database.exists():
            logger.info("Creating the MLflow database %s; this takes some seconds, once.", database)
            _create(database)
        client = MlflowClient(tracking_uri=store.tracking_uri, registry_uri=store.tracking_uri)
        return client, _experiment_id(client, experiment, store.artifact_location)


@contextmanager
def in_words(store: Store) -> Iterator[None]:
    """Turn what a store that can't be used raises into a PointillistError."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:
        cure = "Start that server, correct the address" if store.is_server else "Mend that"
        raise StoreAwayError(
            f"MLflow at {store.shown} ({store.named_by}) can't be used: "
            f"{reason(error)[:200]}\n{cure}, or run without: --params tracking=false"
        ) from None


@contextmanager
def _briefly() -> Iterator[None]:
    """Wait briefly inside the block and longer after it, unless the person chose how long."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    if os.environ.get(_TIMEOUT, _LATER) != _LATER:
        yield
        return
    os.environ[_TIMEOUT] = _FIRST
    try:
        yield
    finally:
        os.environ[_TIMEOUT] = _LATER


def _database(store: Store) -> Path | None:
    """Return the file of a plain SQLite store."""
    prefix, _, path = store.tracking_uri.partition("sqlite:///")
    plain = not prefix and path and "?" not in path and path != ":memory:"
    return Path(unquote(path)) if plain else None


def _create(database: Path) -> None:
    """Make the tables in a file aside, then put it in place whole.

    Half a database, left by a first run that was stopped, would break all that follow; and two
    first runs at once would trip over each other's tables: the later one waits.
    """
    from mlflow import MlflowClient

    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{database}.lock"), atomic.draft_folder(database.parent) as folder:
        if database.exists():
            return
        draft = folder.resolve() / database.name
        address = f"sqlite:///{quote(draft.as_posix(), safe='/:')}"
        MlflowClient(tracking_uri=address).search_experiments()
        draft.replace(database)


def _experiment_id(client: MlflowClient, name: str, artifact_location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    known = os.environ.get("MLFLOW_EXPERIMENT_ID")
    if known and not os.environ.get("MLFLOW_EXPERIMENT_NAME"):
        return str(client.get_experiment(known).experiment_id)
    if (found := client.get_experiment_by_name(name)) is not None:
        if found.lifecycle_stage == "deleted":
            raise PointillistError(
                f"The MLflow experiment {name!r} was deleted. Name another in conf/*/mlflow.yml, "
                f"or restore it: mlflow experiments restore --experiment-id {found.experiment_id}"
            )
        return str(found.experiment_id)
    try:
        # MLflow's pages then open on what a training is about, not on language models.
        kind = {"mlflow.experimentKind": "custom_model_development"}
        return str(client.create_experiment(name, artifact_location, tags=kind))
    except MlflowException:
        # Another first run was faster.
        if (found := client.get_experiment_by_name(name)) is None:
            raise
        return str(found.experiment_id)
