"""Each formula is the shape people know by its name, evenly placed, and takes what it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from sklearn import datasets

from pointillist.errors import PointillistError
from pointillist.shapes import formulas
from pointillist.shapes.config import Source

KNOBS = ("noise", "count", "turns")


def place(name: str, **options) -> np.ndarray:
    return formulas.place(name, Source(**options))


def farthest(points: np.ndarray, others: np.ndarray) -> float:
    """The greatest distance of one of `points` from the nearest of `others`."""
    return cKDTree(others).query(points)[0].max()


@pytest.mark.parametrize("name", formulas.NAMES)
def test_a_formula_places_as_many_points_as_it_should(name):
    points = place(name)
    assert points.shape == (2000, 2)
    assert points.dtype == np.float64
    assert np.isfinite(points).all()
    assert len(np.unique(points, axis=0)) >= 3
    np.testing.assert_array_equal(points, place(name))


@given(
    name=st.sampled_from(formulas.NAMES),
    n=st.integers(3, 400),
    seed=st.integers(0, 2**63 - 1),
    knobs=st.dictionaries(st.sampled_from(KNOBS), st.integers(1, 10)),
)
def test_options_are_obeyed_or_refused(name, n, seed, knobs):
    try:
        points = place(name, n_points=n, seed=seed, **knobs)
    except PointillistError as error:
        assert "source." in str(error)
        assert len(str(error).splitlines()) == 1
        return
    assert set(knobs) <= set(formulas.FORMULAS[name].knobs)
    assert points.shape == (n, 2)
    assert np.isfinite(points).all()


@pytest.mark.parametrize("knob", KNOBS)
@pytest.mark.parametrize("name", formulas.NAMES)
def test_a_knob_has_an_effect_or_is_refused(name, knob):
    if knob in formulas.FORMULAS[name].knobs:
        assert not np.array_equal(place(name, **{knob: 7}), place(name))
    else:
        with pytest.raises(PointillistError, match=rf"source\.{knob} has no effect on {name}"):
            place(name, **{knob: 7})


@pytest.mark.parametrize("name", formulas.NAMES)
def test_the_values_that_are_said_are_the_defaults(name):
    knobs = formulas.FORMULAS[name].knobs
    np.testing.assert_array_equal(place(name, **knobs), place(name))
    assert all(f"source.{knob}={value:g}" in formulas.about(name) for knob, value in knobs.items())
    assert "\n" not in formulas.about(name)


def test_refusals_name_what_is_taken_and_the_cure():
    with pytest.raises(PointillistError) as error:
        place("moons", turns=2)
    assert str(error.value) == (
        "source.turns has no effect on moons, which takes source.noise. Leave it out."
    )
    with pytest.raises(PointillistError, match="which takes 1 to 12"):
        place("tree", count=40)
    with pytest.raises(PointillistError, match="n_points=24 is too few for 25 parts"):
        place("gaussian_grid", n_points=24)
    with pytest.raises(PointillistError, match="Did you mean 'moons'"):
        place("moon")


@pytest.mark.parametrize("name", formulas.NAMES)
def test_noise_follows_the_seed(name):
    noisy, other = (place(name, noise=0.1, seed=seed) for seed in (0, 1))
    assert not np.array_equal(noisy, other)


@pytest.mark.parametrize(
    "name", ["moons", "circles", "s_curve", "swiss_roll", "two_spirals", "tree"]
)
def test_noise_has_the_deviation_that_is_asked_for(name):
    noise = place(name, noise=0.2) - place(name, noise=0)
    np.testing.assert_allclose(noise.std(0), 0.2, rtol=0.05)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("moons", datasets.make_moons(20_000)[0]),
        ("circles", datasets.make_circles(20_000, factor=0.5)[0]),
        ("swiss_roll", datasets.make_swiss_roll(20_000, random_state=0)[0][:, [0, 2]]),
        ("s_curve", datasets.make_s_curve(20_000, random_state=0)[0][:, [0, 2]]),
    ],
)
def test_scikit_learns_shapes_are_scikit_learns(name, theirs):
    ours = place(name, noise=0)
    extent = np.ptp(theirs)
    assert farthest(ours, theirs) < 0.002 * extent
    assert farthest(theirs, ours) < 0.004 * extent
    np.testing.assert_allclose(ours.mean(0), theirs.mean(0), atol=0.01 * extent)
    np.testing.assert_allclose(np.cov(ours.T), np.cov(theirs.T), atol=0.002 * extent**2)


@pytest.mark.parametrize("name", ["moons", "s_curve", "two_spirals", "lissajous"])
def test_points_are_evenly_spaced_along_a_curve(name):
    points = place(name, noise=0)
    steps = np.hypot(*np.diff(points, axis=0).T)
    # Two moons and two spirals are joined by a jump.
    steps = np.sort(steps)[:-1]
    assert steps.max() < 1.01 * steps.min()


def test_four_circles_have_the_radii_of_ffjords_rings():
    radii = np.hypot(*place("circles", count=4, noise=0).T)
    values, counts = np.unique(radii.round(9), return_counts=True)
    assert values.tolist() == [0.25, 0.5, 0.75, 1]
    assert counts.tolist() == [500] * 4


@pytest.mark.parametrize("name", ["eight_gaussians", "gaussian_grid"])
def test_without_noise_gaussians_are_their_modes(name):
    number = {"eight_gaussians": 8, "gaussian_grid": 25}[name]
    modes = place(name, noise=0, n_points=number)
    assert len(np.unique(modes.round(9), axis=0)) == number
    np.testing.assert_allclose(modes.mean(0), 0, atol=1e-12)
    if name == "eight_gaussians":
        np.testing.assert_allclose(np.hypot(*modes.T), 4)
    else:
        assert set(modes.ravel()) == {-4, -2, 0, 2, 4}
    points = place(name, n_points=200 * number)
    away = (points - np.repeat(modes, 200, axis=0)).reshape(number, 200, 2)
    noise = formulas.FORMULAS[name].knobs["noise"]
    np.testing.assert_allclose(away.std(1), noise, rtol=0.03)
    np.testing.assert_allclose(away.mean(1), 0, atol=0.03 * noise)


@given(count=st.integers(1, 32), seed=st.integers(0, 2**32))
def test_a_checkerboard_fills_its_even_cells_alike(count, seed):
    filled = (count**2 + 1) // 2
    points = place("checkerboard", count=count, n_points=4 * filled, seed=seed)
    assert abs(points).max() <= 4
    # As FFJORD's: the cell at the lower left is filled.
    cells = np.floor((points + 4) * count / 8).clip(0, count - 1)
    assert not (cells.sum(1) % 2).any()
    assert (np.unique(cells, axis=0, return_counts=True)[1] == 4).all()


def test_areas_are_filled_more_evenly_than_by_chance():
    """Random points have a twentieth of the mean spacing somewhere; these never come so close."""
    points = place("line", n_points=2000)
    assert (abs(points) <= (2, 4)).all()
    spacing = np.sqrt(4 * 8 / 2000)
    assert cKDTree(points).query(points, k=2)[0][:, 1].min() > 0.5 * spacing
    corners = np.stack(np.meshgrid(np.linspace(-2, 2, 50), np.linspace(-4, 4, 100)), -1)
    assert farthest(corners.reshape(-1, 2), points) < 1.5 * spacing


def test_a_pinwheels_arms_turn_as_ffjords():
    points = place("pinwheel", noise=0)
    radius = np.hypot(*points.T)
    turn = np.arctan2(points[:, 1], points[:, 0]) + np.exp(radius) / 4
    arms = turn / (2 * np.pi / 5)
    np.testing.assert_allclose(arms, arms.round(), atol=1e-9)
    assert radius.mean() == pytest.approx(1, abs=0.01)
    assert radius.std() == pytest.approx(0.3, rel=0.03)


def test_two_spirals_are_archimedes():
    points = place("two_spirals", noise=0, turns=2)
    radius = np.hypot(*points.T)
    curve = radius[:, None] * np.stack((-np.cos(3 * radius), np.sin(3 * radius)), -1)
    signs = np.sign((curve * points).sum(1))
    np.testing.assert_allclose(points, signs[:, None] * curve, atol=1e-3)
    assert signs.sum() == 0
    assert radius.max() == pytest.approx(4 * np.pi / 3, rel=0.01)


def test_a_lissajous_curve_solves_its_equation():
    """sin 12a, once from x = sin 3a and once from y = sin 4a."""
    x, y = place("lissajous").T
    twelve = 16 * x**2 * (1 - x**2) * (1 - 2 * x**2) ** 2
    np.testing.assert_allclose(twelve, (3 * y - 4 * y**3) ** 2, atol=1e-3)


@pytest.mark.parametrize(("count", "ratio"), [(3, 1 / 2), (5, (3 - 5**0.5) / 2), (6, 1 / 3)])
def test_sierpinskis_fractal_is_made_of_copies_of_itself(count, ratio):
    whole = place("sierpinski", count=count, n_points=count**4)
    copies = np.split(whole, count)
    part = place("sierpinski", count=count, n_points=count**3)
    for copy in copies:
        np.testing.assert_allclose(copy - copy.mean(0), ratio * (part - part.mean(0)), atol=1e-9)
    assert np.hypot(*whole.T).max() <= 1


def test_a_tree_branches_and_has_points_evenly_along_its_limbs():
    n, count = 8_000, 5
    points = place("tree", n_points=n, count=count)
    length = sum((0.82 + 0.66) ** generation for generation in range(count))
    nearest = cKDTree(points).query(points, k=2)[0][:, 1]
    assert np.median(nearest) == pytest.approx(length / n, rel=0.02)
    trunk = points[points[:, 1] < 0.95]
    assert len(trunk) == pytest.approx(0.95 / length * n, rel=0.02)
    # Just above the first fork there are two limbs.
    cut = np.sort(points[abs(points[:, 1] - 1.3) < 3 * length / n, 0])
    assert (np.diff(cut) > 0.05).sum() == 1
