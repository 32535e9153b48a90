"""Partitions of a large table, each written whole, so that a run that was stopped goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io.core import AbstractDataset, DatasetError

from pointillist.datasets import atomic

if TYPE_CHECKING:
    import numpy as np

_DIGEST = b"pointillist.digest"


@dataclass(frozen=True)
class Partitions:
    """A folder of Parquet files with the columns x and y."""

    folder: Path

    def path(self, index: int) -> Path:
        """Return where a partition is, or will be."""
        return self.folder / f"part-{index:06d}.parquet"

    def digest(self, index: int, rows: int) -> str | None:
        """Return the digest of a partition that is there and has so many rows."""
        import pyarrow.parquet as pq
        from pyarrow import ArrowException

        try:
            metadata = pq.read_metadata(self.path(index))
        except (OSError, ArrowException):
            return None
        found = (metadata.metadata or {}).get(_DIGEST)
        return found.decode() if found and metadata.num_rows == rows else None

    def write(self, index: int, points: np.ndarray, digest: str) -> None:
        """Write a partition (n, 2) whole, with its digest. Raises OSError."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table({"x": points[:, 0], "y": points[:, 1]})
        with atomic.whole(self.path(index), versioned=False) as draft:
            pq.write_table(table.replace_schema_metadata({_DIGEST: digest}), draft)


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
