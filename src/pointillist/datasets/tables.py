"""Tables as CSV files that are complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io.core import DatasetError
from kedro_datasets import pandas


class CompleteCSVDataset(pandas.CSVDataset):
    """A table as CSV without an index, each line of which must be complete."""

    def __init__(self, *, filepath: str, **options: Any) -> None:
        super().__init__(filepath=filepath, save_args={"index": False}, **options)
        self._path = Path(filepath)

    def load(self) -> pd.DataFrame:
        """Read the table. Raises DatasetError if the file ends in the middle of a line."""
        if not self._path.read_bytes().endswith(b"\n"):
            raise DatasetError("it ends in the middle of a line")
        table: pd.DataFrame = super().load()
        return table
