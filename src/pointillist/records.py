"""Which versions of datasets belong together: a small file for every run, data/.runs/VERSION.json.

It says of each dataset that the run loaded or saved which version that was, and what those versions
belong to in turn. So `--params run=VERSION` finds all of one run, and datasets of different runs are
never mixed unnoticed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pointillist.datasets import atomic
from pointillist.errors import PointillistError, nearest

Versions = dict[str, str]
"""By the name of the dataset."""


def read(project: Path, version: str) -> Versions:
    """Return what belongs to the run `version`; nothing if it left no record."""
    try:
        found = json.loads(_file(project, version).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(project: Path, version: str, loaded: Mapping[str, str], saved: Mapping[str, str]) -> None:
    """Keep what the run `version` loaded and saved. Raises OSError."""
    record = {**loaded, **saved}
    for other in loaded.values():
        record = read(project, other) | record
    if saved:
        file = _file(project, version)
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(file, json.dumps(record, indent=1, sort_keys=True).encode())


def required(project: Path, version: str) -> Versions:
    """Return what belongs to the run `version`.

    Raises
    ------
    PointillistError
        If it left no record; it names the newest runs that did.
    """
    if found := read(project, version):
        return found
    known = sorted(path.stem for path in (project / "data" / ".runs").glob("*.json"))
    raise PointillistError(
        f"No run {version!r} is known.{nearest(version, known)} The newest: "
        f"{', '.join(known[-6:]) or 'none'}."
    )


def require_one_run(project: Path, chosen: Mapping[str, str], making: Mapping[str, str]) -> None:
    """Refuse versions of datasets that don't belong together, as far as records tell.

    `making` names the pipeline that makes a dataset.

    Raises
    ------
    PointillistError
        It names the two datasets, and the run that has both.
    """
    for name, version in sorted(chosen.items(), key=lambda item: item[1], reverse=True):
        for other, expected in read(project, version).items():
            if other not in chosen or chosen[other] == expected:
                continue
            # A later run may have made the other from this one: a model that is sampled again.
            if read(project, chosen[other]).get(name) != version:
                raise PointillistError(
                    f"{name} of {version} was made with {other} of {expected}, but {other} of "
                    f"{chosen[other]} is about to be loaded.\nTake one run's: --params run={version}, or "
                    f"make {name} anew: --pipelines {making.get(name, name)}"
                )


def _file(project: Path, version: str) -> Path:
    return project / "data" / ".runs" / f"{version}.json"
