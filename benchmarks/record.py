"""The record of what was measured, and the report made from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.common import Figures, Part

Record = dict[str, Figures]
"""Part -> its figures."""


def read(path: Path) -> Record:
    """Return the record so far."""
    found: Record = json.loads(path.read_text()) if path.exists() else {}
    return found


def write(path: Path, record: Record) -> None:
    """Write the record; an interrupted write leaves the old one."""
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(record, indent=1) + "\n")
    unfinished.replace(path)


def merge(record: Record, name: str, figures: Figures) -> Record:
    """Return the record with a part's figures in the place of its last ones."""
    return {**record, name: figures}


def report(record: Record, parts: Mapping[str, Part]) -> Iterator[str]:
    """Yield the lines of results.md, the parts in their own order."""
    yield "# Results"
    yield ""
    yield (
        "Written by `make bench`; the metrics are defined in [docs/metrics.md](../docs/metrics.md), how "
        "each part measures at the head of its file."
    )
    yield ""
    for name, part in parts.items():
        if name in record:
            yield f"## {part.TITLE}"
            yield ""
            yield from part.report(record[name])
