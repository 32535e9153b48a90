"""Data Morph's shapes are those of the installed package, traced evenly."""

import sys
from subprocess import run
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from data_morph.data.loader import DataLoader
from data_morph.shapes.factory import ShapeFactory
from scipy.spatial import cKDTree

from pointillist.errors import PointillistError
from pointillist.shapes import data_morph, formulas

TRACED = sorted(data_morph.TRACED)


def steps(points: np.ndarray) -> np.ndarray:
    return np.hypot(*np.diff(points, axis=0).T)


def test_names_are_those_of_the_installed_package():
    assert set(data_morph.STARTERS) == set(DataLoader.AVAILABLE_DATASETS)
    assert list(data_morph.TARGETS) == sorted(ShapeFactory.AVAILABLE_SHAPES)


def test_a_name_means_one_thing():
    names = [*data_morph.STARTERS, *data_morph.TARGETS, *formulas.NAMES]
    assert len({name.lower() for name in names}) == len(names)
    assert all(name.isidentifier() for name in names)


@pytest.mark.parametrize("name", data_morph.STARTERS)
def test_a_starter_shapes_file_is_that_of_the_package(name):
    points = pd.read_csv(data_morph.starter_path(name))
    pd.testing.assert_frame_equal(points, DataLoader.load_dataset(name).data)


@pytest.mark.parametrize("name", TRACED)
@pytest.mark.parametrize("n", [3, 1_000, 1_237])
def test_a_target_has_the_points_that_are_asked_for(name, n):
    points = data_morph.place_target(name, n)
    assert points.shape == (n, 2)
    assert points.dtype == np.float64
    assert np.isfinite(points).all()
    assert len(np.unique(points, axis=0)) == n
    np.testing.assert_array_equal(points, data_morph.place_target(name, n))


@pytest.mark.parametrize("name", TRACED)
def test_points_lie_on_the_shape_and_cover_it(name):
    """Nothing is joined that is apart: from a false line the shape would be far away."""
    shape = data_morph._target(name)
    points = data_morph.place_target(name)
    away = max(shape.distance(x, y) for x, y in points)
    if hasattr(shape, "points"):
        # The package draws a curve as points; between them it is at most half a step away.
        assert away < 4.2
        assert cKDTree(points).query(shape.points)[0].max() < 0.5
    else:
        assert away < 1e-3


@pytest.mark.parametrize("name", TRACED)
def test_points_are_evenly_spaced(name):
    between = np.sort(steps(data_morph.place_target(name)))
    typical = np.median(between)
    # Chords across corners are shorter, jumps between lines are longer.
    assert (abs(between / typical - 1) < 0.02).mean() > 0.97


@pytest.mark.parametrize("name", ["circle", "bullseye", "rings"])
def test_circles_are_round(name):
    points = data_morph.place_target(name, 4_000)
    width, height = np.ptp(points, axis=0)
    assert width == pytest.approx(height, rel=1e-4)


def test_a_spiral_is_archimedes():
    from_centre = data_morph.place_target("spiral") - 50
    radius = np.hypot(*from_centre.T)
    angle = radius / 60 * 6 * np.pi
    curve = radius[:, None] * np.stack((np.cos(angle), np.sin(angle)), -1)
    assert abs(curve - from_centre).max() < 0.05


def test_a_figure_eight_is_bernoullis_lemniscate():
    x, y = (data_morph.place_target("figure_eight") - 50).T / (30 * 2**0.5)
    np.testing.assert_allclose((x**2 + y**2) ** 2, x**2 - y**2, atol=2e-3)


def test_a_clubs_leaves_are_round():
    leaves = data_morph.place_target("club", 4_000)
    top = leaves[leaves[:, 1] > 62]
    around = top - (50, top[:, 1].max() - np.ptp(top[:, 0]) / 2)
    radius = np.hypot(*around.T)
    np.testing.assert_allclose(radius, radius.mean(), rtol=0.001)


@pytest.mark.parametrize("name", ["club", "heart", "spade", "star", "diamond", "figure_eight", "x"])
def test_targets_are_upright_and_symmetric(name):
    points = data_morph.place_target(name, 4_000)
    mirrored = (100, 0) + points * (-1, 1)
    assert cKDTree(points).query(mirrored)[0].max() < 0.5


@pytest.mark.parametrize(("name", "parts"), [("club", 5), ("spade", 3), ("figure_eight", 1)])
def test_parts_that_are_apart_stay_apart(name, parts):
    assert (steps(data_morph.place_target(name)) > 1).sum() == parts - 1


@pytest.mark.parametrize(("name", "n"), [("dots", 9), ("scatter", 101)])
def test_clouds_keep_their_points(name, n):
    assert name not in data_morph.TRACED
    points = data_morph.place_target(name, 50)
    assert points.shape == (n, 2)
    np.testing.assert_array_equal(points, data_morph.place_target(name))


def test_unknown_names_are_refused():
    with pytest.raises(PointillistError, match="Did you mean 'spiral'"):
        data_morph.place_target("spirale")
    with pytest.raises(PointillistError, match="Did you mean 'bunny'"):
        data_morph.starter_path("bunni")


def test_another_drawing_of_a_shape_is_refused_rather_than_joined_wrongly():
    with pytest.raises(PointillistError, match="draws club with 7 points, not 110"):
        data_morph._lines("club", SimpleNamespace(points=np.zeros((7, 2))))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(data_morph, "find_spec", lambda name: None)
    data_morph._folder.cache_clear()
    with pytest.raises(PointillistError, match="data-morph-ai"):
        data_morph.starter_path("cat")
    with pytest.raises(PointillistError, match="data-morph-ai"):
        data_morph.place_target("x")


def test_matplotlib_is_left_alone():
    code = """if True:
        import sys
        from pointillist.shapes import data_morph
        data_morph.starter_path("cat")
        assert "data_morph" not in sys.modules and "matplotlib" not in sys.modules
        import matplotlib
        # To look at the backend is to choose one.
        settings = lambda: {k: matplotlib.rcParams[k] for k in matplotlib.rcParams if k != "backend"}
        before = settings()
        data_morph.place_target("heart")
        assert before == settings()
        assert not [name for name in sys.modules if name.startswith("matplotlib.backends.backend_")]
        assert not sys.modules["matplotlib.pyplot"].get_fignums()
    """
    result = run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
