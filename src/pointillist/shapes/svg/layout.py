"""The layout of an SVG: the lines of its elements, where they are drawn, and a plain tree to paint."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pointillist.shapes.svg import paths
from pointillist.shapes.svg.colors import is_clear

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from xml.etree.ElementTree import Element

_MARKED = frozenset({"path", "line", "polyline", "polygon"})
_SHAPES = _MARKED | {"circle", "ellipse", "rect"}
_STROKE = {
    f"stroke-{name}" for name in ("linecap", "linejoin", "miterlimit", "dasharray", "dashoffset")
}
_FILL = {"fill", "fill-opacity", "fill-rule", "stroke", "stroke-opacity"}
PAINT = frozenset({"color", "opacity", "visibility", "paint-order"} | _FILL | _STROKE)
"""Attributes that say how something is painted, as far as edges depend on them."""
_INITIAL = {
    "fill": "black",
    "fill-opacity": "1",
    "fill-rule": "nonzero",
    "stroke": "none",
    "stroke-opacity": "1",
    "stroke-dasharray": "none",
}
_DEFAULT_SIZE = (300.0, 150.0)
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
    clip_rule: str = "nonzero"
    marker_start: str = "none"
    marker_end: str = "none"
    clips: bool = False
    """Whether it is in a clip path, where no paint counts."""
    visible: bool = True

    def of(self, element: Element) -> _Inherited:
        """Return these with what `element` says."""
        said: dict[str, Any] = {
            key: value
            for key, name in (
                ("fill", "fill"),
                ("stroke", "stroke"),
                ("width", "stroke-width"),
                ("fill_opacity", "fill-opacity"),
                ("stroke_opacity", "stroke-opacity"),
                ("clip_rule", "clip-rule"),
                ("marker_start", "marker-start"),
                ("marker_end", "marker-end"),
            )
            if (value := element.get(name, "inherit")) != "inherit"
        }
        if (visible := element.get("visibility", "inherit")) != "inherit":
            said["visible"] = visible == "visible"
        return replace(self, **said)


class Layout:
    """A drawing laid out: its lines, and a tree that a renderer can paint without knowing more of SVG.

    In the tree, every `use` is replaced by what it shows, viewports are clip paths, transforms are
    matrices, lengths are in px, and what isn't shown or has no lines is left out.
    """

    def __init__(self, root: Element) -> None:
        self.lines: list[Line]
        self.page: tuple[float, float] | None = None
        """Width and height of the page, px; None if the drawing is as large as what it shows."""
        self.paints: dict[Element, tuple[str, str]] = {}
        """Fill and stroke of each shape of the tree; "none" for what can't be seen."""
        self.left_out: list[str] = []
        """What is shown and has no lines: texts and embedded pictures."""
        self._by_id = {name: element for element in root.iter() if (name := element.get("id"))}
        self._make = root.makeelement
        self._space = root.tag.rpartition("}")[0] + "}"
        self._definitions = self._node(None, "defs")
        self._definitions.extend(e for e in root.iter() if local_name(e).endswith("Gradient"))
        self.tree = self._node(None, "g")
        box = view_box(root)
        wide, high = box[2:] if box else (np.nan, np.nan)
        width = paths.length(root.get("width"), wide, wide)
        height = paths.length(root.get("height"), high, high)
        if width > 0 and height > 0:
            self.page = width, height
            around, place = _Inherited(self.page), (0.0, 0.0, width, height)
            self.lines = self._in_viewport(root, around, place, self.tree, is_page=True)
        else:
            own = _Inherited(_DEFAULT_SIZE).of(root)
            node = self._node(self.tree, "g", root)
            self.lines = self._children(root, own, node)

    def svg(self, view: tuple[float, ...], width: int, height: int) -> Element:
        """Return an `svg` of the tree that shows `view` (x, y, width, height) in a picture so large."""
        svg = self._node(None, "svg", None, preserveAspectRatio="none")
        svg.set("viewBox", " ".join(map(repr, view)))
        svg.set("width", str(width))
        svg.set("height", str(height))
        svg.extend((self._definitions, self.tree))
        return svg

    def _node(
        self, into: Element | None, tag: str, like: Element | None = None, **attributes: str
    ) -> Element:
        """Make a node of the tree, painted as the element that it is like."""
        node = self._make(self._space + tag, attributes)
        for name, value in like.attrib.items() if like is not None else ():
            if name not in PAINT:
                continue
            painting = self._by_id.get(referred(value))
            # A pattern may hold anything, and its lines aren't read: it is as good as a colour.
            is_pattern = painting is not None and local_name(painting) == "pattern"
            node.set(name, "gray" if is_pattern else value)
        if into is not None:
            into.append(node)
        return node

    def _element(self, element: Element, around: _Inherited, into: Element) -> list[Line]:
        """Lay an element out in `into`: return its lines, in the coordinates of its parent."""
        if element.get("display") == "none":
            return []
        tag, own = local_name(element), around.of(element)
        node = self._node(into, "g", element)
        match tag:
            case "svg":
                # Its attributes are in the node around it: they aren't to count twice.
                lines = self._in_viewport(element, own, _place(element, own.viewport), node)
            case "g" | "a":
                lines = self._children(element, own, node)
            case "switch":
                lines = [
                    line for child in _chosen(element) for line in self._element(child, own, node)
                ]
            case "use":
                lines = self._used(element, own, node)
            case "text" | "image" | "foreignObject" if own.visible:
                self.left_out.append(_named(element, tag))
                lines = []
            case _ if tag in _SHAPES:
                lines = self._shape(element, tag, own, node)
            case _:
                lines = []
        if not lines:
            into.remove(node)
            return []
        for name in ("clip-path", "mask"):
            if (cutter := self._by_id.get(referred(element.get(name, "")))) is not None:
                lines = lines + self._cut(cutter, own, lines, name, node)
        lines = _moved(lines, _transform(element, own.viewport, lines), node)
        if not node.attrib and len(node) == 1:
            into[-1] = node[0]
        return lines

    def _children(self, element: Element, own: _Inherited, node: Element) -> list[Line]:
        return [line for child in element for line in self._element(child, own, node)]

    def _shape(self, element: Element, tag: str, own: _Inherited, node: Element) -> list[Line]:
        width = paths.length(own.width, np.hypot(*own.viewport) / np.sqrt(2), 1.0)
        stroked = not own.clips and width > 0 and not is_clear(own.stroke, own.stroke_opacity)
        filled = own.clips or (tag != "line" and not is_clear(own.fill, own.fill_opacity))
        if not own.visible or not (stroked or filled):
            return []
        resolved = paths.in_px(element, tag, *own.viewport)
        shape = self._node(node, tag, None, **resolved)
        shape.set("stroke-width", repr(width))
        if own.clips:
            shape.set("clip-rule", own.clip_rule)
        self.paints[shape] = own.fill if filled else "none", own.stroke if stroked else "none"
        found = [
            line
            for line in paths.polylines(resolved, tag)
            if len(line) > 1 and np.ptp(line, axis=0).any()
        ]
        lines = [Line(line, width if stroked else 0.0) for line in found]
        if tag in _MARKED and found and not own.clips:
            for marking, line, end in (
                (own.marker_start, found[0], 0),
                (own.marker_end, found[-1], -1),
            ):
                if (marker := self._by_id.get(referred(marking))) is not None:
                    lines += self._marker(marker, own, line, end, width, node)
        return lines

    def _marker(
        self,
        marker: Element,
        own: _Inherited,
        line: np.ndarray,
        end: int,
        width: float,
        node: Element,
    ) -> list[Line]:
        """Lay a marker out at an end, 0 or -1, of a line (SVG 2, section 13.7)."""
        steps = np.diff(line, axis=0)
        steps = steps[steps.any(1)]
        orient = marker.get("orient", "0")
        if orient.startswith("auto"):
            turn = np.rad2deg(np.arctan2(*steps[end][::-1]))
            turn += 180 * (orient == "auto-start-reverse" and end == 0)
        else:
            turn = (paths.numbers(orient) or [0.0])[0]
        scale = 1.0 if marker.get("markerUnits") == "userSpaceOnUse" else width
        size = (
            paths.length(marker.get("markerWidth"), own.viewport[0], 3.0),
            paths.length(marker.get("markerHeight"), own.viewport[1], 3.0),
        )
        box = view_box(marker)
        fitted = _fitted(marker, box, *size)
        refers_to = [paths.length(marker.get(name), 1.0) for name in ("refX", "refY")]
        at = paths.apply(fitted, np.array(refers_to))
        matrix = paths.translation(*line[end]) @ paths.transform(f"rotate({turn})")
        matrix = matrix @ paths.scaling(scale) @ paths.translation(*-at)
        inner = self._node(self._node(node, "g", None, **_INITIAL), "g", marker)
        plain = _Inherited(own.viewport).of(marker)
        lines = self._in_viewport(marker, plain, (0.0, 0.0, *size), inner)
        return _moved(lines, matrix, inner)

    def _used(self, element: Element, own: _Inherited, node: Element) -> list[Line]:
        target = self._by_id.get(reference(element))
        if target is None or target.get("display") == "none":
            return []
        x, y, width, height = _place(element, own.viewport)
        inner = self._node(node, "g")
        if local_name(target) in ("symbol", "svg"):
            # What the use says of its size goes before what the symbol says.
            _, _, symbol_width, symbol_height = _place(target, own.viewport)
            size = (
                width if element.get("width") else symbol_width,
                height if element.get("height") else symbol_height,
            )
            own = own.of(target)
            lines = self._in_viewport(
                target, own, (0.0, 0.0, *size), self._node(inner, "g", target)
            )
        else:
            lines = self._element(target, own, inner)
        return _moved(lines, paths.translation(x, y), inner)

    def _in_viewport(
        self,
        element: Element,
        own: _Inherited,
        place: tuple[float, float, float, float],
        node: Element,
        is_page: bool = False,
    ) -> list[Line]:
        """Lay out an `svg`, `symbol` or `marker` at `place`: its lines, and the edge that cuts them."""
        x, y, width, height = place
        if width <= 0 or height <= 0:
            return []
        box = view_box(element)
        matrix = paths.translation(x, y) @ _fitted(element, box, width, height)
        cut = self._node(node, "g")
        inner = self._node(cut, "g", element if is_page else None)
        own = replace(own.of(element), viewport=box[2:] if box else (width, height))
        lines = _moved(self._children(element, own, inner), matrix, inner)
        if not lines or element.get("overflow", "hidden") in ("visible", "auto"):
            return lines
        low, high = extent(lines)
        if (low < (x, y)).any() or (high > (x + width, y + height)).any():
            sides = {"x": repr(x), "y": repr(y), "width": repr(width), "height": repr(height)}
            self._node(self._cutter("clip-path", cut), "rect", None, **sides)
            if not is_page:
                lines += [Line(line, 0.0) for line in paths.polylines(sides, "rect")]
        return lines

    def _cutter(self, name: str, node: Element) -> Element:
        """Make a clip path or mask for a node of the tree."""
        key = f"{name}-{len(self._definitions)}"
        node.set(name, f"url(#{key})")
        return self._node(
            self._definitions, "clipPath" if name == "clip-path" else "mask", None, id=key
        )

    def _cut(
        self, cutter: Element, own: _Inherited, lines: list[Line], name: str, node: Element
    ) -> list[Line]:
        """Clip or mask a node: return the lines of what does, for where it cuts there is an edge."""
        made = self._cutter(name, node)
        units = "clipPathUnits" if name == "clip-path" else "maskContentUnits"
        for attribute in {units, "maskUnits", "mask-type", "x", "y", "width", "height"}:
            if (value := cutter.get(attribute)) is not None:
                made.set(attribute, value)
        matrix = np.eye(3)
        if cutter.get(units) == "objectBoundingBox":
            low, high = extent(lines)
            matrix = paths.translation(*low) @ paths.scaling(*(high - low))
        plain = replace(_Inherited(own.viewport), clips=name == "clip-path").of(cutter)
        known, self.paints = self.paints, {}
        inner = self._node(made, "g", cutter) if name == "mask" else made
        found = self._children(cutter, plain, inner)
        self.paints = known
        further = self._by_id.get(referred(cutter.get("clip-path", "")))
        if further is not None and found:
            found = found + self._cut(further, own, found, "clip-path", made)
        if name == "clip-path":
            found = _moved(found, _transform(cutter, own.viewport, found), made)
            shapes = list(_unnested(made, np.eye(3)))
            made[:] = shapes
        return [Line(paths.apply(matrix, line.points), 0.0) for line in found]


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


