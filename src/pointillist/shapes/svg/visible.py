"""What of a drawing is visible: seen in a picture of it, which resvg draws."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from pointillist.shapes.curves import Areas
from pointillist.shapes.svg.colors import is_color
from pointillist.shapes.svg.layout import Layout, extent

if TYPE_CHECKING:
    Color = tuple[float, float, float]

_SIDE = 1500
"""Pixels along the longer side of the picture."""
_ASIDE = 1.5
"""Pixels on either side of an edge, at which its two colours are looked at."""
_LEAST_DIFFERENCE = 4
"""Of 255: colours that differ by less look the same."""
_SHORTEST = 3.0
"""Pixels, beside half the stroke: a visible piece below it is where another edge crosses."""
_STACK = 128 * 2**20
_MOST_PIECES = 20_000_000
_WHITE, _BLACK = (255.0, 255.0, 255.0), (0.0, 0.0, 0.0)


class View:
    """A drawing as it is seen: the part of the page with lines, on paper.

    Raises
    ------
    ValueError
        If resvg can't draw it.
    """

    def __init__(self, layout: Layout) -> None:
        """Look at a drawing with at least one line."""
        low, high = extent(layout.lines)
        if layout.page is not None:
            low, high = np.clip(low, 0, layout.page), np.clip(high, 0, layout.page)
        longest = max(*(high - low), 1e-9)
        widest = max(line.stroke for line in layout.lines)
        margin = 0.01 * longest + min(widest / 2, 0.1 * longest)
        self._layout = layout
        self._corner, self._size = low - margin, high - low + 2 * margin
        self._scale = _SIDE / self._size.max()
        self._drawn = self._picture()

    def papers(self) -> list[Color]:
        """Return the colours that the paper may have, the likeliest first.

        A page that is covered to its border in one colour is paper; else it is white, and if nothing
        stands out from that, black, as for an icon in white on a clear ground.
        """
        if self._layout.page is not None:
            first = (0 - self._corner) * self._scale + 2
            last = (np.array(self._layout.page) - self._corner) * self._scale - 2
            # The page as far as the picture shows it; what is short of it isn't covered.
            tolerance = 0.005 * _SIDE
            shown = np.array(self._drawn.shape[1::-1])
            if (first > -tolerance).all() and (last < shown + tolerance).all():
                (left, top), (right, bottom) = (
                    np.clip(at, 0, shown).astype(int).tolist() for at in (first, last)
                )
                page = self._drawn[top:bottom, left:right]
                if page.size:
                    border = np.concatenate((page[0], page[-1], page[:, 0], page[:, -1]))
                    red, green, blue, opacity = border[0].tolist()
                    if (border == border[0]).all() and opacity == 255:
                        return [(red, green, blue), _WHITE]
        return [_WHITE, _BLACK]

    def lines(self, paper: Color) -> list[np.ndarray]:
        """Return the visible parts of the lines, arrays (M, 2) in px: where there is an edge.

        Across an edge, and across a stroke from its middle to beside it, the colour changes.

        Raises
        ------
        ValueError
            If the lines are too long to look at.
        """
        found: dict[bytes, np.ndarray] = {}
        total = 0
        for line in self._layout.lines:
            pixels = _split((line.points - self._corner) * self._scale, self._size * self._scale)
            steps = np.hypot(*np.diff(pixels, axis=0).T)
            counts = np.ceil(steps.clip(max=2 * _SIDE)).astype(np.int64).clip(1)
            total += int(counts.sum())
            if total > _MOST_PIECES:
                raise ValueError("too many or too long lines")
            cut, half = _cut(pixels, counts), line.stroke * self._scale / 2
            shown = self._is_edge(cut, half + _ASIDE, paper)
            shown = _without_short(shown, np.hypot(*np.diff(cut, axis=0).T), half + _SHORTEST)
            if shown.all():
                parts = [line.points]
            else:
                parts = [run / self._scale + self._corner for run in _runs(cut, shown)]
            # What is drawn twice, such as fill and stroke of one path, is one line.
            found |= {np.round(part * self._scale).tobytes(): part for part in parts}
        return list(found.values())

    def areas(self, paper: Color) -> Areas:
        """Return what is filled, px, y upwards: of shapes that aren't, what their stroke goes round."""
        for shape, (fill, stroke) in self._layout.paints.items():
            if stroke != "none" and (fill == "none" or is_color(fill, paper, _LEAST_DIFFERENCE)):
                shape.set("fill", stroke)
                shape.set("fill-opacity", "1")
            shape.set("stroke", "none")
        color = _on_paper(self._picture(), paper)
        mask = abs(color - np.array(paper, np.float32)).max(-1) >= _LEAST_DIFFERENCE
        left, bottom = self._corner[0], -self._corner[1] - self._size[1]
        return Areas(mask, (float(left), float(bottom)), float(1 / self._scale))

    def _picture(self) -> np.ndarray:
        """Draw it: (height, width, 4), uint8, opacity last."""
        from xml.etree.ElementTree import tostring

        from PIL import Image

        width, height = np.maximum(1, np.round(self._size * self._scale)).astype(int).tolist()
        view = (*self._corner.tolist(), *self._size.tolist())
        svg = tostring(self._layout.svg(view, width, height), encoding="unicode")
        return np.asarray(Image.open(BytesIO(_rendered(svg))).convert("RGBA"))

    def _is_edge(self, cut: np.ndarray, aside: float, paper: Color) -> np.ndarray:
        """Tell for each piece (M - 1,) of a line in pixels whether colours differ across it."""
        steps = np.diff(cut, axis=0)
        normals = steps[:, ::-1] * (1, -1) / np.maximum(np.hypot(*steps.T), 1e-12)[:, None]
        middles = (cut[1:] + cut[:-1]) / 2
        size = self._drawn.shape[1::-1]
        across = []
        for distance in (-aside, -0.5, 0, 0.5, aside):
            places = np.floor(middles + distance * normals)
            outside = ((places < 0) | (places >= size)).any(1)
            column, row = np.where(outside[:, None], 0, places).astype(np.int64).T
            color = _on_paper(self._drawn[row, column], paper)
            color[outside] = paper
            across.append(color)
        return np.ptp(across, axis=0).max(-1) >= _LEAST_DIFFERENCE


