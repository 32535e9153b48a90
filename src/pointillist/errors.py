"""Errors that a person can act on: one or two lines that name the thing and the cure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches


class PointillistError(Exception):
    """Something the person can mend. The command line prints its text without a traceback."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the closest of `known`, or an empty string."""
    matches = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def listed(names: Iterable[str]) -> str:
    """Return names in order as one says them: ``a, b and c``."""
    *others, last = sorted(names)
    return f"{', '.join(others)} and {last}" if others else last


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield `error`, what caused it, and so on: Kedro wraps what nodes and datasets raise.

    Only what was raised `from` a cause counts: an error that a handler happened to be busy with
    would hide a fault in that handler.
    """
    while error is not None:
        yield error
        error = error.__cause__


# A login may hold any character but a blank: all up to the last @ counts as one.
_SECRETS = (
    (re.compile(r"(?i)\b(?!sqlite|file:|models:)([a-z][a-z0-9+.-]*://)[^\s'\"<>]*@"), r"\1"),
    (
        re.compile(
            r"(?i)((?:token|secret|passw(?:or)?d|pwd|(?:api|access)[_-]?key|signature|credential)"
            r"[\w.-]*[\"']?\s*[=:]\s*[\"']?|authorization[\"']?\s*[=:]\s*[\"']?(?:basic|bearer)\s+)"
            r"[^\s&#'\"<>;,)]+"
        ),
        r"\1***",
    ),
)


def redacted(text: str) -> str:
    """Return `text` without the logins of addresses and what is named password, token or the like."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def first_line(error: BaseException) -> str:
    """Return the first line of what `error` says, or what the system says of a file."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f' ({error.filename})' if error.filename else ''}"
    return redacted((str(error).strip() or type(error).__name__).splitlines()[0])


def reason(error: BaseException) -> str:
    """Return the one line that says most about `error`: that of our own error, if one is behind it."""
    ours = (cause for cause in causes(error) if isinstance(cause, PointillistError))
    lines = str(next(ours, error)).strip().splitlines()
    # SQLAlchemy puts its own affairs before what the database says.
    told = [line for line in lines if not line.startswith("(raised as a result of")]
    return redacted(next(iter(told or lines), type(error).__name__))
