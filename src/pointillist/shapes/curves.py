"""Points along polylines and inside outlines, spaced evenly.

A line is an array (M, 2); one that is closed repeats its first point at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        If they enclose nothing.
    """
    import numpy as np

    from pointillist.shapes import pictures

    low = np.min([line.min(0) for line in lines], axis=0)
    extent = float(np.ptp(np.concatenate(lines), axis=0).max())
    if extent == 0:
        raise ValueError("the lines enclose nothing")
    scale = _MASK / extent
    winding = _winding([(line - low) * scale for line in lines])
    if not winding.any():
        raise ValueError("the lines enclose nothing")
    placed = pictures.place(
        (winding != 0).astype(np.float32),
        n,
        invert=False,
        threshold=0,
        contrast=1,
        seed=seed,
        source="the mask",
    )
    return placed / scale + low


def _winding(lines: Sequence[np.ndarray]) -> np.ndarray:
    """Return how often `lines`, pixels, y upwards, wind around each pixel: rows from the top."""
    import numpy as np
    from PIL import Image, ImageDraw

    width, height = (int(side) + 1 for side in np.max([line.max(0) for line in lines], axis=0))
    winding = np.zeros((height, width), dtype=np.int16)
    for line in lines:
        if len(line) < 3:
            continue
        mask = Image.new("1", (width, height))
        # Pixel (0, 0) is centred on a half, and rows count downwards.
        corners = np.stack((line[:, 0] - 0.5, height - line[:, 1] - 0.5), -1)
        ImageDraw.Draw(mask).polygon([tuple(corner) for corner in corners.tolist()], fill=1)
        winding += np.asarray(mask, dtype=np.int16) * (1 if _area(line) > 0 else -1)
    return winding


def _area(line: np.ndarray) -> float:
    """Return the area that a closed line goes round, positive if anticlockwise."""
    import numpy as np

    x, y = line.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2
