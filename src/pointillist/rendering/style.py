"""The one look that every picture shares: paper, ink, small points and one colour map.

The colour map runs from indigo to orange and its lightness rises with it, so that it survives
colour blindness and greyscale. It has one meaning: where a point ends, from the left of the shape
to the right. Whoever follows a colour sees where the points of a place come from. Films can also be
had on dark paper and with other maps whose lightness rises: a `Look`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import Colormap, ListedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from numpy.typing import ArrayLike, NDArray

from pointillist.errors import PointillistError

PAPER = "#fdfcf9"
INK = "#1f2333"
FAINT_INK = "#767a88"
RULE = "#bdb9ae"
HAIRLINE = "#e3e0d7"
GHOST = "#d5d1c6"
"""Colour of the truth behind the points."""

_MAPS = {"dusk": "plasma", "viridis": "viridis", "cividis": "cividis"}
# The light end of a map does not stand on light paper, nor the dark end on dark.
_ON_LIGHT, _ON_DARK = (0.0, 0.77), (0.38, 1.0)


def _palette(name: str, span: tuple[float, float]) -> Colormap:
    return ListedColormap(mpl.colormaps[_MAPS[name]](np.linspace(*span, 256)), name)


PALETTE = _palette("dusk", _ON_LIGHT)
ACCENT = to_hex(PALETTE(0.65))


@dataclass(frozen=True)
class Look:
    """Paper, inks and colour map of a film."""

    paper: str
    ink: str
    faint_ink: str
    hairline: str
    ghost: str
    palette: Colormap

    @property
    def accent(self) -> str:
        """The colour of what moves on."""
        return to_hex(self.palette(0.65))


def look(theme: str = "light", palette: str = "dusk") -> Look:
    """Return the look of a `theme` (light, dark) and a `palette` (dusk, viridis, cividis)."""
    if theme == "light":
        return Look(PAPER, INK, FAINT_INK, HAIRLINE, GHOST, _palette(palette, _ON_LIGHT))
    colours = _palette(palette, _ON_DARK)
    return Look("#14151c", "#ecebe6", "#9a9ca8", "#2c2e3a", "#3a3d4b", colours)


# Matplotlib brings this font along, so a picture looks the same on every machine.
FONT = "DejaVu Sans"
DPI = 150
TITLE, LABEL, SMALL = 12.0, 9.0, 8.0
"""Sizes of text in points."""

Points = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Limits:
    """A window in the coordinates of what is drawn."""

    left: float
    right: float
    bottom: float
    top: float

    @property
    def aspect(self) -> float:
        """Height over width."""
        return (self.top - self.bottom) / (self.right - self.left)

    @property
    def corners(self) -> NDArray[np.float64]:
        """Lower left and upper right, (2, 2)."""
        return np.array([[self.left, self.bottom], [self.right, self.top]])

    def reshaped(self, aspect: float) -> Limits:
        """Return the smallest window around this one whose height is `aspect` times its width."""
        width, height = self.right - self.left, self.top - self.bottom
        wider = max(width, height / aspect) - width
        taller = max(height, width * aspect) - height
        return Limits(
            self.left - wider / 2,
            self.right + wider / 2,
            self.bottom - taller / 2,
            self.top + taller / 2,
        )


def limits_of(*clouds: ArrayLike, margin: float = 0.05, outliers: float = 0.0) -> Limits:
    """Return the window that holds every cloud (n, 2), and a `margin` relative to its longer side.

    Of each cloud the share `outliers` may be left outside at either end of each axis.
    """
    ends = [np.quantile(np.asarray(c, float), [outliers, 1 - outliers], axis=0) for c in clouds]
    low = np.min([e[0] for e in ends], axis=0)
    high = np.max([e[1] for e in ends], axis=0)
    # A single point has no extent and still needs a window around it.
    extent = float((high - low).max())
    room = margin * extent if extent > 0 else 1.0
    low, high = low - room, high + room
    return Limits(float(low[0]), float(high[0]), float(low[1]), float(high[1]))


def as_points(values: ArrayLike, name: str, ndim: int = 2) -> Points:
    """Return `values` as an array of points whose last axis is x, y.

    Raises
    ------
    ValueError
        If the shape is wrong or there is no point.
    PointillistError
        If a coordinate isn't finite: the numbers come from a training or chain that diverged.
    """
    points = np.asarray(values)
    if points.ndim != ndim or points.shape[-1] != 2 or points.size == 0:
        wanted = ", ".join(["k", "n", "2"][-ndim:])
        raise ValueError(f"{name} must have shape ({wanted}), got {points.shape}")
    if bad := int((~np.isfinite(points).all(-1)).sum()):
        raise PointillistError(
            f"{name}: {bad} of {points[..., 0].size} points are not finite and cannot be drawn.\n"
            "Training or chain diverged: lower training.learning_rate or raise sampling.steps."
        )
    return points


def colours_of(places: Points, palette: Colormap = PALETTE) -> NDArray[np.float64]:
    """Return the RGBA colour (n, 4) of points by where they end: `places` (n, 2), left to right."""
    return np.asarray(palette(shares_of(places)), float)


def shares_of(places: Points) -> NDArray[np.float64]:
    """Return where points end from left, 0, to right, 1: `places` (n, 2) -> (n,)."""
    x = np.asarray(places[:, 0], float)
    low, high = np.quantile(x, [0.01, 0.99])
    share = (x - low) / (high - low) if high > low else np.full(len(x), 0.5)
    return np.clip(share, 0, 1)


def new_figure(width: int, height: int, dpi: float = DPI, paper: str = PAPER) -> Figure:
    """Return an empty sheet of paper of `width` x `height` pixels."""
    figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi, facecolor=paper)
    FigureCanvasAgg(figure)
    return figure


def write(
    figure: Figure,
    x: float,
    y: float,
    text: str,
    *,
    size: float = LABEL,
    colour: str = INK,
    weight: Literal["normal", "bold"] = "normal",
    ha: Literal["left", "center", "right"] = "left",
    va: Literal["top", "center", "baseline", "bottom"] = "baseline",
) -> Text:
    """Write `text` at the fraction (x, y) of the sheet."""
    return figure.text(
        x,
        y,
        text,
        ha=ha,
        va=va,
        family=FONT,
        fontsize=size,
        fontweight=weight,
        color=colour,
        # A dollar sign in the name of a shape isn't the beginning of a formula.
        parse_math=False,
    )


def shrink(text: Text, width: float) -> None:
    """Make `text` smaller until it takes at most the share `width` of the sheet, or cut it."""
    sheet = text.get_figure(root=True)
    assert sheet is not None
    room = width * sheet.bbox.width
    for size in np.arange(text.get_fontsize(), SMALL - 0.1, -0.5):
        text.set_fontsize(size)
        if text.get_window_extent().width <= room:
            return
    words = text.get_text()
    while len(words) > 1 and text.get_window_extent().width > room:
        words = words[:-1]
        text.set_text(words.rstrip() + "…")


def rule(figure: Figure, span: tuple[float, float], y: float, colour: str) -> Line2D:
    """Draw a thin horizontal line at the fraction `y` of the sheet."""
    line = Line2D(span, (y, y), color=colour, linewidth=1.6, solid_capstyle="butt")
    line.set_transform(figure.transFigure)
    figure.add_artist(line)
    return line


def picture(figure: Figure, box: tuple[float, float, float, float], limits: Limits) -> Axes:
    """Return bare axes in `box` (left, bottom, width, height; fractions) that show `limits`.

    The window grows to the proportions of the box, so that one unit of x is as long as one of y.
    """
    width, height = figure.get_size_inches()
    window = limits.reshaped(float(box[3] * height) / float(box[2] * width))
    axes = figure.add_axes(box)
    axes.set_axis_off()
    axes.set(xlim=(window.left, window.right), ylim=(window.bottom, window.top))
    return axes


def plot_axes(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    """Return axes in `box` for a plot: two thin lines, small figures, paper behind."""
    axes = figure.add_axes(box, facecolor="none")
    axes.spines[["top", "right"]].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set(color=RULE, linewidth=0.8)
    axes.tick_params(
        which="both",
        color=RULE,
        labelcolor=FAINT_INK,
        labelsize=SMALL,
        labelfontfamily=FONT,
        width=0.8,
    )
    axes.tick_params(which="major", length=4)
    axes.tick_params(which="minor", length=0, labelsize=0)
    return axes


def dot_size(n: int, side: float) -> float:
    """Return the area in points^2 of one of `n` dots on a picture whose side is `side` inches.

    Few points are drawn larger, many smaller: the ink on the paper stays about the same, between a
    speck that still shows and a dot that is still small.
    """
    return float(np.clip(330.0 * side**2 / n, 0.8, 14.0))


def paint(axes: Axes, points: Points, colours: Any, *, size: float) -> PathCollection:
    """Dab `points` (n, 2) in `colours`: one for all, or (n, 4)."""
    # Rows of RGBA would be taken for one colour if there is one point only.
    keyword = {"color": colours} if isinstance(colours, str) else {"facecolors": colours}
    return axes.scatter(points[:, 0], points[:, 1], s=size, linewidths=0, **keyword)


def paint_truth(axes: Axes, anchors: Points, side: float, colour: str = GHOST) -> PathCollection:
    """Dab the `anchors` (M, 2) of the shape faintly, to lie behind points."""
    return paint(axes, anchors, colour, size=1.3 * dot_size(max(len(anchors), 700), side))


def ratio_text(ratio: float) -> str:
    """Return a noise ratio sigma/alpha with two digits: ``0.13``, ``2.4``, ``20``, ``∞``."""
    if np.isinf(ratio):
        return "∞"
    # Below this no picture differs from its clean one; more digits would only flicker.
    if ratio < 0.001:
        return "0" if ratio == 0 else "<0.001"
    exponent = int(f"{ratio:.1e}".split("e")[1])
    return f"{ratio:.{max(0, 1 - exponent)}f}"
