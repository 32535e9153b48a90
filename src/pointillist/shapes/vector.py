"""Drawings: the lines of an SVG file.

The file may come from anybody. Before svgelements reads it, defusedxml refuses entities, and what would
reach outside the file, or unfold to more than a bound, is refused too; nothing else is ever opened.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pointillist.errors import PointillistError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from xml.etree.ElementTree import Element

    import numpy as np

SUFFIXES = (".svg",)
_MOST, _DEEPEST = 200_000, 200
# The square of a larger coordinate, in units of the drawing, says nothing any more.
_GREATEST = 1e9
_LINES_PER_CURVE = 48
_COMMAND, _NUMBER = re.compile(r"[MLHVCSQTAZ]", re.IGNORECASE), re.compile(r"[\d.]+")
_HIDING = frozenset({"clipPath", "mask", "marker", "pattern"})
_OUTSIDE = re.compile(r"url\(\s*+['\"]?+\s*+(?!#)([^)'\"]*)|@import\s+([^;]*)", re.IGNORECASE)


def read(path: Path) -> list[np.ndarray]:
    """Return the lines that an SVG file draws: arrays (M, 2), y upwards, closed ones back at their start.

    Paths, polygons, polylines, lines, circles, ellipses and rectangles, with their transforms; curves
    as fine polylines. What isn't shown (display, visibility, neither fill nor stroke) doesn't count.
    Every element's areas wind anticlockwise and its holes clockwise, so that areas which overlap add up.

    Raises
    ------
    PointillistError
        If it is no SVG, draws no line, refers to something outside itself, declares entities, or is too
        large once it is unfolded.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PointillistError(f"{path} can't be read: {error.strerror}.") from None
    root = _parsed(content, path)
    _refuse_outside(root, path)
    _refuse_bombs(root, path)
    _hide(root)
    lines = _flattened(root, path)
    if not lines:
        words = any(_tag(element) in ("text", "tspan") for element in root.iter())
        raise PointillistError(
            f"{path} draws no line. "
            + (
                "It holds text: convert it to paths first, or write it with --params text=WORD."
                if words
                else "It needs a visible path, polygon, line, circle, ellipse or rectangle."
            )
        )
    return lines


def _parsed(content: bytes, path: Path) -> Element:
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if content.startswith(b"\x1f\x8b"):
        raise PointillistError(f"{path} is compressed (SVGZ). Unpack it, or save it as plain SVG.")
    try:
        root: Element = fromstring(content, forbid_dtd=False, forbid_entities=True)
    except DefusedXmlException:
        raise PointillistError(
            f"{path} declares entities, which aren't read. Save it as plain SVG."
        ) from None
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise PointillistError(f"{path} is no SVG: {error}. Save it anew.") from None
    if _tag(root) != "svg":
        raise PointillistError(f"{path} is no SVG: it begins with <{_tag(root)}>.")
    return root


def _refuse_outside(root: Element, path: Path) -> None:
    """Refuse references to what is not in the file; a hyperlink around something is none."""
    for element in root.iter():
        tag = _tag(element)
        texts = [element.text or ""] if tag == "style" else []
        for name, value in element.attrib.items():
            if name.rpartition("}")[2] == "href":
                if tag != "a" and not value.strip().startswith(("#", "data:")):
                    raise _outside(path, value)
            else:
                texts.append(value)
        for text in texts:
            if found := _OUTSIDE.search(text):
                target = found.group(1) or found.group(2) or ""
                if not target.strip().startswith("data:"):
                    raise _outside(path, target)


def _outside(path: Path, target: str) -> PointillistError:
    shown = target.strip()[:60]
    return PointillistError(
        f"{path} refers to {shown!r}, outside the file. Embed it, or delete the reference."
    )


def _refuse_bombs(root: Element, path: Path) -> None:
    """Refuse what is too deep, or too large once every `use` is replaced by what it shows."""
    by_id = {found: element for element in root.iter() if (found := element.get("id"))}
    sizes: dict[Element, int] = {}

    def size(element: Element, depth: int) -> int:
        if depth > _DEEPEST:
            raise PointillistError(
                f"{path} is nested more than {_DEEPEST} deep, or shows itself within itself. Flatten it."
            )
        if element not in sizes:
            total = 1 + _least_segments(element)
            total += sum(size(child, depth + 1) for child in element)
            if _tag(element) == "use" and (target := by_id.get(_reference(element))) is not None:
                total += size(target, depth + 1)
            sizes[element] = total
        return sizes[element]

    if size(root, 0) > _MOST:
        raise PointillistError(
            f"{path} unfolds to more than {_MOST:,} elements and segments. Simplify it."
        )


