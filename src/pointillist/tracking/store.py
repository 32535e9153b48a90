"""Where runs are recorded: which MLflow, and which experiment of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from filelock import FileLock
from pydantic import Field, ValidationError

from pointillist.datasets import atomic
from pointillist.errors import PointillistError, reason
from pointillist.groups import Group
from pointillist.tracking.masking import masked

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

logger = logging.getLogger(__name__)

PORT = 5000
"""Of `make ui`."""

# Seconds that a request may take: the first, which finds out whether anybody is there, and later
# ones, uploads among them. MLflow's own timeout, minutes long, is for batch jobs.
_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
_FIRST, _LATER = "4", "20"


class StoreAwayError(PointillistError):
    """A store that can't be reached or used."""


class Settings(Group):
    """conf/*/mlflow.yml. MLflow's own variables of the environment win over it."""

    tracking_uri: str | None = None
    """null: an embedded store in the project."""
    experiment: str = Field("pointillist", min_length=1)
    flush_seconds: float = Field(1.0, gt=0, le=3600)
    """Live metrics are sent about this often."""


@dataclass(frozen=True)
class Store:
    """An address of MLflow, an experiment of it, and where the artifacts of an embedded store lie."""

    tracking_uri: str = field(repr=False)
    artifact_location: str | None
    """None: the server decides."""
    named_by: str
    """Which setting gave the address, for messages."""
    experiment: str | None = "pointillist"
    experiment_id: str | None = None
    """Of an experiment that exists, in place of its name or as well."""
    flush_seconds: float = 1.0

    @property
    def shown(self) -> str:
        """The address as it may be shown."""
        return self.masked(self.tracking_uri)

    @property
    def is_server(self) -> bool:
        """Whether the address is that of a server."""
        return self.tracking_uri.startswith(("http://", "https://"))

    @property
    def is_file(self) -> bool:
        """Whether it is a database in a file: whether it can be used doesn't depend on anybody else."""
        return self.tracking_uri.startswith("sqlite")

    def masked(self, text: str) -> str:
        """Return `text` without the password or token of the address."""
        return masked(text, self.tracking_uri)

    def page(self, experiment_id: str, run_id: str = "", port: int = PORT) -> str:
        """Return the address of the table of runs, or of a run, in MLflow's pages (`make ui`)."""
        home = self.shown.partition("?")[0] if self.is_server else f"http://127.0.0.1:{port}"
        return f"{home.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}".rstrip("/")


def resolve(values: Mapping[str, Any], project: Path) -> Store:
    """Return the store that mlflow.yml (`values`) or the environment names; else one in the project.

    MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME and MLFLOW_EXPERIMENT_ID win, as MLflow has it.

    Raises
    ------
    PointillistError
        If mlflow.yml has an unknown setting or an impossible value.
    """
    settings = _checked(values)
    name, number = (os.environ.get(f"MLFLOW_EXPERIMENT_{part}") or None for part in ("NAME", "ID"))
    database = (project / "mlflow.db").resolve()
    address, named_by = next(
        (known, by)
        for known, by in (
            (os.environ.get("MLFLOW_TRACKING_URI"), "MLFLOW_TRACKING_URI"),
            (settings.tracking_uri, "tracking_uri in conf/*/mlflow.yml"),
            (sqlite_uri(database), "the default"),
        )
        if known
    )
    remote = address.startswith(("http://", "https://"))
    return Store(
        address,
        None if remote else (project / "mlartifacts").resolve().as_uri(),
        named_by,
        name or (None if number else settings.experiment),
        number,
        settings.flush_seconds,
    )


def configured(project: Path) -> Store:
    """Return the store of a project by its conf/base and conf/local. Raises PointillistError."""
    from kedro.config import MissingConfigException

    from pointillist.config_loader import AnywhereConfigLoader

    loader = AnywhereConfigLoader(
        str(project / "conf"),
        base_env="base",
        default_run_env="local",
        config_patterns={"mlflow": ["mlflow*"]},
    )
    try:
        return resolve(loader["mlflow"], project)
    except MissingConfigException:
        return resolve({}, project)


def sqlite_uri(database: Path) -> str:
    """Return the address of a database, whatever its folder is called.

    MLflow makes the folder of a plain ``sqlite:///PATH`` as it stands, before SQLAlchemy decodes it; the
    driver's name keeps it from that.
    """
    plain = f"sqlite:///{database}"
    if "?" not in plain and unquote(plain) == plain:
        return plain
    from sqlalchemy import URL

    return URL.create("sqlite+pysqlite", database=str(database)).render_as_string()


