"""Sending what MLflow did not take of earlier runs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointillist.errors import PointillistError, reason
from pointillist.tracking import store as stores
from pointillist.tracking import unsent

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)


def send(project: Path, client: MlflowClient, store: stores.Store) -> int:
    """Send what earlier runs left for `store`, and return of how many of them it has all now.

    What it does not take goes on waiting, and the log says so.
    """
    sent = 0
    with unsent.left_behind(project) as found:
        for file, rest in found:
            if rest.store != store.shown:
                continue
            try:
                refused = rest.send(client)
            except Exception as error:
                logger.warning(
                    "MLflow still does not take what is left of run %s: %s",
                    rest.run_id,
                    store.masked(reason(error))[:200],
                )
                file.write(rest)
                break
            file.remove()
            sent += not refused
    return sent


def send_all(project: Path, settings: Mapping[str, Any]) -> tuple[int, int]:
    """Send what earlier runs left for the configured store; return how many runs it has all of, or not.

    Raises
    ------
    PointillistError
        If something is left and the store can't be reached, or it is left for another store.
    """
    if old := [path.name for path in (project / unsent.FOLDER).glob("*.jsonl")]:
        logger.warning("Release 0.1.0 left %s; only it can send them.", ", ".join(old))
    with unsent.left_behind(project) as found:
        addresses = {rest.store for _, rest in found}
    if not addresses:
        return 0, 0
    store = stores.resolve(settings, project)
    if others := addresses - {store.shown}:
        raise PointillistError(
            f"Runs are left for MLflow at {', '.join(sorted(others))}, not at {store.shown} "
            f"({store.named_by}). Send them with: MLFLOW_TRACKING_URI=… kedro mlflow-sync"
        )
    try:
        client, _ = stores.connect(store)
    except stores.StoreAwayError as error:
        raise stores.StoreAwayError(
            f"{str(error).splitlines()[0]}\n{len(found)} runs are not there entirely; run kedro "
            "mlflow-sync again when it is back."
        ) from None
    sent = send(project, client, store)
    return sent, len(found) - sent
