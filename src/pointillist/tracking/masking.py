"""The password or token of MLflow's address, found wherever a text has it."""

from __future__ import annotations

import os
import re
from urllib.parse import quote, quote_plus, unquote

from pointillist.errors import redacted

_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
# What stays as it is when something is percent-encoded: for a path, for a part of one, by requests.
_SAFE = ("/", "", "!#$%&'()*+,/:;=?@[]~")
_SHORTEST = 4
"""Characters of a secret that is looked for wherever it stands; a shorter one would match by chance."""


def masked(text: str, address: str = "") -> str:
    """Return `text`, redacted, and without the secrets of `address` and of MLflow's environment.

    Those are user:password@, or a token in its place, and the values of the query: as they are, or
    percent-encoded, also where they stand alone.
    """
    for secret in _secrets(address):
        text = text.replace(secret, "***")
    return redacted(text)


def _secrets(address: str) -> list[str]:
    """Return what is secret, in every spelling, the longest first."""
    found = [os.environ.get(name, "") for name in _VARIABLES]
    scheme, _, rest = address.partition("://")
    if not scheme.startswith("sqlite"):
        user, _, password = rest.rpartition("@")[0].partition(":")
        query = rest.partition("?")[2].partition("#")[0]
        # Where / or @ is not percent-encoded, parts of a password are taken for host and path.
        found += [password or user, *re.split("[/@?#]", password or user)]
        found += [part.partition("=")[2] for part in re.split("[&;]", query)]
    spellings = {
        spelling
        for secret in found
        for plain in (secret, unquote(secret))
        for spelling in (plain, *(quote(plain, safe) for safe in _SAFE), quote_plus(plain))
        if len(secret) >= _SHORTEST
    }
    return sorted(spellings, key=len, reverse=True)
