"""The sources of shapes as Kedro datasets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from kedro.io.core import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from pointillist import shapes
from pointillist.shapes.config import Source
from pointillist.shapes.materials import Material


class ShapeDataset(AbstractDataset[None, Material]):
    """What a name, file or word stands for, read but not yet placed as points. Read only."""

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
        """Take the name, the folder of own shapes (`filepath`), perhaps a file or a word."""
        self._shape, self._shape_file, self._folder = shape, shape_file, Path(filepath)
        self._text, self._max_megabytes = text, max_megabytes
        self.metadata = metadata

    def load(self) -> Material:
        """Find and read the shape. Raises PointillistError if it can't be."""
        origin = shapes.find(self._shape, self._folder, self._shape_file, self._text)
        return shapes.read(origin, self._max_megabytes)

    def save(self, data: None) -> None:  # noqa: ARG002 - Kedro's signature
        """Refuse: a shape is somebody's own."""
        raise DatasetError("Shapes are read only. Save points to a CSV file of your own.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {
            "shape": self._shape,
            "shape_file": self._shape_file,
            "text": self._text,
            "folder": self._folder,
        }

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows for Kedro-Viz, placed with the default options."""
        return TablePreview(self.load().place(Source()).head(nrows).to_dict(orient="split"))


class ShapesDataset(AbstractDataset[None, dict[str, Callable[[], Material]]]):
    """Every shape that has a name: one's own files in `filepath` and what is built in. Read only."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Take the folder of own shapes."""
        self._folder = Path(filepath)
        self.metadata = metadata

    def load(self) -> dict[str, Callable[[], Material]]:
        """Return what reads each, by name."""
        found = shapes.listing(self._folder)
        return {origin.name: partial(shapes.read, origin) for origin in found}

    def save(self, data: None) -> None:  # noqa: ARG002 - Kedro's signature
        """Refuse: a shape is somebody's own."""
        raise DatasetError("Shapes are read only. Save points to a CSV file of your own.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"folder": self._folder}
