"""Ingest: find the shape, fit its normaliser."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pointillist import shapes
from pointillist.parameters import Data


def collect_points(raw_shape: pd.DataFrame) -> pd.DataFrame:
    """Keep the shape's points as they are, in their original coordinates: columns x and y."""
    return raw_shape[["x", "y"]].astype("float64").reset_index(drop=True)


def fit_normalizer(shape_points: pd.DataFrame, data: Data) -> dict[str, Any]:
    """Find the centre and scale that standardise the points: mean 0, deviation 1 on each axis."""
    return shapes.Normalizer.fit(shape_points.to_numpy(), data.center, data.scale).to_dict()
