"""From a run in MLflow to the version of what it made, or of the model that it used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pointillist.errors import PointillistError
from pointillist.tracking import store as stores

_ID = re.compile(r"[0-9a-f]{6,32}")


def run_version(run: str, settings: Mapping[str, Any], project: Path) -> str:
    """Return the version of all that the run with this id in MLflow saved; any other name as it is.

    Raises
    ------
    PointillistError
        If no run, or more than one, has such an id, or the store can't be reached.
    """
    if _ID.fullmatch(run) is None:
        return run
    return _tags(run, settings, project)["kedro.session_id"]


def model_versions(runs: str, settings: Mapping[str, Any], project: Path) -> str:
    """Put the version of its model in the place of each id of an MLflow run in `runs`, joined by +.

    Raises
    ------
    PointillistError
        If no run, or more than one, has such an id, or the store can't be reached.
    """
    versions = [name.strip() for name in runs.split("+")]
    for place, name in enumerate(versions):
        if _ID.fullmatch(name):
            tags = _tags(name, settings, project)
            # A run that used an earlier model names it; one that trained has the version of its session.
            versions[place] = tags.get("loaded.denoiser") or tags["kedro.session_id"]
    return "+".join(versions)


def _tags(prefix: str, settings: Mapping[str, Any], project: Path) -> dict[str, str]:
    store = stores.resolve(settings, project)
    client, experiment_id = stores.connect(store)
    with stores.in_words(store):
        runs = client.search_runs([experiment_id], f"attributes.run_id LIKE '{prefix}%'")
    if len(runs) != 1:
        what = "No run" if not runs else f"More than one run ({len(runs)})"
        raise PointillistError(
            f"{what} in MLflow has an id that begins with {prefix!r}. Copy it from the page of the run "
            "(make ui)."
        )
    return dict(runs[0].data.tags)
