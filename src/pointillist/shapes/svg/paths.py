"""Shapes of SVG as polylines (M, 2), y downwards, in their own coordinates; transforms and lengths."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from xml.etree.ElementTree import Element

_LINES_PER_CURVE = 48
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_LENGTH = re.compile(rf"({_NUMBER})\s*([a-z%]*)", re.IGNORECASE)
_FUNCTION = re.compile(r"([a-z]+)\s*\(([^)]*)\)", re.IGNORECASE)
_UNITS = {
    "": 1.0,
    "px": 1.0,
    "in": 96.0,
    "cm": 96 / 2.54,
    "mm": 96 / 25.4,
    "q": 96 / 101.6,
    "pt": 96 / 72,
    "pc": 16.0,
    "em": 16.0,
    "rem": 16.0,
    "ex": 8.0,
    # Angles, in degrees.
    "deg": 1.0,
    "grad": 0.9,
    "rad": 180 / np.pi,
    "turn": 360.0,
}


_PLACED = {
    "line": ("x1", "y1", "x2", "y2"),
    "rect": ("x", "y", "width", "height", "rx", "ry"),
    "circle": ("cx", "cy", "r"),
    "ellipse": ("cx", "cy", "rx", "ry"),
}


def length(text: str | None, whole: float, default: float = 0.0) -> float:
    """Return a length in px; a percentage is one of `whole`; what is no length is the default."""
    found = _LENGTH.fullmatch((text or "").strip())
    if found is None:
        return default
    number, unit = float(found.group(1)), found.group(2).lower()
    return number * whole / 100 if unit == "%" else number * _UNITS.get(unit, 1.0)


def numbers(text: str) -> list[float]:
    """Return all numbers of a text, those with a unit in px or degrees."""
    return [float(n) * _UNITS.get(unit.lower(), 1.0) for n, unit in _LENGTH.findall(text)]


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return points (M, 2) moved by an affine matrix (3, 3)."""
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def transform(text: str) -> np.ndarray:
    """Return the matrix (3, 3) of a list of transform functions; unknown ones are left out."""
    matrix = np.eye(3)
    for name, arguments in _FUNCTION.findall(text):
        try:
            matrix = matrix @ _TRANSFORMS[name](*numbers(arguments))
        except (KeyError, TypeError):
            continue
    return matrix


def translation(x: float, y: float = 0.0) -> np.ndarray:
    """Return the matrix (3, 3) that moves by x and y."""
    return _matrix(1, 0, 0, 1, x, y)


def scaling(x: float, y: float | None = None) -> np.ndarray:
    """Return the matrix (3, 3) that scales the axes by x and y, or both by x."""
    return _matrix(x, 0, 0, x if y is None else y, 0, 0)


def _matrix(a: float, b: float, c: float, d: float, e: float, f: float) -> np.ndarray:
    return np.array([[a, c, e], [b, d, f], [0, 0, 1]], dtype=np.float64)


