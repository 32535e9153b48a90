"""Names of shapes: what a file or word is called in paths, records and commands."""

from __future__ import annotations

import hashlib
import re
import shlex
import unicodedata
from collections.abc import Iterable
from pathlib import Path

MOST_CHARACTERS, _MOST_BYTES = 64, 180
# Names that Windows keeps for devices.
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


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


def of_run(
    shape: str | None,
    shape_file: str | None,
    text: str | None,
    default: str,
    own: Iterable[str],
    built_in: Iterable[str],
) -> str:
    """Name the shape of a run: the name given, else the file's stem, else the word, else the default.

    A built-in shape is known in any case, unless a file of one's `own` has the very name.
    """
    for given in (shape, Path(shape_file).stem if shape_file else None, text):
        if given:
            name = name_from(given)
            break
    else:
        return default
    if shape_file or text or name in set(own):
        return name
    return {known.lower(): known for known in built_in}.get(name.lower(), name)


def source(shape: str, shape_file: str | None, text: str | None) -> str:
    """Return the parameters that name a run's source again, quoted for a shell."""
    return shlex.quote(parameters_of(shape, shape_file, text))


def parameters_of(shape: str, shape_file: str | None, text: str | None) -> str:
    """Return the parameters that name a run's source again."""
    given = {"shape_file": shape_file, "text": text}
    parts = [f"{name}={escaped(value)}" for name, value in given.items() if value is not None]
    implied = Path(shape_file).stem if shape_file else text
    if implied is None or name_from(implied) != shape:
        parts.insert(0, f"shape={escaped(shape)}")
    return ",".join(parts)


def escaped(value: str) -> str:
    """Return a value as a command line takes it, where a comma ends one."""
    return value.replace(",", "\\,")


def _is_kept(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN" or character in "_.- "


def _shortened(text: str, characters: int, size: int) -> str:
    text = text[:characters]
    while len(text.encode()) > size:
        text = text[:-1]
    return text.rstrip(" .-")
