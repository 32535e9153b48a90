"""The two pictures of memorising.py: curves along training, and samples beside the training points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from pointillist.rendering import style

if TYPE_CHECKING:
    from benchmarks.common import Figures

_WIDEST, _COLOURS = 1200, 64


class Clouds(NamedTuple):
    """What one training leaves: points in its model coordinates, (n, 2) each."""

    training: style.Points
    samples: style.Points
    fresh: style.Points
    """Draws of the formula."""


def draw(figures: Figures, clouds: dict[str, Clouds], folder: Path) -> None:
    """Write `memorising.png` and `memorising_exact.png` into a folder."""
    _save(curves(figures["sampled"]), folder / "memorising.png")
    _save(exact(figures["exact"], clouds), folder / "memorising_exact.png")


def curves(runs: Figures) -> Figure:
    """Draw nats, loss and share memorised against steps, a line for each number of points."""
    figure = style.sheet(
        1500,
        460,
        "The fewer the points, the sooner a denoiser with sampled targets repeats them",
        "Draws of moons, one network; steps on log scale. Dots: where fresh draws of the formula were "
        "likeliest.",
    )
    panels = [style.plain(axes) for axes in figure.subplots(1, 3)]
    titles = (
        "nats of fresh draws beyond the entropy",
        "loss on the training points",
        "share of samples that repeat a point",
    )
    for axes, key, title in zip(panels, ("nats", "loss", "memorised"), titles, strict=True):
        axes.set_xscale("log")
        axes.set_xticks([10, 100, 1000], ["10", "100", "1,000"])
        style.label(axes, "training step")
        axes.set_title(title, fontsize=style.LABEL, color=style.INK, loc="left", family=style.FONT)
        for k, run in enumerate(runs.values()):
            _line(axes, run, key, style.PALETTE(k / (len(runs) - 1)))
    panels[0].set_yscale("log")
    panels[0].set_yticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
    panels[0].minorticks_off()
    floors = [run["fresh"] for run in runs.values()]
    panels[2].axhspan(min(floors), max(floors), color=style.GHOST, linewidth=0)
    panels[2].set_ylim(0, 1)
    style.note(panels[2], (1.0, min(floors) - 0.05), "fresh draws", of_data="y", ha="right")
    _legend(panels[0], runs)
    return figure


def _line(axes: Axes, run: Figures, key: str, colour: Any) -> None:
    rows = run["rows"]
    at, values = [row["step"] for row in rows], [row[key] for row in rows]
    axes.plot(at, values, color=colour, linewidth=1.6)
    best = int(np.argmin([row["nats"] for row in rows]))
    axes.plot(at[best], values[best], "o", color=colour, markersize=5)


def _legend(axes: Axes, runs: Figures) -> None:
    """Name the lines in the lower left corner, where no training is so soon."""
    for k, run in enumerate(runs.values()):
        colour = to_hex(style.PALETTE(k / (len(runs) - 1)))
        words = f"{run['n']:,} points"
        style.note(axes, (0.03, 0.32 - 0.07 * k), words, colour=colour, size=style.LABEL)


def exact(runs: Figures, clouds: dict[str, Clouds]) -> Figure:
    """Draw samples of exact targets in a part of the plane, for each width; and fresh draws."""
    first = next(iter(clouds.values()))
    (left, bottom), (right, top) = style.limits_of(first.fresh, margin=0.0).corners
    across, up = right - left, top - bottom
    window = style.Limits(
        left + 0.2 * across, left + 0.42 * across, bottom + 0.84 * up, bottom + 0.99 * up
    )
    shown = [
        (_title(name, runs[name]), cloud.training, cloud.samples) for name, cloud in clouds.items()
    ]
    shown.append((f"fresh draws: {first_share(runs):.1%}", first.training, first.fresh))
    panels = style.panels(
        1,
        len(shown),
        window,
        "Exact targets learn the truth they are given: narrow dots are the points themselves",
        f"A part of moons. Rings: the training points ({runs['auto']['n']:,} in all); dots: samples; "
        "in per cent: the share of all samples that repeat a training point.",
    )
    for axes, (title, training, samples) in zip(panels.axes.flat, shown, strict=True):
        style.paint(axes, samples, style.ACCENT, size=7.0)
        axes.scatter(*training.T, s=34.0, facecolors="none", edgecolors=style.INK, linewidths=0.8)
        style.label(axes, title)
    return panels.figure


def first_share(runs: Figures) -> float:
    """Return the share of fresh draws that repeat a training point by chance."""
    share: float = next(iter(runs.values()))["fresh"]
    return share


def _title(name: str, run: Figures) -> str:
    width = f"auto ({run['bandwidth']:.3f})" if name == "auto" else name
    return f"data.bandwidth = {width}: {run['rows'][-1]['memorised']:.1%}"


def _save(figure: Figure, target: Path) -> None:
    figure.savefig(target)
    with Image.open(target) as image:
        small = image.convert("RGB")
    small.thumbnail((_WIDEST, _WIDEST))
    small.quantize(_COLOURS).save(target, optimize=True)