def _rotation(degrees: float, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return translation(x, y) @ _matrix(cos, sin, -sin, cos, 0, 0) @ translation(-x, -y)


def _skew(x: float, y: float = 0.0) -> np.ndarray:
    return _matrix(1, np.tan(np.deg2rad(y)), np.tan(np.deg2rad(x)), 1, 0, 0)


_TRANSFORMS: dict[str, Callable[..., np.ndarray]] = {
    "matrix": _matrix,
    "translate": translation,
    "translateX": translation,
    "translateY": lambda y: translation(0, y),
    "scale": scaling,
    "scaleX": lambda x: scaling(x, 1),
    "scaleY": lambda y: scaling(1, y),
    "rotate": _rotation,
    "skew": _skew,
    "skewX": _skew,
    "skewY": lambda y: _skew(0, y),
}


def in_px(element: Element, tag: str, width: float, height: float) -> dict[str, str]:
    """Return the attributes of a basic shape or path that place it, in px, in a viewport so large."""
    if tag in ("path", "polyline", "polygon"):
        name = "d" if tag == "path" else "points"
        return {name: element.get(name, "")}
    diagonal = np.hypot(width, height) / np.sqrt(2)
    found = {}
    for name in _PLACED[tag]:
        across = width if "x" in name or name == "width" else height
        whole = diagonal if name == "r" else across
        # One radius of two that isn't given is as the other: it has no default.
        value = length(element.get(name), whole, np.nan if name in ("rx", "ry") else 0.0)
        if not (name in ("rx", "ry") and not value >= 0):
            found[name] = repr(float(value))
    if "rx" in found or "ry" in found:
        rx, ry = found.get("rx"), found.get("ry")
        found |= {"rx": rx or ry or "0", "ry": ry or rx or "0"}
    return found


def polylines(placed: Mapping[str, str], tag: str) -> list[np.ndarray]:
    """Return the polylines of a basic shape or path `placed` in px; a closed one is back at its start.

    Raises
    ------
    ValueError
        If the data of a path can't be read.
    """
    pen = Pen()
    if tag == "path":
        from fontTools.svgLib.path import parse_path

        parse_path(placed["d"], pen)
        pen.endPath()
        return pen.lines
    if tag in ("polyline", "polygon"):
        found = numbers(placed["points"])
        corners = np.array(found[: len(found) // 2 * 2]).reshape(-1, 2)
        return [corners if tag == "polyline" else np.concatenate((corners, corners[:1]))]
    at = {name: float(value) for name, value in placed.items()}
    if tag == "line":
        return [np.array([[at["x1"], at["y1"]], [at["x2"], at["y2"]]])]
    if tag == "rect":
        sides = at["x"], at["y"], at["width"], at["height"]
        _rectangle(pen, *sides, at.get("rx", 0.0), at.get("ry", 0.0))
        return pen.lines
    rx, ry = at.get("rx", at.get("r", 0.0)), at.get("ry", at.get("r", 0.0))
    if rx <= 0 or ry <= 0:
        return []
    circle = _circle(2 * np.pi * np.arange(4 * _LINES_PER_CURVE) / (4 * _LINES_PER_CURVE))
    return [np.concatenate((circle, circle[:1])) * (rx, ry) + (at["cx"], at["cy"])]


def _rectangle(
    pen: Pen, x: float, y: float, width: float, height: float, rx: float, ry: float
) -> None:
    if width <= 0 or height <= 0:
        return
    rx, ry = min(rx, width / 2), min(ry, height / 2)
    right, bottom = x + width, y + height
    pen.moveTo((x + rx, y))
    for line_to, arc_to in (
        ((right - rx, y), (right, y + ry)),
        ((right, bottom - ry), (right - rx, bottom)),
        ((x + rx, bottom), (x, bottom - ry)),
        ((x, y + ry), (x + rx, y)),
    ):
        pen.lineTo(line_to)
        if rx and ry:
            pen.arcTo(rx, ry, 0, False, True, arc_to)
    pen.closePath()


class Pen:
    """Collects what fontTools reads of a path: its protocol of pens, with arcs."""

    def __init__(self) -> None:
        self.lines: list[np.ndarray] = []
        self._points: list[np.ndarray] = []

    def moveTo(self, point: tuple[float, float]) -> None:
        """Begin a line."""
        self.endPath()
        self._points = [np.array([point])]

    def lineTo(self, point: tuple[float, float]) -> None:
        """Go straight."""
        self._points.append(np.array([point]))

    def curveTo(self, *points: tuple[float, float]) -> None:
        """Go along a cubic Bézier curve."""
        p0, (p1, p2, p3) = self._points[-1][-1], np.array(points)
        t = np.linspace(0, 1, _LINES_PER_CURVE + 1)[1:, None]
        s = 1 - t
        self._points.append(s**3 * p0 + 3 * s**2 * t * p1 + 3 * s * t**2 * p2 + t**3 * p3)

    def qCurveTo(self, *points: tuple[float, float]) -> None:
        """Go along a quadratic Bézier curve."""
        p0, (p1, p2) = self._points[-1][-1], np.array(points)
        t = np.linspace(0, 1, _LINES_PER_CURVE + 1)[1:, None]
        s = 1 - t
        self._points.append(s**2 * p0 + 2 * s * t * p1 + t**2 * p2)

    def arcTo(
        self,
        rx: float,
        ry: float,
        rotation: float,
        large: bool,
        sweep: bool,
        end: tuple[float, float],
    ) -> None:
        """Go along an arc of an ellipse (SVG 2, appendix B.2.4, from endpoints to the centre)."""
        rx, ry = abs(rx), abs(ry)
        start, stop = self._points[-1][-1], np.array(end)
        if not rx or not ry or (start == stop).all():
            return self.lineTo(end)
        turned = _rotation(rotation)[:2, :2] * (rx, ry)
        # In units of the radii the ellipse is a circle of radius 1, or as large as it must be.
        a, b = np.linalg.solve(turned, np.stack((start, stop), -1)).T
        half = (b - a) / 2
        reach = max(1.0, float(np.hypot(*half)))
        aside = np.sqrt(max(0.0, reach**2 / (half @ half) - 1))
        centre = (a + b) / 2 + (1 if bool(large) == bool(sweep) else -1) * aside * half[::-1] * (
            1,
            -1,
        )
        first, last = (np.arctan2(*(p - centre)[::-1]) for p in (a, b))
        span = (last - first) % (2 * np.pi) - (0 if sweep else 2 * np.pi)
        count = int(np.ceil(abs(span) / (np.pi / 2))) * _LINES_PER_CURVE
        angles = first + span * np.arange(1, count + 1) / count
        arc = (centre + reach * _circle(angles)) @ turned.T
        arc[-1] = stop
        self._points.append(arc)
        return None

    def closePath(self) -> None:
        """Go back to where the line began."""
        if self._points:
            self._points.append(self._points[0])
        self.endPath()

    def endPath(self) -> None:
        """End a line where it is."""
        if len(self._points) > 1:
            self.lines.append(np.concatenate(self._points))
        self._points = []


def _circle(angles: np.ndarray) -> np.ndarray:
    return np.stack((np.cos(angles), np.sin(angles)), -1)
