"""Tables, written whole or not at all."""

from pathlib import Path

from kedro.io.core import DatasetError
from kedro_datasets import pandas
from pandas import DataFrame

from pointillist.datasets.whole import Whole


class CSVDataset(Whole, pandas.CSVDataset):
    """A table as CSV."""

    def load(self) -> DataFrame:
        """Read the table. Raises DatasetError if the file ends in the middle of a line."""
        if not Path(self._get_load_path()).read_bytes().endswith(b"\n"):
            raise DatasetError("it ends in the middle of a line")
        return super().load.__wrapped__(self)


class ParquetDataset(Whole, pandas.ParquetDataset):
    """A table as Parquet."""
