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


def collect_points(raw_shape: Material, source: Source) -> pd.DataFrame:
    """Place the shape's points, or keep those that it has: columns x, y and perhaps weight."""
    points = raw_shape.place(source)
    if oddity := flatness(points):
        logger.warning(oddity)
    return points


def fit_normalizer(shape_points: pd.DataFrame, data: Data) -> dict[str, Any]:
    """Find the centre and scale that standardise the points: mean 0, deviation 1 on each axis."""
    points, weights = split(shape_points)
    return shapes.Normalizer.fit(points, data.center, data.scale, weights).to_dict()
