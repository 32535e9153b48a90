"""Tables and figures as files, and as Kedro-Viz shows them."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
from kedro.io.core import DatasetError
from matplotlib.figure import Figure
from PIL import Image

from pointillist.datasets import CompleteCSVDataset, FigureDataset, ParquetDataset

TABLE = pd.DataFrame({"x": [0.1, 1 / 3, np.pi], "y": [-1e-300, 0.0, 1e300]})


@pytest.mark.parametrize("kind", [ParquetDataset, CompleteCSVDataset])
def test_a_table_is_read_as_it_was_written(tmp_path, kind):
    dataset = kind(filepath=str(tmp_path / "table"))
    assert not dataset.exists()
    dataset.save(TABLE)
    assert dataset.exists()
    pd.testing.assert_frame_equal(dataset.load(), TABLE, check_exact=True)
    shown = dataset.preview(nrows=2)
    assert shown["columns"] == ["x", "y"]
    assert shown["data"] == TABLE.head(2).to_numpy().tolist()


def test_parquet_keeps_where_points_come_from(tmp_path):
    dataset = ParquetDataset(filepath=str(tmp_path / "table.parquet"))
    points = TABLE.copy()
    points.attrs["origin"] = {"text": "cat", "shape_file": None}
    dataset.save(points)
    assert dataset.load().attrs == points.attrs


def test_a_csv_that_was_cut_off_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    dataset = CompleteCSVDataset(filepath=str(path))
    dataset.save(TABLE)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DatasetError, match="in the middle of a line"):
        dataset.load()


def test_a_figure_is_a_png_that_kedro_viz_shows(tmp_path):
    path = tmp_path / "figure.png"
    figure = Figure(figsize=(2, 1), dpi=50)
    dataset = FigureDataset(filepath=str(path))
    dataset.save(figure)
    assert Image.open(path).size == (100, 50)
    shown = Image.open(io.BytesIO(base64.b64decode(dataset.preview())))
    assert (shown.format, shown.size) == ("PNG", (100, 50))
