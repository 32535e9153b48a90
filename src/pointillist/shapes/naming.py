"""Names of shapes: what a file or word is called in paths, records and commands."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

MOST_CHARACTERS, _MOST_BYTES = 64, 180
# Names that Windows keeps for devices.
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|(com|lpt)[\d¹²³])(\..*)?")


def name_from(text: str) -> str:
    """Return `text` as a name that any file system takes: letters, digits, and _ . - or blanks.

    What has to be changed gets a digest of the original, so that names stay apart: ``Hello!`` and
    ``Hello?`` are two. A name is its own name.
    """
    original = unicodedata.normalize("NFC", text)
    kept = "".join(c if _is_kept(c) else "_" for c in original).strip(" .-")
    name = _shortened(kept, MOST_CHARACTERS, _MOST_BYTES)
    if name == original and name and not _RESERVED.fullmatch(name):
        return name
    base = _shortened(name.strip("_ .-"), MOST_CHARACTERS - 7, _MOST_BYTES - 7) or "shape"
    return f"{base}-{hashlib.sha256(original.encode()).hexdigest()[:6]}"


def is_name(text: str) -> bool:
    """Tell whether `text` can be asked for as a name: it is no path and has something to see."""
    return text.isprintable() and text.strip(" .") != "" and not set(text) & set("/\\")


def implied(shape_file: str | None, text: str | None) -> str | None:
    """Return the name of a shape that has none of its own: the file's stem, else the word."""
    given = Path(shape_file).stem if shape_file else text
    return name_from(given) if given else None


def source(shape: str, shape_file: str | None, text: str | None) -> dict[str, str]:
    """Return the parameters that name a run's shape and source again."""
    given = {"shape_file": shape_file, "text": text}
    named = {name: value for name, value in given.items() if value is not None}
    return named if implied(shape_file, text) == shape else {"shape": shape, **named}


def known(given: str, *places: Iterable[str]) -> str:
    """Return the name of what `given` means: the very name in any of the `places`, else in another case.

    Earlier places go first; a case that two names of a place share decides nothing.
    """
    name = name_from(given)
    names = [frozenset(place) for place in places]
    if any(name in place for place in names):
        return name
    for place in names:
        alike = [other for other in place if other.casefold() == name.casefold()]
        if len(alike) == 1:
            return alike[0]
    return name


def _is_kept(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN" or character in "_.- "


def _shortened(text: str, characters: int, size: int) -> str:
    text = text[:characters]
    while len(text.encode()) > size:
        text = text[:-1]
    return text.rstrip(" .-")
