"""The figure of the table of samplers: quality against function evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from pointillist.rendering import style
from pointillist.rendering.figures import headline

if TYPE_CHECKING:
    import pandas as pd

NEAR = 1.5
"""Times its floor up to which a sampler's distance counts as near."""

_PANELS = {
    "exact": "exact denoiser: the solver's error alone",
    "trained": "trained denoiser: the network's error too",
}
_MARKERS = "os^DvxP"


def sampler_curves(table: pd.DataFrame) -> Figure:
    """Draw each sampler's sw2 over its floor against function evaluations, both on log axes.

    Parameters
    ----------
    table : DataFrame
        Columns sampler, denoiser (exact or trained), nfe, sw2 and sw2_floor.
    """
    table = table.assign(times=table["sw2"] / table["sw2_floor"])
    names = list(table["sampler"].unique())
    figure = style.new_figure(1500, 780)
    known = table["times"][np.isfinite(table["times"])]
    window = (
        (table["nfe"].min() / 1.15, table["nfe"].max() * 1.15),
        (min(0.85, known.min() / 1.05), max(2.0, known.max()) * 1.15),
    )
    for k, (denoiser, words) in enumerate(_PANELS.items()):
        left = 0.07 + 0.402 * k
        axes = style.plot_axes(figure, (left, 0.15, 0.362, 0.66))
        _scale(axes, *window, sorted(table["budget"].unique()))
        axes.axhline(1, color=style.INK, linewidth=1.2, zorder=1)
        # Where two coincide, as Euler and DDIM do, the dashed one lies above the solid one.
        for name in reversed(names):
            _curve(axes, table[(table["sampler"] == name) & (table["denoiser"] == denoiser)], names)
        style.write(figure, left + 0.181, 0.835, words, ha="center")
        x = left + 0.181
        style.write(figure, x, 0.06, "function evaluations", colour=style.FAINT_INK, ha="center")
    style.write(figure, 0.018, 0.835, "× floor", colour=style.FAINT_INK)
    _legend(figure, names)
    headline(figure, *_finding(table))
    return figure


def _look(name: str, names: list[str]) -> dict[str, Any]:
    """Return colour, marker and line of a sampler: any one of the three tells it from the others."""
    place = names.index(name)
    return {
        "color": style.PALETTE(place / max(1, len(names) - 1)),
        "marker": _MARKERS[place % len(_MARKERS)],
        "linestyle": "-" if place % 2 == 0 else "--",
        "linewidth": 1.4,
        "markersize": 5,
    }


def _curve(axes: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    if len(rows):
        axes.plot(rows["nfe"], rows["times"], **_look(rows["sampler"].iloc[0], names))


def _scale(
    axes: Axes, across: tuple[float, float], up: tuple[float, float], budgets: list[int]
) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set(xlim=across, ylim=up)
    axes.xaxis.set_major_locator(FixedLocator(budgets))
    axes.yaxis.set_major_locator(
        FixedLocator([d * 10.0**p for p in range(-1, 6) for d in (1, 2, 5)])
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _legend(figure: Figure, names: list[str]) -> None:
    axes = figure.add_axes((0.85, 0.15, 0.03, 0.66), facecolor="none")
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    for k, name in enumerate([*names, "floor"]):
        y = 0.9 - 0.085 * k
        look = _look(name, names) if name in names else {"color": style.INK, "linewidth": 1.2}
        axes.plot([0, 0.5, 1], [y, y, y], markevery=[1], **look)
        style.write(figure, 0.887, 0.15 + 0.66 * y, name, size=style.SMALL, va="center")


def _finding(table: pd.DataFrame) -> tuple[str, str]:
    subtitle = (
        "Sliced Wasserstein distance to the truth, as multiple of what a fresh draw of it scores"
    )
    near = table[(table["denoiser"] == "trained") & (table["times"] <= NEAR)]
    if near.empty:
        return f"No sampler comes within {NEAR:g} times the floor", subtitle
    fewest = near[near["nfe"] == near["nfe"].min()]
    best = fewest.loc[fewest["times"].idxmin()]
    title = (
        f"{best['sampler']} needs the fewest evaluations: {best['nfe']} take it to "
        f"{best['times']:.2f} times the floor"
    )
    return title, subtitle
