"""What every picture shares: background, text, small points, one colour map, frame and layout.

The colour map runs from indigo to orange and its lightness rises with it, so that it survives
colour blindness and greyscale. It has one meaning: where a point ends, from the left of the shape
to the right. Films can also be had on a dark background and with other maps whose lightness rises:
a `Look`.

Frame and colours follow the shape, never the samples: a few samples far out must neither shrink the
shape nor use up the colours. How many lie outside the frame is written into the picture.
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
    """Background, text colours and colour map of a film."""

    paper: str
    ink: str
    faint_ink: str
    hairline: str
    ghost: str
    palette: Colormap

    @property
    def accent(self) -> str:
        """The colour that marks progress."""
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

LEFT, RIGHT = 0.04, 0.96
"""Margins of a figure, as fractions of its width."""
_HEAD, _LABEL = 112, 36  # px: of title and subtitle above the panels; of the text below a panel
_ASPECTS = (0.4, 1.4)  # of a panel


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

    def clipped(self, flattest: float, tallest: float) -> Limits:
        """Return the smallest window around this one whose aspect lies between these two."""
        return self.reshaped(float(np.clip(self.aspect, flattest, tallest)))

    def lies_outside(self, points: Points) -> NDArray[np.bool_]:
        """Tell which of the points (n, 2) lie outside, (n,)."""
        low, high = self.corners
        return np.asarray(((points < low) | (points > high)).any(-1))

    def outside(self, points: Points) -> int:
        """Count the points (n, 2) that lie outside."""
        return int(self.lies_outside(points).sum())


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


def frame_of(truth: ArrayLike, *noise: ArrayLike, margin: float = 0.05) -> Limits:
    """Return the window that holds the shape `truth` (M, 2) and nearly all of Gaussian `noise` (n, 2).

    It grows to proportions that a panel can have.
    """
    inner = [limits_of(cloud, margin=0.0, outliers=0.01).corners for cloud in noise]
    return limits_of(truth, *inner, margin=margin).clipped(*_ASPECTS)


def outside_text(outside: int, n: int | None = None) -> str:
    """Say how many points lie outside a picture, of `n` if given; nothing if none does."""
    if outside == 0:
        return ""
    of = "" if n is None else f" of {n:,}"
    return f"{outside:,}{of} point{'s' if (n or outside) != 1 else ''} outside"


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


def colours_of(ends: Points, truth: Points, palette: Colormap = PALETTE) -> NDArray[np.float64]:
    """Return the RGBA colour (n, 4) of points by where they end, as `shares_of` does."""
    return np.asarray(palette(shares_of(ends, truth)), float)


def shares_of(ends: Points, truth: Points) -> NDArray[np.float64]:
    """Return where points (n, 2) end, 0 at the left of the shape `truth` (M, 2), 1 at its right."""
    low, high = np.quantile(np.asarray(truth[:, 0], float), [0.01, 0.99])
    x = np.asarray(ends[:, 0], float)
    return np.clip((x - low) / (high - low), 0, 1) if high > low else np.full(len(x), 0.5)


def new_figure(width: int, height: int, dpi: float = DPI, paper: str = PAPER) -> Figure:
    """Return an empty figure of `width` x `height` pixels."""
    figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi, facecolor=paper)
    FigureCanvasAgg(figure)
    return figure


def sheet(
    width: int, height: int, title: str, subtitle: str, *, above: int = 0, below: int = 0
) -> Figure:
    """Return a figure whose axes matplotlib lays out below a title, which states what is seen.

    `height` is that of the axes; pixels `above` and `below` them are left free.
    """
    total = height + _HEAD + above + below + 12
    figure = new_figure(width, total)
    body = (LEFT, (below + 12) / total, RIGHT - LEFT, height / total)
    figure.set_layout_engine("constrained", rect=body, w_pad=0, h_pad=0, wspace=0.02, hspace=0.02)
    headline(figure, title, subtitle)
    return figure


@dataclass(frozen=True)
class Panels:
    """Rows and columns of bare axes that all show one window."""

    figure: Figure
    axes: Any
    """Array (rows, columns) of Axes."""
    window: Limits
    side: float
    """Shorter side of one of them, in inches."""


def panels(
    rows: int,
    columns: int,
    window: Limits,
    title: str,
    subtitle: str,
    *,
    width: int = 1500,
    labels: int | None = None,
    free: int = 0,
) -> Panels:
    """Return a figure of panels that is `width` pixels wide.

    So many rows, `labels`, have text below; None: all. Above and below the panels are `free` pixels.
    """
    window = window.clipped(*_ASPECTS)
    side = (RIGHT - LEFT) * width / columns
    height = round(rows * side * window.aspect + (rows if labels is None else labels) * _LABEL)
    figure = sheet(width, height, title, subtitle, above=free, below=free)
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.flat:
        bare(panel, window)
    return Panels(figure, axes, window, side * min(1.0, window.aspect) / DPI)


def headline(figure: Figure, title: str, subtitle: str) -> None:
    """Write what is seen above a figure, and below it how to read it."""
    height = figure.get_size_inches()[1]
    for inches, text, colour, size in (
        (0.28, title, INK, TITLE),
        (0.51, subtitle, FAINT_INK, LABEL),
    ):
        weight: Literal["normal", "bold"] = "bold" if size == TITLE else "normal"
        line = write(
            figure,
            LEFT,
            1 - inches / height,
            text,
            size=size,
            colour=colour,
            weight=weight,
            va="center",
        )
        shrink(line, RIGHT - LEFT)


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
    """Write `text` at the fraction (x, y) of the figure."""
    written = figure.text(x, y, text, ha=ha, va=va, color=colour, fontweight=weight)
    return _set_in_our_font(written, size)


def label(axes: Axes, text: str, where: Literal["x", "y"] = "x") -> Text:
    """Write `text` below (x) or to the left of (y) some axes."""
    written = (axes.set_xlabel if where == "x" else axes.set_ylabel)(text, color=FAINT_INK)
    return _set_in_our_font(written, LABEL)


def note(
    axes: Axes,
    at: tuple[float, float],
    text: str,
    *,
    of_data: Literal["", "x", "y"] = "",
    offset: tuple[float, float] = (0, 0),
    colour: str = FAINT_INK,
    size: float = SMALL,
    ha: Literal["left", "center", "right"] = "left",
    va: Literal["top", "center", "baseline", "bottom"] = "center",
) -> Text:
    """Write `text` at a fraction (x, y) of some axes; the coordinate `of_data` is one of the data.

    `offset` is in points.
    """
    systems = tuple("data" if axis == of_data else "axes fraction" for axis in "xy")
    written = axes.annotate(
        text,
        at,
        offset,
        xycoords=(systems[0], systems[1]),
        textcoords="offset points",
        color=colour,
        ha=ha,
        va=va,
        annotation_clip=False,
    )
    return _set_in_our_font(written, size)


def _set_in_our_font(text: Text, size: float) -> Text:
    # A dollar sign in the name of a shape isn't the beginning of a formula.
    text.set(family=FONT, fontsize=size, parse_math=False)
    return text


def shrink(text: Text, width: float) -> None:
    """Make `text` smaller until it takes at most the share `width` of the figure, or cut it."""
    figure = text.get_figure(root=True)
    assert figure is not None
    room = width * figure.bbox.width
    for size in np.arange(text.get_fontsize(), SMALL - 0.1, -0.5):
        text.set_fontsize(size)
        if text.get_window_extent().width <= room:
            return
    words = text.get_text()
    while len(words) > 1 and text.get_window_extent().width > room:
        words = words[:-1]
        text.set_text(words.rstrip() + "…")


def rule(figure: Figure, span: tuple[float, float], y: float, colour: str) -> Line2D:
    """Draw a thin horizontal line at the fraction `y` of the figure."""
    line = Line2D(span, (y, y), color=colour, linewidth=1.6, solid_capstyle="butt")
    line.set_transform(figure.transFigure)
    figure.add_artist(line)
    return line


def bare(axes: Axes, window: Limits) -> Axes:
    """Make `axes` show `window` and nothing else, one unit of x as long as one of y."""
    axes.spines[:].set_visible(False)
    axes.patch.set_visible(False)
    axes.set(
        xlim=(window.left, window.right), ylim=(window.bottom, window.top), xticks=[], yticks=[]
    )
    axes.set_aspect("equal")
    return axes


def picture(figure: Figure, box: tuple[float, float, float, float], limits: Limits) -> Axes:
    """Return bare axes in `box` (left, bottom, width, height; fractions) that show `limits`.

    The window grows to the proportions of the box.
    """
    width, height = figure.get_size_inches()
    window = limits.reshaped(float(box[3] * height) / float(box[2] * width))
    return bare(figure.add_axes(box), window)


def plain(axes: Axes) -> Axes:
    """Make `axes` those of a plot: two thin lines, small figures, paper behind."""
    axes.patch.set_visible(False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=RULE, linewidth=0.8)
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


def plot_axes(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    """Return axes for a plot in `box` (left, bottom, width, height; fractions)."""
    return plain(figure.add_axes(box))


def dot_size(n: int, side: float, times: float = 1.0) -> float:
    """Return the area in points^2 of one of `n` dots on a picture whose side is `side` inches.

    Few points are drawn larger, many smaller, so that they cover about the same area together.
    Their diameter is then multiplied by `times`.
    """
    return times**2 * float(np.clip(330.0 * side**2 / n, 0.8, 14.0))


def paint(axes: Axes, points: Points, colours: Any, *, size: float) -> PathCollection:
    """Draw `points` (n, 2) in `colours`: one for all, or (n, 4)."""
    # Rows of RGBA would be taken for one colour if there is one point only.
    keyword = {"color": colours} if isinstance(colours, str) else {"facecolors": colours}
    return axes.scatter(points[:, 0], points[:, 1], s=size, linewidths=0, **keyword)


def paint_truth(axes: Axes, anchors: Points, side: float, colour: str = GHOST) -> PathCollection:
    """Draw the `anchors` (M, 2) of the shape faintly, as a background for points."""
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
