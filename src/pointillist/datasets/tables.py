"""Tables as files.

Those of kedro-datasets would do, but none of them is imported without all the others, and SQLAlchemy
with them: a sixth of the way to the first step of a training.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io.core import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview


class _TableDataset(AbstractDataset[pd.DataFrame, pd.DataFrame]):
    """A local file with one table, whose first rows Kedro-Viz shows."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata
        self._path = Path(filepath)

    @abstractmethod
    def load(self) -> pd.DataFrame:
        """Read the table."""

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows."""
        return self.load().head(nrows).to_dict(orient="split")

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}


class ParquetDataset(_TableDataset):
    """A table as Parquet, its attributes included."""

    def load(self) -> pd.DataFrame:
        """Read the table."""
        return pd.read_parquet(self._path)

    def save(self, data: pd.DataFrame) -> None:
        """Write the table."""
        data.to_parquet(self._path)


class CompleteCSVDataset(_TableDataset):
    """A table as CSV without an index, each line of which must be complete."""

    def load(self) -> pd.DataFrame:
        """Read the table. Raises DatasetError if the file ends in the middle of a line."""
        if not self._path.read_bytes().endswith(b"\n"):
            raise DatasetError("it ends in the middle of a line")
        return pd.read_csv(self._path)

    def save(self, data: pd.DataFrame) -> None:
        """Write the table."""
        data.to_csv(self._path, index=False)
