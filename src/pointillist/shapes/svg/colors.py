"""Colours of paint, as CSS spells them."""

from __future__ import annotations


def is_clear(paint: str, opacity: str = "1") -> bool:
    """Tell whether nothing is seen of a paint: none, or wholly transparent in any spelling."""
    from tinycss2.color4 import parse_color

    from pointillist.shapes.svg import paths

    if paint.lower() in ("none", "transparent") or paths.length(opacity, 1.0, 1.0) <= 0:
        return True
    color = parse_color(paint)
    return color is not None and color != "currentcolor" and color.alpha == 0


def is_color(paint: str, other: tuple[float, float, float], tolerance: float) -> bool:
    """Tell whether a paint is one opaque colour of sRGB and, of 255, within `tolerance` of another."""
    from tinycss2.color4 import parse_color

    color = parse_color(paint)
    if color is None or color == "currentcolor" or color.space != "srgb" or color.alpha < 1:
        return False
    return all(
        abs(255 * (value or 0) - wanted) < tolerance
        for value, wanted in zip(color.coordinates, other, strict=True)
    )
