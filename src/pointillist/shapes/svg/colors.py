"""Colours of paint, as CSS spells them."""

from __future__ import annotations


def is_clear(paint: str, opacity: str = "1") -> bool:
    """Tell whether nothing is seen of a paint: none, or wholly transparent in any spelling."""
    from tinycss2.color4 import parse_color

    from pointillist.shapes.svg import paths

    if paint.lower() in ("none", "transparent") or paths.length(opacity, 1.0, 1.0) <= 0:
        return True
    color = None if paint.startswith("url") else parse_color(paint)
    return color is not None and color != "currentcolor" and color.alpha == 0
