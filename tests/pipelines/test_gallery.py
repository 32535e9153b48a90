"""Which shapes the gallery shows, and in which order."""

from pathlib import Path

import numpy as np
import pytest

from pointillist.datasets.models import SavedModel
from pointillist.diffusion.config import Sampling
from pointillist.pipelines.gallery import nodes
from pointillist.rendering import gallery


class Model:
    """A trained denoiser, as the gallery sees it."""

    def __init__(self, size: int) -> None:
        self.points = np.arange(2.0 * size).reshape(size, 2)

    def ghosts(self) -> np.ndarray:
        return self.points

    def pictured(self, points: np.ndarray) -> np.ndarray:
        return points / 10

    def sample(self, n: int, *_: object) -> np.ndarray:
        return np.ones((n, 2))


def test_each_newest_model_stands_beside_the_points_that_it_was_trained_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saved = {f"{s}/{v}": SavedModel(s, v, Path(v)) for s, v in (("cat", "1"), ("cat", "30"))}
    monkeypatch.setattr(SavedModel, "read", lambda self: Model(int(self.version)))
    pairs = nodes.sample_all(saved, Sampling(), 0, "cpu")
    (points, samples) = pairs["cat"]
    assert len(points) == 30
    np.testing.assert_array_equal(samples, np.full_like(samples, 0.1))


def test_own_shapes_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A word and a file from elsewhere, then own files, which are listed ahead, then built-in ones."""
    drawn: list[list[str]] = []
    monkeypatch.setattr(
        gallery, "contact_sheet", lambda shapes, pairs: drawn.append([*pairs, *shapes])
    )
    points = {name: np.zeros((3, 2)) for name in ("mine", "bunny", "cat")}
    pairs = {name: (np.zeros((3, 2)),) * 2 for name in ("cat", "mine", "Hello")}
    nodes.draw_gallery(points, pairs)
    assert drawn == [["Hello", "mine", "cat", "mine", "bunny", "cat"]]
