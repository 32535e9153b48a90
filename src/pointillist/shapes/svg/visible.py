"""What of a drawing's lines is visible, and what it fills: seen in a picture of it, drawn by resvg."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from pointillist.shapes.svg.layout import Layout, Line, extent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

_SIDE = 1500
"""Pixels along the longer side of the picture."""
_ASIDE = 1.5
"""Pixels on either side of an edge, at which its two colours are looked at."""
_LEAST_DIFFERENCE = 4
"""Of 255: colours that differ by less look the same."""
_SHORTEST = 3.0
"""Pixels, beside half the stroke: a visible piece below it is where another edge crosses."""
_MOST_PIECES = 20_000_000
WHITE, BLACK = (255.0, 255.0, 255.0), (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Window:
    """The part of the plane that is drawn: its left upper corner, in px, and how large."""

    left: float
    top: float
    width: float
    height: float
    page: tuple[float, float] | None

    @property
    def scale(self) -> float:
        """Pixels of the picture for each px."""
        return _SIDE / max(self.width, self.height)

    def border(self) -> tuple[slice, slice] | None:
        """Return the rows and columns of the picture that show the page, if it shows all of it."""
        if self.page is None:
            return None
        ends = []
        for low, size, whole in (
            (self.top, self.height, self.page[1]),
            (self.left, self.width, self.page[0]),
        ):
            if low > 0.005 * whole or low + size < 0.995 * whole:
                return None
            first, last = max(0.0, -low), min(size, whole - low)
            ends.append(slice(int(first * self.scale) + 2, int(last * self.scale) - 2))
        return ends[0], ends[1]


def window(lines: Sequence[Line], page: tuple[float, float] | None) -> Window:
    """Return the window around `lines`, as far as they are on the page, with a margin."""
    low, high = extent(lines)
    if page is not None:
        low, high = np.clip(low, 0, page), np.clip(high, 0, page)
    size = max(*(high - low), 1e-9)
    margin = 0.01 * size + min(max(line.stroke for line in lines) / 2, 0.1 * size)
    low, high = low - margin, high + margin
    return Window(*low.tolist(), *(high - low).tolist(), page=page)


def picture(layout: Layout, seen: Window) -> np.ndarray:
    """Draw what `seen` shows of a drawing: (height, width, 4), 0 to 255, opacity last.

    Raises
    ------
    ValueError
        If resvg can't draw it.
    """
    from xml.etree.ElementTree import tostring

    import resvg_py
    from PIL import Image

    view = seen.left, seen.top, seen.width, seen.height
    width, height = (max(1, round(side * seen.scale)) for side in view[2:])
    svg = tostring(layout.svg(view, width, height), encoding="unicode")
    drawn = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True, dpi=96)
    return np.asarray(Image.open(BytesIO(drawn)).convert("RGBA"), dtype=np.float32)


def papers(drawn: np.ndarray, seen: Window) -> list[tuple[float, float, float]]:
    """Return what the paper may be like, the likeliest first.

    A page that is covered to its border in one colour is paper; else it is white, and if nothing stands
    out from that, black, as for an icon in white on a clear ground.
    """
    page = drawn[seen.border()] if seen.border() else drawn[:0, :0]
    if page.size:
        border = np.concatenate((page[0], page[-1], page[:, 0], page[:, -1]))
        if (border == border[0]).all() and border[0, 3] == 255:
            red, green, blue, _ = border[0].tolist()
            return [(red, green, blue), WHITE]
    return [WHITE, BLACK]


def on_paper(drawn: np.ndarray, paper: tuple[float, float, float]) -> np.ndarray:
    """Return the colours (height, width, 3) of what is drawn on an opaque paper."""
    opacity = drawn[..., 3:] / 255
    return drawn[..., :3] * opacity + np.array(paper, np.float32) * (1 - opacity)


def differs(colors: np.ndarray, paper: tuple[float, float, float]) -> np.ndarray:
    """Tell where `colors` (height, width, 3) differ from the paper."""
    return abs(colors - np.array(paper, np.float32)).max(-1) >= _LEAST_DIFFERENCE


def parts(
    lines: Sequence[Line], colors: np.ndarray, paper: tuple[float, float, float], seen: Window
) -> list[np.ndarray]:
    """Return the visible parts of `lines`, arrays (M, 2) in px: where there is an edge in the picture.

    Across an edge, and across a stroke from its middle to beside it, the colour changes.

    Raises
    ------
    ValueError
        If the lines are too long to look at.
    """
    around = np.pad(colors, ((1, 1), (1, 1), (0, 0)))
    around[[0, -1]] = around[:, [0, -1]] = paper
    found: dict[bytes, np.ndarray] = {}
    total = 0
    for line in lines:
        pixels = (line.points - (seen.left, seen.top)) * seen.scale
        steps = np.hypot(*np.diff(pixels, axis=0).T)
        counts = np.ceil(steps.clip(max=4 * _SIDE)).astype(np.int64).clip(1)
        total += int(counts.sum())
        if total > _MOST_PIECES:
            raise ValueError("too many or too long lines")
        cut = _cut(pixels, counts)
        half = line.stroke * seen.scale / 2
        shown = _edges(cut, half + _ASIDE, around)
        shown = _without_short(shown, np.hypot(*np.diff(cut, axis=0).T), half + _SHORTEST)
        if shown.all():
            pieces = [line.points]
        else:
            pieces = [run / seen.scale + (seen.left, seen.top) for run in _runs(cut, shown)]
        # What is drawn twice, such as fill and stroke of one path, is one line.
        found |= {np.round(piece * seen.scale).tobytes(): piece for piece in pieces}
    return list(found.values())


def _cut(line: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Cut each segment of a line into `counts` pieces: (sum of the counts + 1, 2)."""
    first = np.repeat(line[:-1], counts, axis=0)
    step = np.repeat(np.diff(line, axis=0) / counts[:, None], counts, axis=0)
    k = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.concatenate((first + step * k[:, None], line[-1:]))


