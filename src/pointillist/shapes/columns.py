"""Which columns of a table are x, y and weight."""

from __future__ import annotations

from collections.abc import Sequence

from pointillist.errors import PointillistError


def folded(name: str) -> str:
    """Return `name` as columns are compared: without case, surrounding blanks and quotes."""
    return name.strip(" \t\r\n\"'").lower()


def shown(text: str, length: int = 40) -> str:
    """Return the beginning of `text` as a message may show it: what can't be printed as \ufffd."""
    text = text.strip()
    text = text if len(text) <= length else text[: length - 1] + "…"
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def named(names: Sequence[str]) -> bool:
    """Tell whether `names` include x and y."""
    return {"x", "y"} <= {folded(name) for name in names}


def choose(names: Sequence[str], numeric: Sequence[bool], source: str) -> dict[str, int]:
    """Return where x, y and, if there is one, weight are among the columns called `names`.

    The names decide, whatever their case; else x and y are the only two columns that are `numeric`,
    in their order, unless one of them has the other's name. Weights always go by name.

    Raises
    ------
    PointillistError
        If a name is there twice, or there are not two numeric columns; it names what was found.
    """
    keys = [folded(name) for name in names]
    for role in ("x", "y", "weight"):
        if keys.count(role) > 1:
            raise PointillistError(
                f"{source} has {keys.count(role)} columns named {role}. Rename all but one."
            )
    weight = {"weight": keys.index("weight")} if "weight" in keys else {}
    if named(names):
        return {"x": keys.index("x"), "y": keys.index("y"), **weight}
    candidates = [i for i, is_number in enumerate(numeric) if is_number and keys[i] != "weight"]
    if len(candidates) == 2:
        x, y = candidates
        if keys[x] == "y" or keys[y] == "x":
            x, y = y, x
        return {"x": x, "y": y, **weight}
    count = {0: "no column", 1: "one column"}.get(len(candidates), f"{len(candidates)} columns")
    found = ", ".join(shown(name) or "(no name)" for name in names[:12])
    more = ", …" * (len(names) > 12)
    raise PointillistError(
        f"{source} has no columns named x and y, and {count} of numbers, where there must be two "
        f"(found: {found}{more}).\nName the columns x and y and, for weights, weight."
    )
