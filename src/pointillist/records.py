"""Which versions of datasets belong together: a small file for every run, data/.runs/VERSION.json.

It says of each dataset that the run loaded or saved which version that was, and what those versions
belong to in turn. So `--params run=VERSION` finds all of one run, and datasets of different runs are
never mixed unnoticed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from pathlib import Path

from pointillist.datasets import atomic
from pointillist.errors import PointillistError

Versions = dict[str, str]
"""By the name of the dataset."""


def read(project: Path, version: str) -> Versions:
    """Return what belongs to the run `version`; nothing if it left no record."""
    try:
        found = json.loads(_file(project, version).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(
    project: Path,
    version: str,
    loaded: Mapping[str, str],
    saved: Mapping[str, str],
    upstream: Callable[[str], set[str]],
) -> None:
    """Keep what the run `version` loaded and saved, and what that was made from. Raises OSError.

    `upstream` returns the datasets that one is made from, directly or not.
    """
    record = {**loaded, **saved}
    for name, other in loaded.items():
        above = upstream(name)
        record = {k: v for k, v in read(project, other).items() if k in above} | record
    if saved:
        file = _file(project, version)
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(file, json.dumps(record, indent=1, sort_keys=True).encode())


def required(project: Path, version: str, shape: str) -> Versions:
    """Return what belongs to the run `version` of a shape, and the newest that was made from it since.

    Raises
    ------
    PointillistError
        If it left no record, or is of another shape; it names the newest runs of this one.
    """
    if not read(project, version):
        known = [v for v in _runs(project) if shape in _shapes(project, v)]
        raise PointillistError(
            f"No run {version!r} is known. The newest of {shape!r}: {', '.join(known[:6]) or 'none'}."
        )
    shapes = _shapes(project, version)
    if shapes and shape not in shapes:
        raise PointillistError(
            f"The run {version} is of {' and '.join(map(repr, shapes))}, not {shape!r}. Name it: "
            f"--params shape={shapes[0]},run={version}"
        )
    return _family(_all(project), version)


def require_one_run(
    project: Path,
    chosen: Mapping[str, str],
    asked: Collection[str],
    upstream: Callable[[str], set[str]],
    made_by: Callable[[Collection[str]], str],
    command: Callable[..., str],
) -> None:
    """Refuse versions of datasets that don't belong together, as far as records tell.

    `asked` are those of a version that was asked for, `upstream` is as for `write`; `made_by` names the
    pipelines that make datasets anew, and `command` what stands after --params.

    Raises
    ------
    PointillistError
        It names two datasets, and the run that has all.
    """
    wrong: dict[str, str] = {}
    for name, version in sorted(chosen.items(), key=lambda item: item[1], reverse=True):
        record = read(project, version)
        for other in sorted(upstream(name) & record.keys() & chosen.keys()):
            if chosen[other] == (expected := record[other]):
                continue
            # A later run may have made the other from this one: a model that is sampled again.
            if read(project, chosen[other]).get(name) != version:
                wrong.setdefault(
                    name,
                    f"{name} of {version} was made with {other} of {expected}, but {other} of "
                    f"{chosen[other]} is about to be loaded.",
                )
    if not wrong:
        return
    wanted = {name: chosen[name] for name in asked if name in chosen}
    records = _all(project)
    runs = (v for v in records if _has(_family(records, v), chosen, wanted))
    cures = [f"Take one run's: --params {command(run=run)}" for run in islice(runs, 1)]
    if not wanted:
        anew = f"kedro run --pipelines {made_by(wrong)} --params {command()}"
        cures.append(f"make {next(iter(wrong))} anew: {anew}")
    cure = ", or ".join(cures) or "Load versions of one run"
    raise PointillistError(f"{next(iter(wrong.values()))}\n{cure[0].upper()}{cure[1:]}")


def _family(records: Mapping[str, Versions], version: str) -> Versions:
    """Return the record of a run and, of datasets that it lacks, the newest made from what it has."""
    found = records[version]
    for record in records.values():
        common = found.keys() & record.keys()
        if common and all(found[name] == record[name] for name in common):
            found = record | found
    return found


def _has(found: Versions, names: Iterable[str], wanted: Mapping[str, str]) -> bool:
    return set(names) <= found.keys() and wanted.items() <= found.items()


def _all(project: Path) -> dict[str, Versions]:
    """Return all records by run, the newest first."""
    return {version: read(project, version) for version in _runs(project)}


def _runs(project: Path) -> list[str]:
    """Return the runs that left a record, the newest first."""
    return sorted((path.stem for path in (project / "data" / ".runs").glob("*.json")), reverse=True)


def _shapes(project: Path, version: str) -> list[str]:
    """Return the shapes of which a run saved something."""
    return sorted({path.parts[-3] for path in (project / "data").glob(f"*/*/*/{version}")})


def _file(project: Path, version: str) -> Path:
    return project / "data" / ".runs" / f"{version}.json"
