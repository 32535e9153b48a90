"""From a name, a file, a picture or a word to points and their normaliser."""

from pointillist.shapes.digests import digest
from pointillist.shapes.normalizer import Normalizer
from pointillist.shapes.sources import (
    Origin,
    canonical_name,
    find,
    listing,
    load,
    names,
    read,
    shape_of,
)

__all__ = [
    "Normalizer",
    "Origin",
    "canonical_name",
    "digest",
    "find",
    "listing",
    "load",
    "names",
    "read",
    "shape_of",
]