def _transform(
    element: Element, viewport: tuple[float, float], lines: list[Line]
) -> np.ndarray | None:
    """Return the matrix of an element's transform about its origin."""
    text = element.get("transform", "none")
    if text == "none":
        return None
    origin = [*element.get("transform-origin", "0 0").split(), "center"][:2]
    if origin[0] in ("top", "bottom") or origin[1] in ("left", "right"):
        origin.reverse()
    low, size = np.zeros(2), np.array(viewport)
    if element.get("transform-box") in ("fill-box", "content-box") and lines:
        low, high = extent(lines)
        size = high - low
    x, y = (
        start + paths.length(_KEYWORDS.get(part, part), whole)
        for start, part, whole in zip(low, origin, size, strict=True)
    )
    return paths.translation(x, y) @ paths.transform(text) @ paths.translation(-x, -y)


def _moved(lines: list[Line], matrix: np.ndarray | None, node: Element) -> list[Line]:
    """Return lines as a matrix moves them, and give it to their node of the tree."""
    if matrix is None or (matrix == np.eye(3)).all():
        return lines
    _set_transform(node, matrix)
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    return [Line(paths.apply(matrix, line.points), line.stroke * scale) for line in lines]


def _set_transform(node: Element, matrix: np.ndarray) -> None:
    node.set("transform", f"matrix({' '.join(map(repr, matrix[:2].T.ravel().tolist()))})")


def _unnested(node: Element, around: np.ndarray) -> Iterator[Element]:
    """Yield the shapes in a node, with the transforms around them: a clip path holds no groups."""
    for child in node:
        matrix = around @ paths.transform(child.get("transform", ""))
        if local_name(child) == "g":
            yield from _unnested(child, matrix)
        else:
            _set_transform(child, matrix)
            yield child


def _chosen(switch: Element) -> list[Element]:
    """Return the child of a `switch` that an English reader without extensions sees."""
    for child in switch:
        languages = child.get("systemLanguage")
        if not child.get("requiredExtensions") and (
            languages is None or any(each.strip()[:2] == "en" for each in languages.split(","))
        ):
            return [child]
    return []


def _named(element: Element, tag: str) -> str:
    words = " ".join(" ".join(element.itertext()).split())
    return repr(words[:20] + "…" * (len(words) > 20)) if tag != "image" else PICTURE
