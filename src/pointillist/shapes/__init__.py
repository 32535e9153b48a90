"""From a name, a file, a picture or a word to points and their normaliser."""

from pointillist.shapes.digests import digest
from pointillist.shapes.normalizer import Normalizer
from pointillist.shapes.sources import (
    Origin,
    find,
    listing,
    load,
    name_of,
    names,
    read,
)

__all__ = [
    "Normalizer",
    "Origin",
    "digest",
    "find",
    "listing",
    "load",
    "name_of",
    "names",
    "read",
]
