"""The source of a shape as a Kedro dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io.core import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from pointillist import shapes


class ShapeDataset(AbstractDataset[None, pd.DataFrame]):
    """The points of a shape by name or file: columns x and y, original coordinates. Read only."""

    def __init__(
        self,
        *,
        shape: str,
        filepath: str,
        shape_file: str | None = None,
        text: str | None = None,
        max_megabytes: float = 256.0,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Take the name, the folder of own shapes (`filepath`) and perhaps a file from anywhere."""
        self._shape, self._shape_file, self._folder = shape, shape_file, Path(filepath)
        self._text, self._max_megabytes = text, max_megabytes
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Find and read the shape. Raises PointillistError if it can't be."""
        return shapes.load(self._shape, self._shape_file, self._folder)

    def save(self, data: None) -> None:  # noqa: ARG002 - Kedro's signature
        """Refuse: a shape is somebody's own."""
        raise DatasetError("Shapes are read only. Save points to a CSV file of your own.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"shape": self._shape, "shape_file": self._shape_file, "folder": self._folder}

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows for Kedro-Viz."""
        return TablePreview(self.load().head(nrows).to_dict(orient="split"))
