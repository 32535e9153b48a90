"""What the network knows: scores and errors on a grid, the ODE's density, and the ways of points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure

from pointillist.rendering import style
from pointillist.rendering.figures import LEFT, RIGHT, headline
from pointillist.rendering.style import Points

_INKS = LinearSegmentedColormap.from_list("inks", [style.PAPER, "#8f93a6", style.INK])
_HEAT = LinearSegmentedColormap.from_list("heat", [style.PAPER, "#f2b25c", "#c3306f", "#2a0f4d"])
_SIDES = LinearSegmentedColormap.from_list("sides", ["#2f6f9f", style.PAPER, "#c3306f"])
_ARROWS = 19


@dataclass(frozen=True)
class Plane:
    """A field on a grid (rows, columns), rows upwards, at one noise ratio."""

    noise_ratio: float
    exact: Points
    """(rows, columns, 2) arrows."""
    learned: Points
    """(rows, columns, 2)."""
    error: Points
    """(rows, columns)."""
    log_density: Points
    """(rows, columns)."""
    edge: float
    """Log-density above which 99% of the truth lie."""


def score_fields(planes: Sequence[Plane], window: style.Limits, note: str = "") -> Figure:
    """Draw the exact and the learned score and the denoiser's error, a column for each noise level.

    Parameters
    ----------
    planes : sequence
        From coarse to fine.
    window : Limits
        What the grids span.
    note : str
        Said below the title.
    """
    width, head, foot, gap = 1500, 112, 40, 8
    column = (0.905 - LEFT) * width / len(planes)
    tall = round(column * float(np.clip(window.aspect, 0.5, 1.4)))
    height = head + 3 * (tall + gap) + foot
    figure = style.new_figure(width, height)
    greatest = max(1e-9, *(float(plane.error.max()) for plane in planes))
    heat = LogNorm(greatest / 1e3, greatest)
    image = None
    for k, plane in enumerate(planes):
        for row, words in enumerate(("exact score", "learned score", "error of D")):
            box = (
                LEFT + k * column / width + 0.003,
                (foot + (2 - row) * (tall + gap)) / height,
                column / width - 0.006,
                tall / height,
            )
            axes = style.picture(figure, box, window)
            if row < 2:
                _arrows(axes, plane, (plane.exact, plane.learned)[row], window)
            else:
                image = _spread(axes, np.maximum(plane.error, heat.vmin or 0), window, _HEAT, heat)
                _edge(axes, plane, window)
            if k == 0:
                text = style.write(
                    figure, 0.018, box[1] + box[3] / 2, words, colour=style.FAINT_INK, va="center"
                )
                text.set_rotation(90)
        x = LEFT + (k + 0.5) * column / width
        ratio = f"σ/α = {style.ratio_text(plane.noise_ratio)}"
        style.write(figure, x, 0.35 * foot / height, ratio, colour=style.FAINT_INK, ha="center")
    bar = figure.add_axes((0.925, foot / height, 0.012, tall / height))
    _colour_bar(figure, image, bar)
    worst = max(planes, key=_mean_error)
    ratio = style.ratio_text(worst.noise_ratio)
    mean = _mean_error(worst)
    headline(
        figure,
        f"Where the data is, D is furthest off at σ/α = {ratio}: by {mean:.2g} on average",
        "Arrows: the score times σ. Below: |D - D*|; the line encloses 99% of the truth at this noise. "
        + note,
    )
    return figure


def ode_density(
    exact: Points,
    learned: Points,
    window: style.Limits,
    *,
    noise_ratio: float,
    divergence: float,
    masses: tuple[float, float],
    note: str = "",
) -> Figure:
    """Draw the truth's density (rows, columns), the probability-flow ODE's, and how they differ.

    Parameters
    ----------
    exact, learned : (rows, columns)
        Densities at `noise_ratio`, on the same grid over `window`.
    divergence : float
        KL between them, nats.
    masses : pair
        What of each lies on the grid.
    note : str
        Said below the title.
    """
    width, head, foot, side = 1500, 130, 56, 0.285
    tall = round(side * width * float(np.clip(window.aspect, 0.6, 1.3)))
    height = head + tall + foot
    figure = style.new_figure(width, height)
    scale = Normalize(0, float(np.sqrt(exact.max())))
    least = 1e-3 * float(exact.max())
    ratio = np.log(np.maximum(learned, least) / np.maximum(exact, least))
    spread = max(0.05, float(np.quantile(np.abs(ratio[exact > least]), 0.995)))
    panels = (
        ("the truth", np.sqrt(exact), _INKS, scale),
        ("the network's ODE", np.sqrt(learned), _INKS, scale),
        (f"log ratio, ±{spread:.2g}", ratio, _SIDES, TwoSlopeNorm(0, -spread, spread)),
    )
    for k, (words, values, colours, norm) in enumerate(panels):
        box = (LEFT + k * (side + 0.0325), foot / height, side, tall / height)
        _spread(style.picture(figure, box, window), values, window, colours, norm)
        x = box[0] + side / 2
        style.write(
            figure, x, foot / 2 / height, words, colour=style.FAINT_INK, ha="center", va="center"
        )
    at = style.ratio_text(noise_ratio)
    headline(
        figure,
        f"KL(truth ‖ ODE) is {divergence:.2g} nats at σ/α = {at}",
        f"Density of the probability-flow ODE by the change of variables; {masses[1]:.3f} of it and "
        f"{masses[0]:.3f} of the truth lie on the grid. One colour scale. {note}".rstrip(),
    )
    return figure


@dataclass(frozen=True)
class Ways:
    """The ways (steps, n, 2) of n points from noise to shape."""

    name: str
    states: Points


def trajectories(panels: Sequence[Ways], truth: Points, note: str = "") -> Figure:
    """Draw the ways of points from noise, faint, to where they end, coloured left to right.

    Parameters
    ----------
    panels : sequence
        One panel each.
    truth : (M, 2)
        Anchors, drawn faintly behind.
    note : str
        Said below the title.
    """
    width, head, foot = 1500, 130, 56
    side = (RIGHT - LEFT) / len(panels)
    windows = [
        style.limits_of(
            truth, style.limits_of(ways.states.reshape(-1, 2), margin=0, outliers=0.003).corners
        )
        for ways in panels
    ]
    tall = round(side * width)
    height = head + tall + foot
    figure = style.new_figure(width, height)
    bent = []
    for k, (ways, window) in enumerate(zip(panels, windows, strict=True)):
        box = (LEFT + k * side + 0.004, foot / height, side - 0.008, tall / height)
        axes = style.picture(figure, box, window)
        style.paint_truth(axes, truth, side * width / style.DPI)
        colours = style.colours_of(ways.states[-1])
        lines = LineCollection(list(ways.states.swapaxes(0, 1)), colors=colours, linewidths=0.6)
        lines.set_alpha(0.55)
        axes.add_collection(lines)
        style.paint(axes, ways.states[-1], colours, size=7)
        bent.append(_bend(ways.states))
        words = f"{ways.name}: {bent[-1]:.2f}"
        label = style.write(
            figure,
            box[0] + box[2] / 2,
            foot / 2 / height,
            words,
            colour=style.FAINT_INK,
            ha="center",
            va="center",
        )
        style.shrink(label, side)
    n = panels[0].states.shape[1]
    straightest = min(range(len(panels)), key=lambda k: bent[k])
    headline(
        figure,
        f"The ways of {n} points from noise to shape; straightest: {panels[straightest].name}",
        "The probability-flow ODE. Colours: where a point ends, left to right. Numbers: length over that "
        f"of straight lines. {note}".rstrip(),
    )
    return figure


def _bend(states: Points) -> float:
    """Return the mean length of ways (steps, n, 2) over that of straight lines between their ends."""
    lengths = np.linalg.norm(np.diff(states, axis=0), axis=-1).sum(0)
    straight = np.linalg.norm(states[-1] - states[0], axis=-1)
    return float(lengths.sum() / straight.sum())


def _mean_error(plane: Plane) -> float:
    """Return the mean error where the data is; on a thin shape that may be one cell of the grid."""
    edge = min(plane.edge, float(plane.log_density.max()))
    return float(plane.error[plane.log_density >= edge].mean())


def _arrows(axes: Axes, plane: Plane, arrows: Points, window: style.Limits) -> None:
    density = np.exp(plane.log_density - plane.log_density.max())
    _spread(axes, np.sqrt(density), window, _INKS, Normalize(0, 2.2))
    rows, columns = arrows.shape[:2]
    some = np.linspace(0, columns - 1, _ARROWS + 2).round().astype(int)[1:-1]
    steps = np.linspace(0, rows - 1, round(_ARROWS * window.aspect) + 2).round().astype(int)[1:-1]
    x = window.left + (some + 0.5) * (window.right - window.left) / columns
    y = window.bottom + (steps + 0.5) * (window.top - window.bottom) / rows
    chosen = arrows[np.ix_(steps, some)]
    length = np.linalg.norm(chosen, axis=-1, keepdims=True)
    # All arrows show their direction; beyond a length of 2 they grow no more.
    shown = chosen / np.maximum(length, 1e-12) * np.tanh(length / 2) * (x[1] - x[0])
    axes.quiver(
        x,
        y,
        shown[..., 0],
        shown[..., 1],
        color=style.ACCENT,
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.006,
        headwidth=4,
        headlength=4.5,
        minlength=0.5,
    )


def _spread(
    axes: Axes,
    values: Points,
    window: style.Limits,
    colours: LinearSegmentedColormap,
    norm: Normalize,
) -> object:
    extent = (window.left, window.right, window.bottom, window.top)
    limits = axes.get_xlim(), axes.get_ylim()
    image = axes.imshow(
        values,
        origin="lower",
        extent=extent,
        cmap=colours,
        norm=norm,
        interpolation="bilinear",
        aspect="auto",
    )
    axes.set(xlim=limits[0], ylim=limits[1])
    return image


def _edge(axes: Axes, plane: Plane, window: style.Limits) -> None:
    rows, columns = plane.log_density.shape
    x = window.left + (np.arange(columns) + 0.5) * (window.right - window.left) / columns
    y = window.bottom + (np.arange(rows) + 0.5) * (window.top - window.bottom) / rows
    axes.contour(
        x, y, plane.log_density, levels=[plane.edge], colors=style.INK, linewidths=0.6, alpha=0.7
    )


def _colour_bar(figure: Figure, image: object, axes: Axes) -> None:
    bar = figure.colorbar(image, cax=axes)  # type: ignore[arg-type]
    bar.outline.set_visible(False)
    axes.tick_params(
        which="both",
        labelsize=style.SMALL,
        labelcolor=style.FAINT_INK,
        labelfontfamily=style.FONT,
        length=0,
    )
