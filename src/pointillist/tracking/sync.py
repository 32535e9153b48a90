"""Sending what was kept back while a server was away."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointillist.errors import PointillistError, reason
from pointillist.tracking import outbox
from pointillist.tracking import store as stores

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)


def send(project: Path, client: MlflowClient, address: str) -> int:
    """Send what waits for the store at `address`, and return how many records that were.

    What it refuses goes on waiting, and the log says so.
    """
    sent = 0
    with outbox.kept_back(project / outbox.FOLDER) as found:
        for run in found:
            if run.address != address:
                continue
            before = len(run.waiting)
            try:
                run.send(client)
            except Exception as error:
                logger.warning("MLflow still does not take what was kept: %s", reason(error)[:200])
                return sent + before - len(run.waiting) - run.refused
            sent += before - run.refused
    return sent


def send_all(project: Path, settings: Mapping[str, Any]) -> tuple[int, int]:
    """Send what waits for the configured store; return how many records were sent, and how many not.

    Raises
    ------
    PointillistError
        If something waits and the store can't be reached, or waits for another store.
    """
    with outbox.kept_back(project / outbox.FOLDER) as found:
        addresses = {run.address for run in found if run.waiting}
        before = sum(len(run.waiting) for run in found)
    if not addresses:
        return 0, 0
    chosen = stores.read_settings(settings)
    store = stores.resolve(chosen, project)
    if others := addresses - {store.shown}:
        raise PointillistError(
            f"What was kept back waits for MLflow at {', '.join(sorted(others))}, not at {store.shown} "
            f"({store.named_by}). Send it with: MLFLOW_TRACKING_URI=… kedro mlflow-sync"
        )
    try:
        client, _ = stores.connect(store, chosen.experiment)
    except stores.StoreAwayError as error:
        raise stores.StoreAwayError(
            f"{str(error).splitlines()[0]}\n{before} records wait on; run kedro mlflow-sync again "
            "when it is back."
        ) from None
    sent = send(project, client, store.shown)
    return sent, before - sent