def connect(store: Store) -> tuple[MlflowClient, str]:
    """Return a client and the id of the experiment, which is created if need be.

    Raises
    ------
    PointillistError
        If the store can't be reached within about ten seconds; it names the setting and the cure.
    """
    for noisy in ("alembic", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # It would print the address as it is, password and all.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    # It logs a traceback of what it then raises.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    from mlflow import MlflowClient

    _require_encoded(store)
    with in_words(store), _briefly():
        database = _database(store)
        if database is not None and not database.exists():
            logger.info("Creating the MLflow database %s; this takes some seconds, once.", database)
            _create(database)
        client = MlflowClient(tracking_uri=store.tracking_uri, registry_uri=store.tracking_uri)
        return client, _experiment(client, store).experiment_id


@contextmanager
def in_words(store: Store) -> Iterator[None]:
    """Turn what a store that can't be used raises into a StoreAwayError."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError, ValueError) as error:
        cure = "Start that server, correct the address" if store.is_server else "Mend that"
        raise StoreAwayError(
            f"MLflow at {store.shown} ({store.named_by}) can't be used: "
            f"{store.masked(reason(error))[:200]}\n{cure}, or run without: --params tracking=false"
        ) from None


def _checked(values: Mapping[str, Any]) -> Settings:
    try:
        return Settings.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        known = ", ".join(Settings.model_fields)
        raise PointillistError(
            f"conf/*/mlflow.yml, {key}: {first['msg'].lower()}. Known settings: {known}."
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


def _require_encoded(store: Store) -> None:
    """Raise PointillistError if a server's address can't be read, perhaps for a password in it."""
    try:
        urlsplit(store.tracking_uri).port  # noqa: B018 - raises ValueError
        if store.is_server and " " in store.tracking_uri:
            raise ValueError
    except ValueError:
        raise PointillistError(
            f"The address of {store.named_by} can't be read. In a name or password / is %2F, @ is %40, "
            ": is %3A, ? is %3F, # is %23 and a blank %20."
        ) from None


def _database(store: Store) -> Path | None:
    """Return the file of a plain SQLite store. Raises what SQLAlchemy raises."""
    if not store.tracking_uri.startswith("sqlite"):
        return None
    from sqlalchemy import make_url

    url = make_url(store.tracking_uri)
    plain = url.database and url.database != ":memory:" and not url.query
    return Path(url.database or "") if plain else None


def _create(database: Path) -> None:
    """Make the tables in a file aside, then put it in place.

    Half a database, left by a first run that was stopped, would break all that follow; and two
    first runs at once would trip over each other's tables: the later one waits.
    """
    from mlflow import MlflowClient

    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{database}.lock"), atomic.draft_folder(database.parent) as folder:
        if database.exists():
            return
        draft = folder.resolve() / database.name
        MlflowClient(tracking_uri=sqlite_uri(draft)).search_experiments()
        draft.replace(database)


def _experiment(client: MlflowClient, store: Store) -> Experiment:
    """Return the store's experiment. Raises PointillistError if it was deleted, or its id is unknown."""
    from mlflow.exceptions import MlflowException

    wanted = store.experiment_id
    if store.experiment is not None:
        found = _named(client, store.experiment, store.artifact_location)
    else:
        try:
            found = client.get_experiment(wanted)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise PointillistError(
                f"MLFLOW_EXPERIMENT_ID is {wanted!r}, which MLflow at {store.shown} does not have."
            ) from None
    if wanted and found.experiment_id != wanted:
        raise PointillistError(
            f"MLFLOW_EXPERIMENT_ID is {wanted!r}, but the experiment {store.experiment!r} of "
            f"MLFLOW_EXPERIMENT_NAME has the id {found.experiment_id!r}. Set one of the two."
        )
    if found.lifecycle_stage == "deleted":
        raise PointillistError(
            f"The MLflow experiment {found.name!r} was deleted. Name another (experiment in "
            "conf/*/mlflow.yml, or MLFLOW_EXPERIMENT_NAME), or restore it: mlflow experiments restore "
            f"--experiment-id {found.experiment_id}"
        )
    return found


def _named(client: MlflowClient, name: str, artifact_location: str | None) -> Experiment:
    from mlflow.exceptions import MlflowException

    if (found := client.get_experiment_by_name(name)) is not None:
        return found
    # MLflow's pages then open on what a training is about, not on language models.
    kind = {"mlflow.experimentKind": "custom_model_development"}
    try:
        client.create_experiment(name, artifact_location, tags=kind)
    except MlflowException:
        # Another first run was faster.
        if (found := client.get_experiment_by_name(name)) is None:
            raise
        return found
    return client.get_experiment_by_name(name)