def _rendered(svg: str) -> bytes:
    """Return the PNG of an SVG without references outside, texts and filters."""
    import resvg_py

    # A level of nesting takes resvg some 32 kB of the stack, more than threads have by default.
    before = threading.stack_size(_STACK)
    try:
        with ThreadPoolExecutor(1) as pool:
            drawing = pool.submit(
                resvg_py.svg_to_bytes, svg_string=svg, skip_system_fonts=True, dpi=96
            )
    finally:
        threading.stack_size(before)
    if (error := drawing.exception()) is not None:
        # Rust's panics aren't exceptions that one catches by default.
        raise ValueError(str(error)) from None
    return drawing.result()


def _on_paper(colors: np.ndarray, paper: Color) -> np.ndarray:
    """Return colours (..., 4), 0 to 255, as they look on an opaque paper: (..., 3), float32."""
    opacity = colors[..., 3:].astype(np.float32) / 255
    return colors[..., :3] * opacity + np.array(paper, np.float32) * (1 - opacity)


def _split(line: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Split segments of a line that are much longer than a picture of `size` at its sides."""
    steps = np.diff(line, axis=0)
    long = np.flatnonzero(np.hypot(*steps.T) > 2 * _SIDE)
    if not len(long):
        return line
    start, step = line[long], steps[long]
    with np.errstate(divide="ignore", invalid="ignore"):
        crossings = np.concatenate((-start / step, (size - start) / step), axis=1)
    shares = np.sort(np.nan_to_num(crossings).clip(0, 1), axis=1)
    corners = start[:, None] + shares[..., None] * step[:, None]
    return np.insert(line, np.repeat(long + 1, 4), corners.reshape(-1, 2), axis=0)


def _cut(line: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Cut each segment of a line into `counts` pieces: (sum of the counts + 1, 2)."""
    first = np.repeat(line[:-1], counts, axis=0)
    step = np.repeat(np.diff(line, axis=0) / counts[:, None], counts, axis=0)
    k = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.concatenate((first + step * k[:, None], line[-1:]))


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
