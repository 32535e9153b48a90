"""Pictures of a sweep: its metric against what was varied, and what was painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pointillist.rendering import style
from pointillist.rendering.style import LEFT, RIGHT, Points, headline

_WIDTH = 1500


_FEW = 8  # values that a panel's ticks can name


@dataclass(frozen=True)
class Row:
    """What one configuration painted after K numbers of steps, from the same noise."""

    words: str
    clouds: Points
    """(K, n, 2), in the coordinates of pictures."""
    steps: Sequence[int]
    truth: Points


def metric_against(table: pd.DataFrame, varied: Sequence[str], metric: str) -> Figure:
    """Draw the metric of every configuration against each parameter that was varied.

    Parameters
    ----------
    table
        As `sweeps.ranking.ranked` returns it.
    varied : sequence
        Names of its columns that are parameters.
    metric : str
        That it is ranked by.
    """
    names = [name for name in varied if name in table.columns and table[name].nunique() > 1]
    names = names[:6] or list(varied[:1])
    across = min(3, len(names))
    down = -(-len(names) // across)
    height = 110 + 420 * down
    figure = style.new_figure(_WIDTH, height)
    values = table[metric].to_numpy(float)
    spread = table[f"{metric}_std"].fillna(0.0).to_numpy(float)
    floor = table.get(f"{metric}_floor")
    for k, name in enumerate(names):
        left = LEFT + 0.045 + (k % across) * (RIGHT - LEFT) / across
        bottom = 1 - (130 + 420 * (k // across) + 330) / height
        box = (left, bottom, (RIGHT - LEFT) / across - 0.07, 320 / height)
        axes = style.plot_axes(figure, box)
        _against(axes, table[name], values, spread)
        if floor is not None and np.isfinite(floor).any():
            axes.axhline(float(floor.mean()), color=style.FAINT_INK, linewidth=1, linestyle=":")
    best = table.iloc[0]
    settings = ", ".join(f"{name.rsplit('.', 1)[-1]} = {_shown(best[name])}" for name in names)
    headline(
        figure,
        f"{metric} is best, {best[metric]:.3g}, at {settings}",
        "Each dot a configuration, the line its standard deviation over seeds"
        + ("; dotted: the floor." if floor is not None else "."),
    )
    return figure


def _against(axes: Axes, parameter: pd.Series, values: Points, spread: Points) -> None:
    """Draw values with their spread against a parameter, on scales that suit both."""
    places, labels, logarithmic = _places(parameter)
    axes.errorbar(
        places,
        values,
        spread,
        fmt="o",
        color=style.ACCENT,
        ecolor=style.RULE,
        markersize=5,
        elinewidth=1,
    )
    if logarithmic:
        axes.set_xscale("log")
    elif labels is None and len(set(places)) <= _FEW:
        axes.set_xticks(sorted(set(places)))
    if labels is not None:
        axes.set_xticks(np.arange(len(labels)), labels)
        axes.set_xlim(-0.5, len(labels) - 0.5)
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() > 20 * finite.min():
        axes.set_yscale("log")
    axes.set_title(
        str(parameter.name),
        loc="left",
        fontsize=style.LABEL,
        family=style.FONT,
        color=style.INK,
        parse_math=False,
    )


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def parallel(table: pd.DataFrame, varied: Sequence[str], metric: str) -> Figure:
    """Draw every configuration as a line through its parameters to its metric (parallel coordinates)."""
    names = [*(name for name in varied if table[name].nunique() > 1), metric]
    figure = style.new_figure(_WIDTH, 620)
    axes = style.plot_axes(figure, (LEFT + 0.04, 0.13, RIGHT - LEFT - 0.1, 0.62))
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_yticks([])
    columns = [_heights(table[name]) for name in names]
    order = np.argsort(-table["rank"].to_numpy())
    shades = style.PALETTE(np.linspace(0.85, 0.0, len(table)))
    for row in order:
        rank = int(table["rank"].iloc[row])
        axes.plot(
            range(len(names)),
            [heights[row] for heights, _ in columns],
            color=shades[len(table) - rank],
            linewidth=2.4 if rank == 1 else 1.0,
            alpha=1.0 if rank == 1 else 0.6,
        )
    for k, (name, (_, ends)) in enumerate(zip(names, columns, strict=True)):
        _axis(axes, k, name, ends)
    axes.set(xlim=(-0.2, len(names) - 0.6), ylim=(-0.04, 1.04))
    axes.set_xticks([])
    headline(
        figure,
        f"{len(table)} configurations; the best is drawn bold",
        f"Each line a configuration, from its parameters to its {metric}; the darker, the better.",
    )
    return figure


def _axis(axes: Axes, k: int, name: str, ends: Sequence[tuple[float, str]]) -> None:
    """Draw the k-th of the parallel axes, with values at some heights."""
    axes.axvline(k, color=style.RULE, linewidth=0.8, zorder=0)
    for height, words in ends:
        axes.annotate(
            words,
            (k, height),
            (6, 8),
            textcoords="offset points",
            zorder=5,
            fontsize=style.SMALL,
            color=style.FAINT_INK,
            va="center",
            family=style.FONT,
            bbox={"facecolor": style.PAPER, "edgecolor": "none", "pad": 1, "alpha": 0.85},
        )
    axes.annotate(
        name,
        (k, -0.09),
        ha="center",
        fontsize=style.LABEL,
        color=style.INK,
        annotation_clip=False,
        family=style.FONT,
    )


def samples_grid(rows: Sequence[Row], name: str) -> Figure:
    """Draw what each configuration paints, a row each, at moments of its training from left to right."""
    across = max(len(row.clouds) for row in rows)
    side, label, head = 190, 34, 100
    figure_width = max(900, round(side * across / (RIGHT - LEFT)))
    side = round((RIGHT - LEFT) * figure_width / across)
    height = head + len(rows) * (side + label) + 12
    figure = style.new_figure(figure_width, height)
    for k, row in enumerate(rows):
        window = style.limits_of(row.truth, margin=0.12)
        top = head + k * (side + label)
        style.write(figure, LEFT, 1 - (top + 0.8 * label) / height, row.words, size=style.SMALL)
        colours = style.colours_of(row.clouds[-1], row.truth)
        for column, (cloud, step) in enumerate(zip(row.clouds, row.steps, strict=True)):
            left = LEFT + column * side / figure_width
            box = (left, 1 - (top + label + side) / height, side / figure_width, side / height)
            axes = style.picture(figure, box, window)
            inches = side / style.DPI
            style.paint_truth(axes, row.truth, inches)
            style.paint(axes, cloud, colours, size=style.dot_size(len(cloud), inches))
            style.write(
                figure,
                left + 0.98 * side / figure_width,
                1 - (top + label + side) / height,
                f"{step:,}",
                size=style.SMALL,
                colour=style.FAINT_INK,
                ha="right",
            )
    headline(
        figure,
        f"{name}: what is painted after so many steps",
        "From the same noise; the number is that of steps of training; the truth faintly behind.",
    )
    return figure


def _places(values: pd.Series) -> tuple[Points, list[str] | None, bool]:
    """Return where values stand on an axis, names of those that are none, and if it is logarithmic."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        numbers = values.to_numpy(float)
        logarithmic = bool((numbers > 0).all() and numbers.max() > 8 * numbers.min())
        return numbers, None, logarithmic
    names = list(dict.fromkeys(values.astype(str)))
    return np.array([names.index(str(value)) for value in values], float), names, False


def _heights(values: pd.Series) -> tuple[Points, list[tuple[float, str]]]:
    """Return the heights of values in [0, 1], and what to write at some of them."""
    places, names, logarithmic = _places(values)
    places = np.log(places) if logarithmic else places
    finite = places[np.isfinite(places)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    heights = (places - low) / (high - low) if high > low else np.full(len(places), 0.5)
    if names is not None:
        known = {str(v): float(h) for v, h in zip(values, heights, strict=True)}
        return heights, [(known[name], name) for name in names]
    words = {float(h): f"{v:.3g}" for v, h in zip(values, heights, strict=True) if np.isfinite(h)}
    ends = {min(words), max(words)} if words else set()
    return heights, [(h, words[h]) for h in sorted(ends)]
