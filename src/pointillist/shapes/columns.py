"""Which columns of a table are x, y and weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pointillist.errors import PointillistError, nearest

_NAMES = {
    "x": ("x", "lon", "long", "lng", "longitude", "easting"),
    "y": ("y", "lat", "latitude", "northing"),
    "weight": ("weight", "weights"),
}


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

    The columns that are `wanted` are taken; else names decide, whatever their case: x and y, or longitude
    and latitude, easting and northing. Else x and y are the only two columns that are `numeric`, in
    their order, unless one of them has the other's name. Weights always go by name.

    Raises
    ------
    PointillistError
        If a name is there twice, one that is wanted isn't there, or there are not two numeric columns;
        it names what was found.
    """
    keys = [folded(name) for name in names]
    for role in ("x", "y", "weight"):
        if keys.count(role) > 1:
            raise PointillistError(
                f"{source} has {keys.count(role)} columns named {role}. Rename all but one."
            )
    asked = {k: v for k, v in vars(wanted or Wanted()).items() if v is not None}
    found = {role: _place(role, name, names, source) for role, name in asked.items()}
    roles = [_role(key) for key in keys]
    for role in ("weight", "x", "y"):
        # The plain name goes before what else a column may be called.
        place = keys.index(role) if role in keys else roles.index(role) if role in roles else None
        if role not in found and place is not None and place not in found.values():
            found[role] = place
    if {"x", "y"} <= found.keys():
        return {role: found[role] for role in ("x", "y", "weight") if role in found}
    weight = {role: i for role, i in found.items() if role == "weight"}
    candidates = [
        i for i, is_number in enumerate(numeric) if is_number and i not in weight.values()
    ]
    if len(candidates) == 2 and not asked:
        x, y = candidates
        if roles[x] == "y" or roles[y] == "x":
            x, y = y, x
        return {"x": x, "y": y, **weight}
    count = {0: "no column", 1: "one column"}.get(len(candidates), f"{len(candidates)} columns")
    raise PointillistError(
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
