"""Which columns of a table are x, y and weight."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pointillist.errors import PointillistError, nearest

logger = logging.getLogger(__name__)

_NAMES = {
    "x": ("x", "lon", "long", "lng", "longitude", "easting"),
    "y": ("y", "lat", "latitude", "northing"),
    "weight": ("weight", "weights"),
}
# What pandas calls an index without a name: nothing in a CSV, and names of its own elsewhere.
_INDEX = re.compile(r"|index|__index_level_\d+__|unnamed: 0")


def folded(name: str) -> str:
    """Return `name` as columns are compared: without case, surrounding blanks and quotes."""
    return name.strip(" \t\r\n\"'").lower()


def shown(text: str, length: int = 40) -> str:
    """Return the beginning of `text` as a message may show it: what can't be printed as \ufffd."""
    text = text.strip()
    text = text if len(text) <= length else text[: length - 1] + "…"
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _role(key: str) -> str:
    return next((role for role, names in _NAMES.items() if key in names), "")


def named(names: Sequence[str]) -> bool:
    """Tell whether `names` include x and y, or what maps call them."""
    return {"x", "y"} <= {_role(folded(name)) for name in names}


@dataclass(frozen=True)
class Wanted:
    """Names of columns that were asked for; None: found by their usual names."""

    x: str | None = None
    y: str | None = None
    weight: str | None = None


def choose(
    names: Sequence[str], numeric: Sequence[bool], source: str, wanted: Wanted | None = None
) -> dict[str, int]:
    """Return where x, y and, if there is one, weight are among the columns called `names`.

    The columns that are `wanted` are taken; else names decide, whatever their case: x and y, or
    longitude and latitude, easting and northing. Else x and y are the only columns left that are
    `numeric`, in their order, unless their names have it the other way round, as in start_lat, start_lon;
    of more than two, an index that pandas wrote is none. Weights always go by name.

    Raises
    ------
    PointillistError
        If a name is there twice, one that is wanted isn't there, or x and y can't be told; it names what
        was found.
    """
    asked = {k: v for k, v in vars(wanted or Wanted()).items() if v is not None}
    found = {role: _place(role, name, names, source) for role, name in asked.items()}
    _refuse_one_for_two(found, asked, source)
    for role in ("weight", "x", "y"):
        place = None if role in found else _by_name(role, names, source)
        if place is not None and place not in found.values():
            found[role] = place
    left = [i for i, is_number in enumerate(numeric) if is_number and i not in found.values()]
    missing = [role for role in ("x", "y") if role not in found]
    if len(left) > len(missing):
        left = [i for i in left if not _INDEX.fullmatch(folded(names[i]))]
    if missing and len(left) == len(missing):
        if len(left) == 2 and (_hint(names[left[0]]) == "y" or _hint(names[left[1]]) == "x"):
            left.reverse()
        found |= dict(zip(missing, left, strict=True))
    elif missing:
        raise _untold(names, numeric, found, source)
    if not {"x", "y"} <= {folded(name) for name in names} and not asked:
        logger.info("%s: x is %s, y is %s.", source, names[found["x"]], names[found["y"]])
    return {role: found[role] for role in ("x", "y", "weight") if role in found}


def _by_name(role: str, names: Sequence[str], source: str) -> int | None:
    """Return where the column of a role is by its usual names; the plain one goes before others."""
    keys = [folded(name) for name in names]
    if keys.count(role) > 1:
        raise PointillistError(
            f"{source} has {keys.count(role)} columns named {role}. Rename all but one."
        )
    places = [i for i, key in enumerate(keys) if _role(key) == role]
    if len(places) > 1 and (role == "weight" or role not in keys):
        both = " and ".join(shown(names[i]) for i in places)
        raise PointillistError(
            f"{source} has the columns {both}. Say which is meant: --params source.{role}=NAME"
        )
    return keys.index(role) if role in keys else next(iter(places), None)


def _hint(name: str) -> str:
    """Return the role that a part of a name tells of, as in start_lat; empty if none or both are."""
    roles = {_role(part) for part in re.split(r"[^a-z]+", folded(name))} & {"x", "y"}
    return roles.pop() if len(roles) == 1 else ""


def _refuse_one_for_two(found: dict[str, int], asked: dict[str, str], source: str) -> None:
    for role, place in found.items():
        for other, there in found.items():
            if role < other and place == there:
                raise PointillistError(
                    f"{source}: source.{role} and source.{other} are one column, "
                    f"{shown(asked[role])!r}. Name two."
                )


def _untold(
    names: Sequence[str], numeric: Sequence[bool], found: dict[str, int], source: str
) -> PointillistError:
    """Return the refusal of a table whose x and y can't be told."""
    weight = found.get("weight")
    n = sum(is_number and i != weight for i, is_number in enumerate(numeric))
    count = {0: "no column", 1: "one column"}.get(n, f"{n} columns")
    return PointillistError(
        f"{source} has no columns named x and y, and {count} of numbers, where there must be two "
        f"(found: {_listed(names)}).\nName the columns x and y and, for weights, weight; or say which "
        "they are: --params source.x=NAME,source.y=NAME"
    )


def _place(role: str, name: str, names: Sequence[str], source: str) -> int:
    """Return where the column called `name` is: as it is written, or else in any case."""
    for wanted, there in ((name, list(names)), (folded(name), [folded(n) for n in names])):
        if wanted in there:
            return there.index(wanted)
    raise PointillistError(
        f"{source} has no column {shown(name)!r} for source.{role}.{nearest(name, names)} "
        f"It has: {_listed(names)}."
    )


def _listed(names: Sequence[str]) -> str:
    found = ", ".join(shown(name) or "(no name)" for name in names[:12])
    return found + ", …" * (len(names) > 12)
