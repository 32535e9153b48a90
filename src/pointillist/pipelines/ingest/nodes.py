"""Ingest: find the shape, fit its normaliser."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from pointillist import diffusion, shapes
from pointillist.diffusion.config import Data
from pointillist.errors import PointillistError
from pointillist.shapes.config import Source
from pointillist.shapes.materials import Material
from pointillist.shapes.points import flatness, hold_out, split

logger = logging.getLogger(__name__)


def collect_points(
    raw_shape: Material,
    source: Source,
    data: Data,
    seed: int,
    shape_file: str | None,
    text: str | None,
    max_megabytes: float,
) -> pd.DataFrame:
    """Place the shape's points, or keep those that it has: columns x, y and perhaps weight, or Gaussians.

    With data.bandwidth=auto each point becomes a Gaussian as wide as the leave-one-out likelihood has it,
    and the table's attribute `leave_one_out` is the curve of that.

    Where they come from goes with them, as the attribute `origin`.
    """
    points = raw_shape.place(source)
    if data.held_out:
        if "xx" in points:
            raise PointillistError(
                "data.held_out has no effect on a formula, which is a density of its own. Hold out some "
                "of its draws: source.sampled=N"
            )
        points = hold_out(points, data.held_out, seed, "the shape")
    if "xx" in points:
        if data.bandwidth != Data().bandwidth:
            logger.warning(
                "data.bandwidth has no effect on a formula, which is as wide as source.noise; it has on "
                "points that are drawn from it: source.sampled=N."
            )
    elif data.bandwidth == "auto":
        points = _widened(points, data, seed)
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


def _widened(table: pd.DataFrame, data: Data, seed: int) -> pd.DataFrame:
    """Return the points of a table as Gaussians of the bandwidth that they ask for."""
    import numpy as np
    import torch

    points, weights, _ = split(table)
    normalizer = shapes.Normalizer.fit(points, data.center, data.scale, weights)
    choice = diffusion.bandwidths.choose(
        torch.from_numpy(normalizer.apply(points)),
        None if weights is None else torch.from_numpy(weights),
        diffusion.devices.generator(seed, "bandwidth"),
    )
    logger.info("Leave-one-out likelihood: greatest at data.bandwidth=%.3g.", choice.bandwidth)
    spread = (choice.bandwidth * np.array(normalizer.scale)) ** 2
    widened = table.assign(xx=spread[0], xy=0.0, yy=spread[1])
    widened.attrs["leave_one_out"] = choice.to_dict()
    return widened