def _edges(cut: np.ndarray, aside: float, around: np.ndarray) -> np.ndarray:
    """Tell for each piece (M - 1,) whether there is an edge: pixels, `around` with a border of paper."""
    steps = np.diff(cut, axis=0)
    lengths = np.hypot(*steps.T)
    normals = steps[:, ::-1] * (1, -1) / np.maximum(lengths, 1e-12)[:, None]
    middles = (cut[1:] + cut[:-1]) / 2
    highest = np.array(around.shape[1::-1]) - 1

    def color(places: np.ndarray) -> np.ndarray:
        x, y = np.clip(np.floor(places) + 1, 0, highest).astype(np.int64).T
        return around[y, x]

    across = [color(middles + d * normals) for d in (-aside, -0.5, 0, 0.5, aside)]
    return np.ptp(across, axis=0).max(-1) >= _LEAST_DIFFERENCE


def _without_short(shown: np.ndarray, lengths: np.ndarray, shortest: float) -> np.ndarray:
    """Fill gaps below the `shortest` among the pieces `shown`, then leave out runs of them below it."""
    for value in (False, True):
        borders = np.flatnonzero(np.diff(shown)) + 1
        runs = np.split(np.arange(len(shown)), borders)
        if len(runs) == 1:
            break
        for run in runs:
            if shown[run[0]] == value and lengths[run].sum() < shortest:
                shown[run] = not value
    return shown


def _runs(cut: np.ndarray, shown: np.ndarray) -> list[np.ndarray]:
    """Return the runs of pieces that are `shown`, as lines; on a closed line past its start."""
    if not shown.any():
        return []
    if (cut[0] == cut[-1]).all() and shown[0] and shown[-1]:
        start = int(np.flatnonzero(~shown)[0])
        shown = np.roll(shown, -start)
        cut = np.concatenate((np.roll(cut[:-1], -start, axis=0), cut[start : start + 1]))
    borders = np.flatnonzero(np.diff(np.concatenate(([0], shown, [0]))))
    return [cut[first : last + 1] for first, last in borders.reshape(-1, 2)]


def filling(paints: Mapping[Element, tuple[str, str]], paper: tuple[float, float, float]) -> None:
    """Prepare a tree for a picture of its areas: no strokes, but what a line goes round is filled.

    A shape that has a stroke, and no fill or one like the paper, is filled with its stroke's colour.
    """
    from tinycss2.color4 import parse_color

    for element, (fill, stroke) in paints.items():
        color = parse_color(fill)
        like_paper = (
            color is not None
            and color != "currentcolor"
            and color.space == "srgb"
            and (np.allclose(np.array(color.coordinates) * 255, paper, atol=_LEAST_DIFFERENCE))
        )
        if stroke != "none" and (fill == "none" or like_paper):
            element.set("fill", stroke)
            element.set("fill-opacity", "1")
        element.set("stroke", "none")
