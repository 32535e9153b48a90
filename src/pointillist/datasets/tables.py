"""Tables, written whole or not at all."""

from kedro_datasets import pandas

from pointillist.datasets.whole import Whole


class CSVDataset(Whole, pandas.CSVDataset):
    """A table as CSV."""


class ParquetDataset(Whole, pandas.ParquetDataset):
    """A table as Parquet."""
