"""A contact sheet: many shapes on one page, each beside what its model paints."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.figure import Figure

from pointillist.rendering import style
from pointillist.rendering.figures import LEFT, RIGHT, headline

_PANEL, _LABEL, _GAP, _HEAD = 168, 26, 14, 110
"""Pixels: side of a panel, height of a name, room between tiles, height of what stands above."""
_ACROSS = 12
"""Most panels side by side."""


def contact_sheet(
    shapes: Mapping[str, style.Points], samples: Mapping[str, style.Points]
) -> Figure:
    """Draw the points (n, 2) of every shape and, where there are any, samples of its model.

    With samples each tile is a pair, truth on the left; a shape without a model leaves the right empty.
    """
    names = [*shapes, *(name for name in samples if name not in shapes)]
    paired = 2 if samples else 1
    columns = _columns(len(names), _ACROSS // paired)
    rows = math.ceil(len(names) / columns)
    tile = paired * _PANEL + _GAP
    width = round((columns * tile - _GAP) / (RIGHT - LEFT))
    height = _HEAD + rows * (_PANEL + _LABEL + _GAP) + _GAP
    figure = style.new_figure(width, height)
    for k, name in enumerate(names):
        left = LEFT * width + (k % columns) * tile
        top = _HEAD + (k // columns) * (_PANEL + _LABEL + _GAP)
        clouds = [shapes.get(name), samples.get(name)][:paired]
        window = style.limits_of(*(c for c in clouds if c is not None), margin=0.04, outliers=0.002)
        for j, cloud in enumerate(clouds):
            if cloud is None:
                continue
            box = (
                (left + j * _PANEL) / width,
                1 - (top + _PANEL) / height,
                _PANEL / width,
                _PANEL / height,
            )
            axes = style.picture(figure, box, window)
            colours = style.colours_of(cloud) if j else style.INK
            size = min(style.dot_size(2 * len(cloud), _PANEL / style.DPI), 2.0)
            style.paint(axes, style.as_points(cloud, name), colours, size=size)
        label = style.write(
            figure,
            (left + paired * _PANEL / 2) / width,
            1 - (top + _PANEL + 0.55 * _LABEL) / height,
            name,
            size=style.SMALL,
            colour=style.INK if name in samples or paired == 1 else style.FAINT_INK,
            ha="center",
            va="center",
        )
        style.shrink(label, paired * _PANEL / width)
    headline(figure, *_words(len(names), len(samples)))
    return figure


def _columns(n: int, most: int) -> int:
    """Return how many of `n` tiles stand side by side: nearly `most`, with the fullest last row."""
    few = range(max(1, round(0.7 * most)), most + 1)
    return min(n, min(few, key=lambda columns: (-n % columns, -columns)))


def _words(n_shapes: int, n_models: int) -> tuple[str, str]:
    title = f"{n_shapes} shapes"
    if not n_models:
        return title, "The truth. Train one to see here what its model paints"
    return (
        f"{title}, {n_models} of them learnt",
        "The truth in ink; in colour, what a model paints out of noise",
    )
