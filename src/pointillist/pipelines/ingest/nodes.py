"""Ingest: find the shape, fit its normaliser."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from pointillist import shapes
from pointillist.diffusion.config import Data
from pointillist.shapes.config import Source
from pointillist.shapes.materials import Material
from pointillist.shapes.points import flatness, split

logger = logging.getLogger(__name__)


def collect_points(
    raw_shape: Material,
    source: Source,
    shape_file: str | None,
    text: str | None,
    max_megabytes: float,
) -> pd.DataFrame:
    """Place the shape's points, or keep those that it has: columns x, y and perhaps weight, or Gaussians.

    Where they come from goes with them, as the table's attribute `origin`.
    """
    points = raw_shape.place(source)
    points.attrs["origin"] = {
        "shape_file": shape_file,
        "text": text,
        "max_megabytes": max_megabytes,
        "source": source.model_dump(mode="json"),
        "content": raw_shape.content,
    }
    if "xx" not in points and (oddity := flatness(points)):
        logger.warning(oddity)
    return points


def fit_normalizer(shape_points: pd.DataFrame, data: Data) -> dict[str, Any]:
    """Find the centre and scale that standardise the points: mean 0, deviation 1 on each axis."""
    parts = split(shape_points)
    return shapes.Normalizer.fit(
        parts.points, data.center, data.scale, parts.weights, parts.covariances
    ).to_dict()
