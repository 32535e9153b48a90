"""What the network knows: scores and errors on a grid, the ODE's density, and trajectories of points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter

from pointillist.rendering import style
from pointillist.rendering.style import Points

_INKS = LinearSegmentedColormap.from_list("inks", [style.PAPER, "#8f93a6", style.INK])
_HEAT = LinearSegmentedColormap.from_list("heat", [style.PAPER, "#f2b25c", "#c3306f", "#2a0f4d"])
_SIDES = LinearSegmentedColormap.from_list("sides", ["#2f6f9f", style.PAPER, "#c3306f"])
_ARROWS = 19
_NUMBERS = "The probability-flow ODE. Numbers: length over that of straight lines."
_WHY_RECTIFIED = (
    "Rectified flow pairs noise and data at random: the lines cross, and their mean bends most."
)


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
    worst = max(planes, key=_mean_error)
    title = (
        f"Where the data is, D is furthest off at σ/α = {style.ratio_text(worst.noise_ratio)}: "
        f"by {_mean_error(worst):.2g} on average"
    )
    subtitle = (
        "Arrows: the score times σ. Below: |D - D*|; the line encloses 99% of the truth at this noise. "
        + note
    )
    sheet = style.panels(3, len(planes), window, title, subtitle, labels=1)
    panels = sheet.axes
    greatest = max(1e-9, *(float(plane.error.max()) for plane in planes))
    heat = LogNorm(greatest / 1e3, greatest)
    for plane, (exact, learned, error) in zip(planes, panels.T, strict=True):
        _arrows(exact, plane, plane.exact, window)
        _arrows(learned, plane, plane.learned, window)
        image = _spread(error, np.maximum(plane.error, heat.vmin or 0), window, _HEAT, heat)
        _edge(error, plane, window)
        style.label(error, f"σ/α = {style.ratio_text(plane.noise_ratio)}")
    for axes, words in zip(
        panels[:, 0], ("exact score", "learned score", "error of D"), strict=True
    ):
        style.label(axes, words, "y")
    bar = sheet.figure.colorbar(
        image, ax=panels[2, -1], format=FuncFormatter(lambda x, _: f"{x:g}")
    )
    bar.outline.set_visible(False)
    style.plain(bar.ax).tick_params(which="both", length=0)
    return sheet.figure


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
    title = f"KL(truth ‖ ODE) is {divergence:.2g} nats at σ/α = {style.ratio_text(noise_ratio)}"
    subtitle = (
        f"Density of the probability-flow ODE by the change of variables; {masses[1]:.3f} of it and "
        f"{masses[0]:.3f} of the truth lie on the grid. One colour scale. {note}".rstrip()
    )
    sheet = style.panels(1, 3, window, title, subtitle)
    scale = Normalize(0, float(np.sqrt(exact.max())))
    least = 1e-3 * float(exact.max())
    ratio = np.log(np.maximum(learned, least) / np.maximum(exact, least))
    spread = max(0.05, float(np.quantile(np.abs(ratio[exact > least]), 0.995)))
    drawn = (
        ("the truth", np.sqrt(exact), _INKS, scale),
        ("the network's ODE", np.sqrt(learned), _INKS, scale),
        (f"log ratio, ±{spread:.2g}", ratio, _SIDES, TwoSlopeNorm(0, -spread, spread)),
    )
    for axes, (words, values, colours, norm) in zip(sheet.axes[0], drawn, strict=True):
        _spread(axes, values, window, colours, norm)
        style.label(axes, words)
    return sheet.figure


@dataclass(frozen=True)
class Trajectories:
    """States (steps, n, 2) of n points on their way from noise to shape."""

    name: str
    states: Points


def trajectories(panels: Sequence[Trajectories], truth: Points, note: str = "") -> Figure:
    """Draw trajectories of points from noise, faint, to where they end, coloured left to right.

    Parameters
    ----------
    panels : sequence
        One panel each.
    truth : (M, 2)
        Anchors, drawn faintly behind.
    note : str
        Said below the title.
    """
    bends = [_bend(paths.states) for paths in panels]
    straightest, most_bent = (panels[int(k)].name for k in (np.argmin(bends), np.argmax(bends)))
    why = _WHY_RECTIFIED if "rectified flow" in most_bent else ""
    sheet = style.panels(
        1,
        len(panels),
        style.frame_of(truth, *(paths.states[0] for paths in panels)).reshaped(1.0),
        f"Trajectories of {panels[0].states.shape[1]} points from noise to shape; straightest: "
        f"{straightest}",
        " ".join(filter(None, (_NUMBERS, why, note))),
    )
    for axes, paths, bend in zip(sheet.axes[0], panels, bends, strict=True):
        style.paint_truth(axes, truth, sheet.side)
        colours = style.colours_of(paths.states[-1], truth)
        lines = LineCollection(list(paths.states.swapaxes(0, 1)), colors=colours, linewidths=0.6)
        lines.set_alpha(0.55)
        axes.add_collection(lines)
        style.paint(axes, paths.states[-1], colours, size=7)
        style.shrink(style.label(axes, f"{paths.name}: {bend:.2f}"), 0.9 / len(panels))
    return sheet.figure


def _bend(states: Points) -> float:
    """Return the mean length of paths (steps, n, 2) over that of straight lines between their ends."""
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
) -> AxesImage:
    limits = axes.get_xlim(), axes.get_ylim()
    image = axes.imshow(
        values,
        origin="lower",
        extent=(window.left, window.right, window.bottom, window.top),
        cmap=colours,
        norm=norm,
        interpolation="bilinear",
        aspect="equal",
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
