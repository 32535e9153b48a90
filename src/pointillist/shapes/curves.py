"""Points along polylines and inside outlines, spaced evenly.

A line is an array (M, 2); one that is closed repeats its first point at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


_MASK = 1500
"""Pixels along the longer side of the mask of what lines enclose."""


def along(lines: Sequence[np.ndarray], n: int) -> np.ndarray:
    """Return n points (n, 2) at even distances along all `lines` together.

    Each line of length L takes k points, in proportion to L and rounded by largest remainders, at
    least one as long as n allows; when there are fewer points than lines, the longest take one each.
    Its points are L / k apart along it. On a closed line they start at its first point; on an open
    one they keep half that distance from its ends, so that lines that meet don't double a point.

    Raises
    ------
    ValueError
        If there is no line, or one is not (M, 2) with M > 0.
    """
    import numpy as np

    if not lines or any(np.ndim(line) != 2 or np.shape(line)[1:] != (2,) for line in lines):
        raise ValueError("lines must be arrays (M, 2), at least one")
    if any(len(line) == 0 for line in lines):
        raise ValueError("a line must have a point")
    lengths = [_lengths(line) for line in lines]
    shares = _shares(np.array([length[-1] for length in lengths]), n)
    points = [
        _evenly(line, length, share)
        for line, length, share in zip(lines, lengths, shares.tolist(), strict=True)
        if share
    ]
    return np.concatenate(points) if points else np.empty((0, 2))


def _lengths(line: np.ndarray) -> np.ndarray:
    """Return the length of a line (M, 2) up to each of its points (M,)."""
    import numpy as np

    steps = np.diff(np.asarray(line, dtype=np.float64), axis=0)
    return np.concatenate(([0.0], np.hypot(steps[:, 0], steps[:, 1]).cumsum()))


def _shares(lengths: np.ndarray, n: int) -> np.ndarray:
    """Share n points among lines in proportion to their `lengths` (K,), whole numbers (K,)."""
    import numpy as np

    shares = np.zeros(len(lengths), dtype=np.int64)
    if n <= len(lengths):
        shares[np.argsort(-lengths, kind="stable")[: max(n, 0)]] = 1
        return shares
    # A line that is due less than one point takes one at the others' expense, until all are due one.
    large = np.full(len(lengths), True)
    due = np.ones(len(lengths))
    while True:
        left = n - np.count_nonzero(~large)
        total = lengths[large].sum()
        due[large] = left * (lengths[large] / total if total > 0 else 1 / np.count_nonzero(large))
        small = large & (due < 1)
        if not small.any():
            break
        large &= ~small
        due[small] = 1
    shares[:] = np.floor(due)
    rest = n - int(shares.sum())
    shares[np.argsort(shares - due, kind="stable")[:rest]] += 1
    return shares


def _evenly(line: np.ndarray, lengths: np.ndarray, n: int) -> np.ndarray:
    """Return n points (n, 2) along one line, `lengths` (M,) being its length up to each point."""
    import numpy as np

    closed = len(line) > 2 and bool((line[0] == line[-1]).all())
    at = (np.arange(n) + (0.0 if closed else 0.5)) * (lengths[-1] / n)
    return np.stack([np.interp(at, lengths, line[:, axis]) for axis in (0, 1)], axis=-1)


def inside(lines: Sequence[np.ndarray], n: int, seed: int) -> np.ndarray:
    """Return n points (n, 2), spread evenly over what the `lines` enclose.

    Inside is where they wind around a point (the non-zero rule of fonts and SVG), so that a line which
    runs the other way round leaves a hole; an open line is closed by a straight one.

    Raises
    ------
    ValueError
        If they enclose nothing, or nothing as wide as 1/1500 of their extent.
    """
    import numpy as np

    low = np.min([line.min(0) for line in lines], axis=0)
    extent = float(np.ptp(np.concatenate(lines), axis=0).max())
    if extent == 0:
        raise ValueError("the lines enclose nothing")
    scale = _MASK / extent
    winding = _winding([(line - low) * scale for line in lines])
    return Areas(winding != 0, (low[0], low[1]), 1 / scale).place(n, seed)


@dataclass(frozen=True)
class Areas:
    """What is to be filled, as pixels."""

    mask: np.ndarray
    """(height, width), bool, rows from the top."""
    corner: tuple[float, float]
    """The lower left corner of the mask, y upwards."""
    pixel: float
    """The side of a pixel."""

    def place(self, n: int, seed: int) -> np.ndarray:
        """Return n points (n, 2), spread evenly over where the mask is true.

        Raises
        ------
        ValueError
            If that is nowhere.
        """
        import numpy as np

        from pointillist.shapes import pictures

        if not self.mask.any():
            raise ValueError("the lines enclose nothing")
        placed = pictures.stipple(self.mask.astype(np.float32), n, seed)
        return placed * self.pixel + self.corner


def _winding(lines: Sequence[np.ndarray]) -> np.ndarray:
    """Return how often `lines`, pixels, y upwards, wind around each pixel's centre: rows from the top."""
    import numpy as np

    width, height = (int(side) + 1 for side in np.max([line.max(0) for line in lines], axis=0))
    start = np.concatenate(lines)
    end = np.concatenate([np.roll(line, -1, axis=0) for line in lines])
    rises = end[:, 1] > start[:, 1]
    low, high = (np.where((rises == up)[:, None], start, end) for up in (True, False))
    winding = np.empty((height, width), dtype=np.int32)
    for row in range(height):
        y = height - row - 0.5
        crossing = (low[:, 1] <= y) & (y < high[:, 1])
        below, above = low[crossing], high[crossing]
        share = (y - below[:, 1]) / (above[:, 1] - below[:, 1])
        x = below[:, 0] + share * (above[:, 0] - below[:, 0])
        # An edge that falls counts for every centre to the right of it, one that rises against it.
        first = np.ceil(x - 0.5).astype(np.int64).clip(0, width)
        turns = np.bincount(first, np.where(rises[crossing], -1, 1), width + 1)
        winding[row] = turns[:width].cumsum()
    return winding
