"""The lines of all elements of an SVG, where they are drawn."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from pointillist.shapes.svg import paths

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

SHAPES = frozenset({"path", "line", "polyline", "polygon", "circle", "ellipse", "rect"})
PICTURE = "a picture"
"""What an embedded picture is called among what is left out."""
_KEYWORDS = {"left": "0%", "top": "0%", "center": "50%", "right": "100%", "bottom": "100%"}
_ALIGN = {"Min": 0.0, "Mid": 0.5, "Max": 1.0}


@dataclass(frozen=True)
class Line:
    """A polyline (M, 2), y downwards, in px, and how wide its stroke is: 0 without one."""

    points: np.ndarray
    stroke: float


@dataclass(frozen=True)
class _Inherited:
    """What an element has from those around it."""

    viewport: tuple[float, float]
    fill: str = "black"
    stroke: str = "none"
    width: str = "1"
    fill_opacity: str = "1"
    stroke_opacity: str = "1"
    visible: bool = True

    def of(self, element: Element) -> _Inherited:
        """Return these with what `element` says."""
        said = {
            key: value
            for key, name in (
                ("fill", "fill"),
                ("stroke", "stroke"),
                ("width", "stroke-width"),
                ("fill_opacity", "fill-opacity"),
                ("stroke_opacity", "stroke-opacity"),
            )
            if (value := element.get(name, "inherit")) != "inherit"
        }
        visible = element.get("visibility", "inherit")
        return replace(
            self, **said, visible=self.visible if visible == "inherit" else visible == "visible"
        )


@dataclass
class Lines:
    """Walks a drawing and collects its lines.

    Transforms are settled as it goes, each written back as one matrix, and of a `switch` one child
    stays, so that whoever renders the tree afterwards sees what was walked.
    """

    by_id: dict[str, Element]
    paints: dict[Element, tuple[str, str]] = field(default_factory=dict)
    """Fill and stroke of each shape; "none" for what can't be seen."""
    left_out: list[str] = field(default_factory=list)
    """What is shown and has no lines: texts and embedded pictures."""

    def of_drawing(self, root: Element) -> tuple[list[Line], tuple[float, float] | None]:
        """Return the lines of the outermost `svg`, and width and height of its page if it has one."""
        for name in ("x", "y", "transform", "transform-origin"):
            root.attrib.pop(name, None)
        box = view_box(root)
        wide, high = box[2:] if box else (np.nan, np.nan)
        width = paths.length(root.get("width"), wide, wide)
        height = paths.length(root.get("height"), high, high)
        if not (width > 0 and height > 0):
            # Without a side, it is as large as what it shows.
            return self._children(root, _Inherited((300.0, 150.0)).of(root)), None
        around, place = _Inherited((width, height)), (0.0, 0.0, width, height)
        return self._in_viewport(root, around, place, cuts=False), (width, height)

    def _element(self, element: Element, around: _Inherited) -> list[Line]:
        """Return the lines of an element, in the coordinates of its parent."""
        if element.get("display") == "none":
            return []
        tag, own = local_name(element), around.of(element)
        match tag:
            case "svg":
                lines = self._in_viewport(element, around, _place(element, around.viewport))
            case "g" | "a":
                lines = self._children(element, own)
            case "switch":
                _choose(element)
                lines = self._children(element, own)
            case "use":
                lines = self._used(element, own)
            case "text" | "image" | "foreignObject" if own.visible:
                self.left_out.append(_named(element, tag))
                return []
            case _ if tag in SHAPES:
                lines = self._shape(element, tag, own)
            case _:
                return []
        for name in ("clip-path", "mask"):
            if (reference := self.by_id.get(referred(element.get(name, "")))) is not None and lines:
                lines = lines + self._cut(reference, own, lines)
        matrix = _settled_transform(element, own.viewport, lines)
        return [_moved(line, matrix) for line in lines] if matrix is not None else lines

    def _children(self, element: Element, own: _Inherited) -> list[Line]:
        return [line for child in list(element) for line in self._element(child, own)]

    def _shape(self, element: Element, tag: str, own: _Inherited) -> list[Line]:
        from pointillist.shapes.svg.colors import is_clear

        width = paths.length(own.width, np.hypot(*own.viewport) / np.sqrt(2), 1.0)
        stroked = not is_clear(own.stroke, own.stroke_opacity) and width > 0
        filled = not is_clear(own.fill, own.fill_opacity) and tag != "line"
        if not own.visible or not (stroked or filled):
            return []
        self.paints[element] = own.fill if filled else "none", own.stroke if stroked else "none"
        return [
            Line(points, width if stroked else 0.0)
            for points in paths.polylines(element, tag, *own.viewport)
            if len(points) > 1 and np.ptp(points, axis=0).any()
        ]

    def _used(self, element: Element, own: _Inherited) -> list[Line]:
        target = self.by_id.get(reference(element))
        if target is None or target.get("display") == "none":
            return []
        x, y, width, height = _place(element, own.viewport)
        if local_name(target) in ("symbol", "svg"):
            # What the use says of its size goes before what the symbol says.
            _, _, symbol_width, symbol_height = _place(target, own.viewport)
            size = (
                width if element.get("width") else symbol_width,
                height if element.get("height") else symbol_height,
            )
            lines = self._in_viewport(target, own, (0.0, 0.0, *size))
        else:
            lines = self._element(target, own)
        return [_moved(line, paths.translation(x, y)) for line in lines]

    def _in_viewport(
        self,
        element: Element,
        around: _Inherited,
        place: tuple[float, float, float, float],
        cuts: bool = True,
    ) -> list[Line]:
        """Return the lines of an `svg` or `symbol` shown at `place`, and the edge where it cuts them."""
        x, y, width, height = place
        if width <= 0 or height <= 0:
            return []
        box = view_box(element)
        own = replace(around.of(element), viewport=box[2:] if box else (width, height))
        matrix = paths.translation(x, y) @ _fitted(element, box, width, height)
        lines = [_moved(line, matrix) for line in self._children(element, own)]
        if lines and cuts and element.get("overflow", "hidden") not in ("visible", "auto"):
            low, high = extent(lines)
            if (low < (x, y)).any() or (high > (x + width, y + height)).any():
                corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])
                lines.append(Line(corners * (width, height) + (x, y), 0.0))
        return lines

    def _cut(self, cutter: Element, own: _Inherited, lines: list[Line]) -> list[Line]:
        """Return the lines of a clip path or mask around `lines`: where it cuts, there is an edge."""
        tag = local_name(cutter)
        content = "clipPathUnits" if tag == "clipPath" else "maskContentUnits"
        matrix = np.eye(3)
        if cutter.get(content) == "objectBoundingBox":
            low, high = extent(lines)
            matrix = paths.translation(*low) @ paths.scaling(*(high - low))
        plain = replace(_Inherited(own.viewport), fill="black")
        known, self.paints = self.paints, {}
        found = self._children(cutter, plain.of(cutter) if tag == "mask" else plain)
        self.paints = known
        settled = _settled_transform(cutter, own.viewport, found)
        matrix = matrix if settled is None else matrix @ settled
        return [replace(_moved(line, matrix), stroke=0.0) for line in found]


