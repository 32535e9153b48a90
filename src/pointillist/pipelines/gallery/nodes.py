"""Gallery: place every known shape, draw from every model, put them on one sheet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import numpy as np

from pointillist import rendering, shapes
from pointillist.datasets.models import SavedModel
from pointillist.diffusion.config import Sampling
from pointillist.errors import PointillistError
from pointillist.progress import count
from pointillist.shapes.config import Source
from pointillist.shapes.materials import Material
from pointillist.shapes.points import split

logger = logging.getLogger(__name__)

_MOST_POINTS = 2000

Clouds = dict[str, np.ndarray]
Pairs = dict[str, tuple[np.ndarray, np.ndarray]]


def place_all(raw_shapes: Mapping[str, Callable[[], Material]]) -> Clouds:
    """Place the points of every shape as they are by default; files that hold no shape are named."""
    clouds: Clouds = {}
    for name, read in count(raw_shapes.items(), "Placing", "shape"):
        try:
            points = split(read().place(Source())).shown(_MOST_POINTS)
            clouds[name] = _thinned(shapes.Normalizer.for_pictures(points).apply(points))
        except PointillistError as error:
            logger.warning("%s is left out: %s", name, str(error).splitlines()[0])
    return clouds


def sample_all(
    trained_models: Mapping[str, SavedModel], sampling: Sampling, seed: int, device: str
) -> Pairs:
    """Draw points from the newest model of every shape that was trained, beside the shape's own."""
    few = sampling.model_copy(update={"n_samples": _MOST_POINTS})
    pairs: Pairs = {}
    # From oldest to newest: the newest is the one that stays.
    newest = {trained.shape: trained for trained in trained_models.values()}
    for name, trained in count(newest.items(), "Sampling", "model"):
        try:
            model = trained.read()
        except PointillistError as error:
            logger.warning("%s is left out: %s", name, str(error).splitlines()[0])
            continue
        drawn = model.sample(_MOST_POINTS, seed, few, device)
        pairs[name] = (_thinned(model.ghosts()), model.pictured(drawn))
    return pairs


def draw_gallery(gallery_points: Clouds, gallery_samples: Pairs) -> rendering.Figure:
    """Put every shape on one sheet: first those with a model, beside its samples; own shapes ahead."""
    # A word, or a file from elsewhere, is known by its model alone; own files are listed first.
    order = [name for name in gallery_samples if name not in gallery_points] + list(gallery_points)
    pairs = {name: gallery_samples[name] for name in order if name in gallery_samples}
    return rendering.gallery.contact_sheet(gallery_points, pairs)


def _thinned(points: np.ndarray) -> np.ndarray:
    """Return at most so many of the points (n, 2) as can be told apart on a sheet."""
    if len(points) <= _MOST_POINTS:
        return points
    return points[np.random.default_rng(0).choice(len(points), _MOST_POINTS, replace=False)]
