"""Partitions of a large table, each written whole, so that a run that was stopped goes on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from kedro.io.core import AbstractDataset, DatasetError

from pointillist.datasets import atomic

_DIGEST = b"pointillist.digest"
_PLACE = b"pointillist.place"


def digest_of(points: np.ndarray) -> str:
    """Return what tells points (n, 2) from others."""
    return hashlib.sha256(np.ascontiguousarray(points).tobytes()).hexdigest()


@dataclass(frozen=True)
class Partitions:
    """A folder of Parquet files with the columns x and y."""

    folder: Path

    def path(self, index: int) -> Path:
        """Return where a partition is, or will be."""
        return self.folder / f"part-{index:06d}.parquet"

    def digest(self, index: int, rows: int) -> str | None:
        """Return the digest of a partition that is whole, in its place and of so many rows; else None."""
        import pyarrow.parquet as pq
        from pyarrow import ArrowException

        try:
            table = pq.read_table(self.path(index), columns=["x", "y"])
        except (OSError, ArrowException, KeyError):
            return None
        about = table.schema.metadata or {}
        said, place = (about.get(key, b"").decode() for key in (_DIGEST, _PLACE))
        points = np.stack([table[name].to_numpy() for name in ("x", "y")], -1)
        whole = len(points) == rows and digest_of(points) == said
        return said if whole and place == self._place(index) else None

    def write(self, index: int, points: np.ndarray) -> str:
        """Write a partition (n, 2) whole, with its digest, which is returned. Raises OSError."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        digest = digest_of(points)
        table = pa.table({"x": points[:, 0], "y": points[:, 1]})
        with atomic.whole(self.path(index), versioned=False) as draft:
            about = {_DIGEST: digest, _PLACE: self._place(index)}
            pq.write_table(table.replace_schema_metadata(about), draft)
        return digest

    def tidy(self) -> None:
        """Remove the drafts of processes that have ended."""
        atomic.sweep(self.folder, depth=0)

    def _place(self, index: int) -> str:
        # The folder is named by all that the points depend on but their index.
        return f"{self.folder.name}/{index}"


class PartitionsDataset(AbstractDataset[None, Partitions]):
    """A place for partitions: loading reads none."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._folder = Path(filepath)
        self.metadata = metadata

    def load(self) -> Partitions:
        """Return the place."""
        return Partitions(self._folder)

    def save(self, data: None) -> None:  # noqa: ARG002 - Kedro's signature
        """Refuse: workers write their partitions themselves."""
        raise DatasetError("Partitions are written one by one.")

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._folder}
