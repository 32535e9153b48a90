"""Words: the outlines of their letters in any font that matplotlib finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pointillist.errors import PointillistError, nearest

if TYPE_CHECKING:
    import numpy as np

# Curves become lines that are exact to a fraction of a unit.
_EM = 1000.0


def outlines(text: str, font: str) -> list[np.ndarray]:
    """Return the outlines of the letters of one line of `text`: closed lines (M, 2), y upwards, em = 1.

    `font` is a family, such as DejaVu Sans. Letters stand from left to right in the order in which
    they are given; nothing in the text has a special meaning.

    Raises
    ------
    PointillistError
        If the font isn't there or lacks a letter, or there is nothing to see.
    """
    import matplotlib as mpl
    import numpy as np
    from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
    from matplotlib.textpath import TextPath

    # In a list, a name is a name; alone, what follows a colon or a hyphen would be a style or a size.
    family = FontProperties(family=[font])
    try:
        file = findfont(family, fallback_to_default=False)
    except ValueError:
        known = sorted(set(fontManager.get_font_names()))
        raise PointillistError(
            f"Font {font!r} isn't installed.{nearest(font, known)} There are, among others: "
            f"{', '.join(known[:6])}."
        ) from None
    glyphs = get_font(file).get_charmap()
    if lacking := [letter for letter in text if ord(letter) not in glyphs]:
        raise PointillistError(
            f"The font {font!r} has no {lacking[0]!r} (U+{ord(lacking[0]):04X}) for the word {text!r}. "
            "Choose another: --params source.font=NAME."
        )
    try:
        with mpl.rc_context({"text.parse_math": False}):
            path = TextPath((0, 0), text, size=_EM, prop=family)
        polygons = [np.asarray(polygon) for polygon in path.to_polygons(closed_only=True)]
    except AttributeError:
        # What matplotlib makes of a text without a single line in it.
        polygons = []
    lines = [polygon / _EM for polygon in polygons if len(polygon) > 2]
    if not lines:
        raise PointillistError(f"The word {text!r} has nothing to see. Give letters.")
    return lines
