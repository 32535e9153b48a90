"""From a name, a file, a picture or a word to points and their normaliser."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from pointillist.shapes.digests import digest
    from pointillist.shapes.normalizer import Normalizer
    from pointillist.shapes.sources import Origin, find, listing, load, name_of, names, read

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "digests": ["digest"],
        "normalizer": ["Normalizer"],
        "sources": ["Origin", "find", "listing", "load", "name_of", "names", "read"],
    },
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
