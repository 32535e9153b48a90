"""From a run in MLflow to the version of the model that it made or used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pointillist.errors import PointillistError
from pointillist.tracking import store as stores

_ID = re.compile(r"[0-9a-f]{6,32}")
_MOST = 5000


def model_versions(runs: str, settings: Mapping[str, Any], project: Path) -> str:
    """Put the version of its model in the place of each id of an MLflow run in `runs`, joined by +.

    Raises
    ------
    PointillistError
        If no run, or more than one, has such an id, or the store can't be reached.
    """
    names = [name.strip() for name in runs.split("+")]
    if not any(_ID.fullmatch(name) for name in names):
        return "+".join(names)
    store = stores.resolve(settings, project)
    client, experiment_id = stores.connect(store)
    with stores.in_words(store):
        found = client.search_runs([experiment_id], max_results=_MOST)
    return "+".join(_version(name, found) if _ID.fullmatch(name) else name for name in names)


def _version(name: str, found: list[Any]) -> str:
    runs = [run for run in found if run.info.run_id.startswith(name)]
    if len(runs) != 1:
        what = "No run" if not runs else f"More than one run ({len(runs)})"
        raise PointillistError(
            f"{what} in MLflow has an id that begins with {name!r}. Copy it from the page of the run "
            "(make ui)."
        )
    tags = runs[0].data.tags
    # A run that used an earlier model names it; one that trained has the version of its session.
    return str(tags.get("loaded.denoiser") or tags["kedro.session_id"])
