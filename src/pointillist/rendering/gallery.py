"""A contact sheet: many shapes on one page, those with a model first, beside its samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pointillist.rendering import style

_WIDTH, _LABEL = 1800, 32  # px: of the sheet; height of a name
_PAIRS, _SINGLES = 5, 10
"""Pairs, and shapes without a model, side by side."""


def contact_sheet(
    shapes: Mapping[str, style.Points], pairs: Mapping[str, tuple[style.Points, style.Points]]
) -> Figure:
    """Draw the points (n, 2) of many shapes by name, in the order in which they are given.

    Parameters
    ----------
    shapes : mapping
        Points of each shape; left out where there is a pair.
    pairs : mapping
        Points that a model was trained on, and samples of it: they come first, side by side.
    """
    singles = {name: (cloud,) for name, cloud in shapes.items() if name not in pairs}
    parts: list[tuple[Mapping[str, Sequence[style.Points]], int]] = [
        (pairs, _columns(len(pairs), _PAIRS)),
        (singles, _columns(len(singles), _SINGLES)),
    ]
    parts = [(clouds, columns) for clouds, columns in parts if clouds]
    heights = [_height(clouds, columns) for clouds, columns in parts]
    figure = style.sheet(_WIDTH, sum(heights), *_words(len(singles), len(pairs)))
    blocks = figure.subfigures(len(parts), 1, height_ratios=heights, squeeze=False)[:, 0]
    for block, (clouds, columns) in zip(blocks, parts, strict=True):
        block.set_facecolor("none")
        panels = block.subplots(math.ceil(len(clouds) / columns), columns, squeeze=False)
        for axes in panels.flat[len(clouds) :]:
            axes.remove()
        for axes, (name, tile) in zip(panels.flat, clouds.items(), strict=False):
            _draw(axes, name, [style.as_points(cloud, name) for cloud in tile])
    return figure


def _draw(axes: Axes, name: str, clouds: Sequence[style.Points]) -> None:
    """Draw the truth in ink and, to its right, samples in colour; in a square each."""
    truth, *samples = clouds
    window = style.frame_of(truth, margin=0.08).reshaped(1.0)
    width = window.right - window.left
    style.bare(
        axes,
        style.Limits(window.left, window.right + width * len(samples), window.bottom, window.top),
    )
    side = _WIDTH / (2 * _PAIRS) / style.DPI
    size = min(style.dot_size(2 * len(truth), side), 2.0)
    style.paint(axes, truth, style.INK, size=size)
    words = name
    for cloud in samples:
        inside = cloud[~window.lies_outside(cloud)]
        words += f", {window.outside(cloud):,} outside" if len(inside) < len(cloud) else ""
        style.paint(
            axes, inside + np.array([width, 0.0]), style.colours_of(inside, truth), size=size
        )
    label = style.label(axes, words)
    label.set(fontsize=style.SMALL, color=style.INK if samples else style.FAINT_INK)


def _height(clouds: Mapping[str, Sequence[style.Points]], columns: int) -> int:
    """Return the pixels that rows of so many columns take."""
    squares = len(next(iter(clouds.values())))
    side = (style.RIGHT - style.LEFT) * _WIDTH / columns / squares
    return math.ceil(len(clouds) / columns) * (round(side) + _LABEL)


def _columns(n: int, most: int) -> int:
    """Return how many of `n` tiles stand side by side: nearly `most`, with the fullest last row."""
    few = range(max(1, round(0.7 * most)), most + 1)
    return min(few, key=lambda columns: (-n % columns, -columns))


def _words(n_singles: int, n_pairs: int) -> tuple[str, str]:
    title = f"{n_singles + n_pairs} shapes"
    if not n_pairs:
        return title, "The points of each. Train one, and samples of its model are shown here too."
    return (
        f"{title}, {n_pairs} of them with a model",
        "First those with a model: the points in ink, samples in colour.",
    )
