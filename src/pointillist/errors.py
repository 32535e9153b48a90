"""Errors that a person can act on: one or two lines that name the thing and the cure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class PointillistError(Exception):
    """Something the person can mend. The command line prints its text without a traceback."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the closest of `known`, or an empty string."""
    matches = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {matches[0]!r}?" if matches else ""
