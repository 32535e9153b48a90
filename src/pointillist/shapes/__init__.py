"""From a name or a file to points and their normaliser."""

from pointillist.shapes.digests import digest
from pointillist.shapes.normalizer import Normalizer
from pointillist.shapes.sources import canonical_name, load, locate, names, shape_of

__all__ = ["Normalizer", "canonical_name", "digest", "load", "locate", "names", "shape_of"]
