"""The shapes of the installed Data Morph package: its starter shapes and its target shapes.

Data Morph (https://github.com/stefmolin/data-morph) ships starter shapes as CSV files, which are
read without running its code. Its target shapes are made by its code, whose import takes matplotlib
along; so their names stand here, and a test holds them against the package.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointillist.errors import PointillistError, nearest
from pointillist.shapes.curves import along

if TYPE_CHECKING:
    import numpy as np

N_POINTS = 1_000
_FILES = {
    "bunny": "bunny.csv",
    "cat": "cat.csv",
    "dino": "dino.csv",
    "dog": "dog.csv",
    "gorilla": "gorilla.csv",
    "music": "music.csv",
    "panda": "panda.csv",
    "pi": "pi.csv",
    "Python": "python.csv",
    "SDS": "superdatascience.csv",
    "sheep": "sheep.csv",
    "soccer": "soccer_ball.csv",
}
STARTERS = tuple(_FILES)
TARGETS = (
    "bullseye",
    "circle",
    "club",
    "diamond",
    "dots",
    "down_parab",
    "figure_eight",
    "h_lines",
    "heart",
    "high_lines",
    "left_parab",
    "rectangle",
    "right_parab",
    "rings",
    "scatter",
    "slant_down",
    "slant_up",
    "spade",
    "spiral",
    "star",
    "up_parab",
    "v_lines",
    "wide_lines",
    "x",
)
# The others are clouds of points.
TRACED = frozenset(TARGETS) - {"dots", "scatter"}
# How many points each smooth curve of a target has, where they are several; hearts break at the dent.
_CURVES = {
    "club": (30, 30, 30, 8, 6, 6),
    "heart": (40, 40),
    "spade": (40, 40, 12, 12, 12),
}
_CLOSED = frozenset({"figure_eight"})


def starter_path(name: str) -> Path:
    """Return the CSV file of the starter shape `name`, one of `STARTERS`.

    Raises
    ------
    PointillistError
        If there is no such shape, or the package is not installed.
    """
    if name not in _FILES:
        raise _unknown(name, STARTERS)
    return _folder() / "data" / "starter_shapes" / _FILES[name]


def place_target(name: str, n: int = N_POINTS) -> np.ndarray:
    """Place the target shape `name`, one of `TARGETS`: points (n, 2), float64, within some 0 to 100.

    They lie evenly along the lines of the shape. A shape that isn't in `TRACED` is a cloud: it keeps
    the package's own points, however many they are.

    Raises
    ------
    PointillistError
        If there is no such shape, or the package is not installed or of another version.
    """
    import numpy as np

    if name not in TARGETS:
        raise _unknown(name, TARGETS)
    shape = _target(name)
    if name not in TRACED:
        return np.array(shape.points, dtype=np.float64)
    return along(_lines(name, shape), n)


def _target(name: str) -> Any:
    """Let the package make a target shape, around points that fill a square evenly."""
    _folder()
    import numpy as np
    import pandas as pd
    from data_morph.data.dataset import Dataset
    from data_morph.shapes.factory import ShapeFactory

    side = np.linspace(0, 100, 101)
    x, y = (axis.ravel() for axis in np.meshgrid(side, side))
    return ShapeFactory(Dataset("square", pd.DataFrame({"x": x, "y": y}))).generate_shape(name)


def _lines(name: str, shape: Any) -> list[np.ndarray]:
    """Return the polylines, (M, 2) each, that a target shape is made of."""
    import numpy as np

    if hasattr(shape, "lines"):
        return list(np.asarray(shape.lines, dtype=np.float64))
    if circles := getattr(shape, "circles", [shape] if hasattr(shape, "radius") else []):
        angle = np.linspace(0, 2 * np.pi, 2_049)
        round_one = np.stack((np.cos(angle), np.sin(angle)), -1)
        return [np.asarray(circle.center) + circle.radius * round_one for circle in circles]
    points = np.asarray(shape.points, dtype=np.float64)
    if name in _CLOSED:
        return [_smooth(np.concatenate((points, points[:1])), closed=True)]
    sizes = _CURVES.get(name, (len(points),))
    if sum(sizes) != len(points):
        raise PointillistError(
            f"The installed data-morph-ai draws {name} with {len(points)} points, not {sum(sizes)}: "
            "its curves can't be told apart. Install data-morph-ai 0.4."
        )
    return [_smooth(part) for part in np.split(points, np.cumsum(sizes)[:-1])]


def _smooth(points: np.ndarray, closed: bool = False) -> np.ndarray:
    """Return a finer polyline along the cubic spline through `points` (M, 2), which are sparse."""
    import numpy as np
    from scipy.interpolate import CubicSpline

    chords = np.hypot(*np.diff(points, axis=0).T)
    knots = np.concatenate(([0.0], chords.cumsum()))
    spline = CubicSpline(knots, points, bc_type="periodic" if closed else "not-a-knot")
    fine = np.linspace(0, knots[-1], 50 * len(points))
    return np.asarray(spline(np.union1d(knots, fine)))


@cache
def _folder() -> Path:
    """Find the installed package without importing it."""
    spec = find_spec("data_morph")
    if spec is None or spec.origin is None:
        raise PointillistError(
            "The package data-morph-ai, which ships the shapes, is not installed."
        )
    return Path(spec.origin).parent


def _unknown(name: str, known: tuple[str, ...]) -> PointillistError:
    return PointillistError(
        f"Data Morph has no shape {name!r}.{nearest(name, known)} Known: {', '.join(known)}."
    )