def _least_segments(element: Element) -> int:
    """Return how many segments a path has at least: one per command, one per 7 numbers (an arc's)."""
    data = element.get("d") or element.get("points") or ""
    return max(len(_COMMAND.findall(data)), len(_NUMBER.findall(data)) // 7)


def _hide(root: Element) -> None:
    """Take out what clips, paints or lacks data; put symbols, shown where they are used, in defs."""
    for parent in list(root.iter()):
        for child in list(parent):
            if _tag(child) in _HIDING or (_tag(child) == "path" and not child.get("d")):
                parent.remove(child)
            elif _tag(child) == "symbol":
                defs = parent.makeelement(child.tag.replace("symbol", "defs"), {})
                defs.append(child)
                parent[list(parent).index(child)] = defs


def _flattened(root: Element, path: Path) -> list[np.ndarray]:
    from xml.etree.ElementTree import tostring

    import numpy as np
    from svgelements import SVG, Path, Shape

    try:
        drawing = SVG.parse(BytesIO(tostring(root)), reify=True)
        shapes = [abs(Path(shape)) for shape in drawing.elements() if _shown(shape, Shape)]
    except (
        ValueError,
        TypeError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
    ) as error:
        raise PointillistError(
            f"{path} holds something that can't be read ({error or type(error).__name__}). Save it as "
            "plain SVG."
        ) from None
    if sum(map(len, shapes)) > _MOST:
        raise PointillistError(f"{path} has more than {_MOST:,} segments. Simplify it.")
    drawn = [(list(_polylines(shape)), shape.values.get("fill-rule")) for shape in shapes]
    if any(
        not np.isfinite(line).all() or abs(line).max() > _GREATEST
        for lines, _ in drawn
        for line in lines
    ):
        raise PointillistError(
            f"{path} has coordinates that aren't finite, or above {_GREATEST:g}. Scale it down."
        )
    return [
        line
        for lines, rule in drawn
        for line in _turned([line for line in lines if np.ptp(line, axis=0).any()], rule)
    ]


def _turned(lines: list[np.ndarray], rule: str | None) -> list[np.ndarray]:
    """Turn an element's lines so that its areas wind anticlockwise and its holes clockwise.

    By the even-odd rule a line inside an odd number of the others bounds a hole; by the other one, the
    directions tell, and the largest line bounds an area.
    """
    import numpy as np
    from matplotlib.path import Path

    areas = [_area(line) for line in lines]
    if rule != "evenodd":
        turn = min(areas, key=lambda area: -abs(area), default=0.0) < 0
        return [line[::-1] if turn else line for line in lines]
    starts = np.array([line[0] for line in lines]).reshape(-1, 2)
    around = np.zeros(len(lines), dtype=np.int64)
    for k, line in enumerate(lines):
        within = Path(line).contains_points(starts)
        within[k] = False
        around += within
    return [
        line[::-1] if (area < 0) == (depth % 2 == 0) else line
        for line, area, depth in zip(lines, areas, around.tolist(), strict=True)
    ]


def _area(line: np.ndarray) -> float:
    """Return the area that a line goes round, closed by a straight one: positive if anticlockwise."""
    import numpy as np

    x, y = (line - line[0]).T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def _shown(element: Any, shape: type) -> bool:
    if not isinstance(element, shape):
        return False
    values: dict[str, Any] = element.values  # type: ignore[attr-defined]
    hidden = values.get("visibility") in ("hidden", "collapse") or values.get("display") == "none"
    unpainted = all(
        str(values.get(paint, default)) in ("none", "transparent")
        or _clear(values, f"{paint}-opacity")
        for paint, default in (("fill", "black"), ("stroke", "none"))
    )
    return not (hidden or unpainted or _clear(values, "opacity"))


def _clear(values: dict[str, Any], name: str) -> bool:
    return re.fullmatch(r"\s*0*\.?0*%?\s*", str(values.get(name, 1))) is not None


def _polylines(path: Any) -> Iterator[np.ndarray]:
    """Yield every part of a path of svgelements as a polyline, y turned upwards."""
    import numpy as np
    from svgelements import Close, Line, Move

    points: list[np.ndarray] = []
    for segment in path:
        if isinstance(segment, Move) or not points:
            if len(points) > 1:
                yield np.concatenate(points)
            points = [_row(segment.end)] if segment.end is not None else []
        if isinstance(segment, Move):
            continue
        if isinstance(segment, Line | Close):
            if segment.end is not None:
                points.append(_row(segment.end))
        else:
            curve = segment.npoint(np.linspace(0, 1, _LINES_PER_CURVE + 1)[1:])
            points.append(np.asarray(curve, dtype=np.float64).reshape(-1, 2) * (1, -1))
    if len(points) > 1:
        yield np.concatenate(points)


def _row(point: Any) -> np.ndarray:
    import numpy as np

    return np.array([[float(point.x), -float(point.y)]])


def _reference(element: Element) -> str:
    for name, value in element.attrib.items():
        if name.rpartition("}")[2] == "href":
            return value.strip().removeprefix("#")
    return ""


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