def extent(lines: Iterable[Line]) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest coordinates of `lines`."""
    arrays = [line.points for line in lines]
    low = np.min([points.min(0) for points in arrays], axis=0)
    return low, np.max([points.max(0) for points in arrays], axis=0)


def local_name(element: Element) -> str:
    """Return an element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def reference(element: Element) -> str:
    """Return the id that a `use` refers to."""
    for name, value in element.attrib.items():
        if name.rpartition("}")[2] == "href":
            return value.strip().removeprefix("#")
    return ""


def referred(value: str) -> str:
    """Return the id in a value such as `url(#a)`."""
    found = re.search(r"url\(\s*['\"]?#([^)'\"]*)", value)
    return found.group(1).strip() if found else ""


def view_box(element: Element) -> tuple[float, float, float, float] | None:
    """Return the view box of an `svg` or `symbol`, if it has one that can be used."""
    found = paths.numbers(element.get("viewBox", ""))
    return tuple(found) if len(found) == 4 and min(found[2:]) > 0 else None  # type: ignore[return-value]


def _place(element: Element, viewport: tuple[float, float]) -> tuple[float, float, float, float]:
    width, height = viewport
    return (
        paths.length(element.get("x"), width),
        paths.length(element.get("y"), height),
        paths.length(element.get("width"), width, width),
        paths.length(element.get("height"), height, height),
    )


def _fitted(
    element: Element, box: tuple[float, float, float, float] | None, width: float, height: float
) -> np.ndarray:
    """Return the matrix that fits a view box into a viewport (SVG 2, section 8.2)."""
    if box is None:
        return np.eye(3)
    across, down = width / box[2], height / box[3]
    aspect = element.get("preserveAspectRatio", "").split()
    align = aspect[0] if aspect and re.fullmatch(r"xM\w\wYM\w\w|none", aspect[0]) else "xMidYMid"
    if align == "none":
        return paths.scaling(across, down) @ paths.translation(-box[0], -box[1])
    scale = max(across, down) if "slice" in aspect[1:] else min(across, down)
    left = (width - scale * box[2]) * _ALIGN.get(align[1:4], 0.5)
    top = (height - scale * box[3]) * _ALIGN.get(align[5:8], 0.5)
    return paths.translation(left, top) @ paths.scaling(scale) @ paths.translation(-box[0], -box[1])


def _settled_transform(
    element: Element, viewport: tuple[float, float], lines: list[Line]
) -> np.ndarray | None:
    """Return an element's transform about its origin, and write it back as one matrix."""
    text = element.get("transform", "none")
    origin = (element.attrib.pop("transform-origin", "0 0").split() + ["center"])[:2]
    box = element.attrib.pop("transform-box", "view-box")
    if text == "none":
        element.attrib.pop("transform", None)
        return None
    low, size = np.zeros(2), np.array(viewport)
    if box in ("fill-box", "content-box") and lines:
        low, high = extent(lines)
        size = high - low
    if origin[0] in ("top", "bottom") or origin[1] in ("left", "right"):
        origin.reverse()
    x, y = (
        start + paths.length(_KEYWORDS.get(part, part), whole)
        for start, part, whole in zip(low, origin, size, strict=True)
    )
    matrix = paths.translation(x, y) @ paths.transform(text) @ paths.translation(-x, -y)
    element.set("transform", f"matrix({' '.join(map(repr, matrix[:2].T.ravel().tolist()))})")
    return matrix


def _moved(line: Line, matrix: np.ndarray) -> Line:
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    return Line(paths.apply(matrix, line.points), line.stroke * scale)


def _choose(switch: Element) -> None:
    """Leave in a `switch` its first child that an English reader without extensions sees."""
    chosen = False
    for child in list(switch):
        languages = child.get("systemLanguage")
        fits = not child.get("requiredExtensions") and (
            languages is None or any(each.strip()[:2] == "en" for each in languages.split(","))
        )
        if chosen or not fits:
            switch.remove(child)
        chosen = chosen or fits


def _named(element: Element, tag: str) -> str:
    words = " ".join("".join(element.itertext()).split())
    return repr(words[:20] + "…" * (len(words) > 20)) if tag != "image" else PICTURE
