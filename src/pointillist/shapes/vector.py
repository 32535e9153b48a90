"""Drawings: what an SVG file shows, as lines and as areas.

The file may come from anybody. defusedxml refuses entities, and what would reach outside the file, or
unfold to more than a bound, is refused too; nothing else is ever opened.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pointillist.errors import PointillistError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from xml.etree.ElementTree import Element

    import numpy as np

    from pointillist.shapes.curves import Areas

logger = logging.getLogger(__name__)

SUFFIXES = (".svg",)
_MOST, _MOST_POINTS, _DEEPEST = 200_000, 10_000_000, 200
# Squares of larger coordinates, in units of the drawing, lose all precision.
_GREATEST = 1e9
_NAMESPACE = "http://www.w3.org/2000/svg"
_REFERRING = ("clip-path", "mask", "marker-start", "marker-end")
_COMMAND, _NUMBER = re.compile(r"[MLHVCSQTAZ]", re.IGNORECASE), re.compile(r"[\d.]+")
_OUTSIDE = re.compile(r"url\(\s*+['\"]?+\s*+(?!#)([^)'\"]*)|@import\s+([^;]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Drawing:
    """What an SVG file shows."""

    lines: list[np.ndarray]
    """The visible outlines and the middles of strokes: arrays (M, 2), px, y upwards; closed ones are
    back at their start."""
    areas: Callable[[], Areas]
    """Draws and returns what is filled or enclosed by a line, px, y upwards."""


def read(path: Path) -> Drawing:
    """Return what an SVG file draws, as a browser would show it on white paper.

    Paths, polygons, polylines, lines, circles, ellipses and rectangles, with their styles, transforms,
    clip paths and masks; curves as fine polylines. A line counts where it is visible: the edge of a fill
    that differs from what is beside it, the middle of a stroke. A page of one colour is paper. Texts and
    embedded pictures are left out, with a warning.

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
    try:
        return _drawn(root, path)
    except (ValueError, ArithmeticError, LookupError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PointillistError(
            f"{path} holds something that can't be read ({reason[:120]}). Save it as plain SVG."
        ) from None


def _drawn(root: Element, path: Path) -> Drawing:
    from pointillist.shapes.svg import css
    from pointillist.shapes.svg.layout import PICTURE, Layout
    from pointillist.shapes.svg.visible import View

    css.resolve(root)
    # Style sheets may refer to more than the elements themselves did.
    _refuse_bombs(root, path)
    layout = Layout(root)
    _refuse_extremes([line.points for line in layout.lines], path)
    view = View(layout) if layout.lines else None
    for paper in view.papers() if view is not None else ():
        if view is not None and (lines := view.lines(paper)):
            if layout.left_out:
                logger.warning("%s", _said_of(layout.left_out, path))
            return Drawing([line * (1, -1) for line in lines], partial(view.areas, paper))
    raise PointillistError(
        f"{path} draws no line. "
        + (
            "It holds text: convert it to paths first, or write it with --params text=WORD."
            if any(name != PICTURE for name in layout.left_out)
            else "It needs a visible path, polygon, line, circle, ellipse or rectangle."
        )
    )


def _refuse_extremes(lines: list[np.ndarray], path: Path) -> None:
    import numpy as np

    if sum(map(len, lines)) > _MOST_POINTS:
        raise PointillistError(f"{path} has more than {_MOST:,} segments. Simplify it.")
    if not all(np.isfinite(line).all() and abs(line).max() <= _GREATEST for line in lines):
        raise PointillistError(
            f"{path} has coordinates that aren't finite, or above {_GREATEST:g}. Scale it down."
        )


def _said_of(left_out: list[str], path: Path) -> str:
    """Say what of a drawing has no lines."""
    from pointillist.shapes.svg.layout import PICTURE

    texts = [name for name in left_out if name != PICTURE]
    pictures = len(left_out) - len(texts)
    said = []
    if texts:
        shown = ", ".join(dict.fromkeys(texts[:5])) + ", …" * (len(texts) > 5)
        said.append(f"{len(texts)} text{'s' * (len(texts) > 1)} ({shown})")
    if pictures:
        said.append(f"{pictures} embedded picture{'s' * (pictures > 1)}")
    return (
        f"{path}: {' and '.join(said)} left out, since only lines and areas are read."
        + " Convert texts to paths to keep them." * bool(texts)
    )


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
    _leave_foreign_out(root)
    return root


def _leave_foreign_out(root: Element) -> None:
    """Remove the elements of other namespaces, such as those of editors; put the rest in that of SVG."""
    own = root.tag.rpartition("}")[0]
    for element in list(root.iter()):
        if _tag(element) == "foreignObject":
            element.text = " ".join(element.itertext())
        for child in list(element):
            if not isinstance(child.tag, str) or child.tag.rpartition("}")[0] != own:
                element.remove(child)
        element.tag = f"{{{_NAMESPACE}}}{_tag(element)}"


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
            for name in _shown_with(element):
                if (target := by_id.get(name)) is not None:
                    total += size(target, depth + 1)
            sizes[element] = total
        return sizes[element]

    if size(root, 0) > _MOST:
        raise PointillistError(
            f"{path} unfolds to more than {_MOST:,} elements and segments. Simplify it."
        )


def _shown_with(element: Element) -> list[str]:
    """Return the ids of what is walked once more for each time that an element is."""
    from pointillist.shapes.svg.layout import reference, referred

    used = [reference(element)] if _tag(element) == "use" else []
    return used + [referred(element.get(name, "")) for name in _REFERRING]


def _least_segments(element: Element) -> int:
    """Return how many segments a path has at least: one per command, one per 7 numbers (an arc's)."""
    data = element.get("d") or element.get("points") or ""
    return max(len(_COMMAND.findall(data)), len(_NUMBER.findall(data)) // 7)


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
