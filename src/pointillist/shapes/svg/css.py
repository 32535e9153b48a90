"""The style sheets of an SVG, resolved: afterwards every element has its properties as attributes.

Cascading and selectors are those of CSS (tinycss2 and cssselect2), as for a light screen.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pointillist.shapes.svg.layout import PAINT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

_GEOMETRY = {"x", "y", "cx", "cy", "r", "rx", "ry", "width", "height", "d"}
_PLACING = {
    "transform",
    "transform-origin",
    "transform-box",
    "overflow",
    "display",
    "mask",
    "mask-type",
}
_CUTTING = {"clip-path", "clip-rule", "marker-start", "marker-end", "stroke-width"}
_GRADIENT = {"stop-color", "stop-opacity"}
_PROPERTIES = PAINT | _GEOMETRY | _PLACING | _CUTTING | _GRADIENT
"""Properties that place or paint; others, such as those of fonts, have no effect on lines."""
_MEDIA = re.compile(
    r"(only )?(all|screen)( and \(prefers-color-scheme: ?light\))?|\(prefers-color-scheme: ?light\)"
    r"|not print|",
    re.IGNORECASE,
)
_LONGHANDS = {"marker": ("marker-start", "marker-end")}
_MOST_COMPARISONS = 50_000_000


def resolve(root: Element) -> None:
    """Give every element under `root` its properties as attributes, and remove style attributes.

    Raises
    ------
    ValueError
        If the rules times the elements are too many to compare.
    """
    import cssselect2
    import tinycss2

    matcher, rules = cssselect2.Matcher(), 0
    for element in root.iter():
        if _is_sheet(element):
            for rule in _rules(tinycss2.parse_stylesheet(element.text or "")):
                try:
                    selectors = cssselect2.compile_selector_list(rule.prelude)
                except cssselect2.SelectorError:
                    continue
                for selector in selectors:
                    rules += 1
                    matcher.add_selector(selector, _declarations(rule.content))
    if rules * sum(1 for _ in root.iter()) > _MOST_COMPARISONS:
        raise ValueError(f"{rules:,} rules of style")
    variables: dict[Any, dict[str, str]] = {None: {}}
    for wrapper in cssselect2.ElementWrapper.from_xml_root(root).iter_subtree():
        element = wrapper.etree_element
        declared = [
            declaration
            for _, _, pseudo, declarations in (matcher.match(wrapper) if rules else ())
            if pseudo is None
            for declaration in declarations
        ]
        declared += _declarations(element.attrib.pop("style", ""))
        # sorted() is stable: within a level, the later one wins.
        winning = {d.name: d.value for d in sorted(declared, key=lambda d: bool(d.important))}
        known = variables[wrapper.parent.etree_element if wrapper.parent else None]
        own = {n: tinycss2.serialize(v).strip() for n, v in winning.items() if n.startswith("--")}
        variables[element] = {**known, **own} if own else known
        for name, value in winning.items():
            for each in _LONGHANDS.get(name.lower(), (name.lower(),)):
                if each in _PROPERTIES and (resolved := _value(value, variables[element])):
                    element.set(each, resolved)
        for name in _PROPERTIES & element.attrib.keys():
            text = element.attrib[name].strip()
            if "(" in text and name not in ("transform", "d"):
                text = _value(tinycss2.parse_component_value_list(text), variables[element])
            element.set(name, text)


def _is_sheet(element: Element) -> bool:
    return (
        element.tag.rpartition("}")[2] == "style"
        and element.get("type", "text/css").strip() in ("", "text/css")
        and _MEDIA.fullmatch(element.get("media", "").strip()) is not None
    )


def _rules(nodes: list[Any]) -> Iterator[Any]:
    """Yield the rules that hold on a light screen."""
    import tinycss2

    for node in nodes:
        if node.type == "qualified-rule":
            yield node
        elif node.type == "at-rule" and node.lower_at_keyword == "media" and node.content:
            queries = tinycss2.serialize(node.prelude).split(",")
            if any(_MEDIA.fullmatch(query.strip()) for query in queries):
                yield from _rules(tinycss2.parse_rule_list(node.content))


def _declarations(content: Any) -> list[Any]:
    import tinycss2

    nodes = tinycss2.parse_blocks_contents(content) if content else []
    return [node for node in nodes if node.type == "declaration"]


def _value(tokens: list[Any], variables: dict[str, str]) -> str:
    """Return a value without `var()`, quotes in `url()` and, for a light screen, `light-dark()`."""
    import tinycss2

    parts = []
    for token in tokens:
        name = token.lower_name if token.type == "function" else token.type
        if name in ("var", "light-dark"):
            comma = next((k for k, t in enumerate(token.arguments) if t == ","), None)
            first = token.arguments[:comma]
            rest = token.arguments[comma + 1 :] if comma is not None else []
            known = variables.get(tinycss2.serialize(first).strip()) if name == "var" else None
            parts.append(known or _value(rest if name == "var" else first, variables))
        elif name == "url":
            strings = [token] if token.type == "url" else token.arguments
            parts.append("url(" + "".join(getattr(t, "value", "") for t in strings).strip() + ")")
        elif name != "comment":
            parts.append(token.serialize())
    return "".join(parts).strip()
