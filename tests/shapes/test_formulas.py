"""Each formula is the density people know by its name, without a ripple, and takes what it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from sklearn import datasets

from pointillist.errors import PointillistError
from pointillist.shapes import formulas
from pointillist.shapes.config import Source
from pointillist.shapes.materials import Formula

KNOBS = ("noise", "count", "turns")


def density(name: str, **options):
    return formulas.density(name, Source(**options))


def place(name: str, **options) -> np.ndarray:
    """Where its Gaussians stand."""
    return density(name, **options).points


def log_prob(parts, x: np.ndarray) -> np.ndarray:
    """The mixture's log-density at x (n, 2), in plain terms."""
    inverse, volume = np.linalg.inv(parts.covariances), np.linalg.det(parts.covariances)
    shares = np.ones(len(parts.points)) if parts.weights is None else parts.weights
    away = x[:, None] - parts.points
    squares = np.einsum("bni,nij,bnj->bn", away, inverse, away)
    kernels = np.exp(-squares / 2) * (shares / shares.sum() / (2 * np.pi * volume**0.5))
    return np.log(kernels.sum(1))


def farthest(points: np.ndarray, others: np.ndarray) -> float:
    """The greatest distance of one of `points` from the nearest of `others`."""
    return cKDTree(others).query(points)[0].max()


@pytest.mark.parametrize("name", formulas.NAMES)
def test_a_formula_is_a_few_gaussians(name):
    parts = density(name)
    assert len(parts.points) < 1.6 * formulas.MOST
    assert np.isfinite(parts.points).all()
    assert (np.linalg.eigvalsh(parts.covariances) > 0).all()
    again = density(name)
    np.testing.assert_array_equal(parts.points, again.points)
    np.testing.assert_array_equal(parts.covariances, again.covariances)


@given(
    name=st.sampled_from(formulas.NAMES),
    n=st.integers(3, 400),
    seed=st.integers(0, 2**63 - 1),
    knobs=st.dictionaries(st.sampled_from(KNOBS), st.integers(1, 10)),
)
def test_options_are_obeyed_or_refused(name, n, seed, knobs):
    try:
        table = Formula(name).place(Source(sampled=n, seed=seed, **knobs))
    except PointillistError as error:
        assert "source." in str(error) or "distinct" in str(error)
        assert len(str(error).splitlines()) == 1
        return
    assert set(knobs) <= set(formulas.FORMULAS[name].knobs)
    assert table.shape == (n, 2)
    assert np.isfinite(table.to_numpy()).all()


@pytest.mark.parametrize("knob", KNOBS)
@pytest.mark.parametrize("name", formulas.NAMES)
def test_a_knob_has_an_effect_or_is_refused(name, knob):
    if knob in formulas.FORMULAS[name].knobs:
        parts, default = density(name, **{knob: 7}), density(name)
        assert parts.table().shape != default.table().shape or not parts.table().equals(
            default.table()
        )
    else:
        with pytest.raises(PointillistError, match=rf"source\.{knob} has no effect on {name}"):
            density(name, **{knob: 7})


@pytest.mark.parametrize("name", formulas.NAMES)
def test_the_values_that_are_said_are_the_defaults(name):
    knobs = formulas.FORMULAS[name].knobs
    assert density(name, **knobs).table().equals(density(name).table())
    assert all(f"source.{knob}={value:g}" in formulas.about(name) for knob, value in knobs.items())
    assert "\n" not in formulas.about(name)


def test_refusals_name_what_is_taken_and_the_cure():
    with pytest.raises(PointillistError) as error:
        density("moons", turns=2)
    assert str(error.value) == (
        "source.turns has no effect on moons, which takes source.noise. Leave it out."
    )
    with pytest.raises(PointillistError, match="which takes 1 to 12"):
        density("tree", count=40)
    with pytest.raises(PointillistError, match="Did you mean 'moons'"):
        density("moon")
    with pytest.raises(PointillistError, match=r"drawn from it: source\.sampled=50"):
        Formula("moons").place(Source(n_points=50))


@pytest.mark.parametrize("name", formulas.NAMES)
def test_draws_follow_the_seed_and_the_density(name):
    """The mean surprise of draws is the entropy, taken over other draws."""
    parts = density(name)
    assert not np.array_equal(parts.draw(10, 0), parts.draw(10, 1))
    drawn, other = (log_prob(parts, parts.draw(1000, seed)) for seed in (0, 1))
    error = np.hypot(drawn.std(), other.std()) / 1000**0.5
    assert abs(drawn.mean() - other.mean()) < 4 * error


@pytest.mark.parametrize("name", ["moons", "circles", "s_curve", "swiss_roll", "two_spirals"])
def test_a_curve_under_noise_has_no_ripple(name, monkeypatch):
    """Ten times as many Gaussians, of the same width, are the same density."""
    parts = density(name)
    monkeypatch.setattr(formulas, "MOST", 20_000)
    monkeypatch.setattr(formulas, "_SPACING", 0.15)
    fine = density(name)
    assert len(fine.points) >= 8 * len(parts.points)
    np.testing.assert_allclose(fine.covariances[0], parts.covariances[0])
    x = fine.draw(1000, 0)
    off = abs(log_prob(parts, x) - log_prob(fine, x))
    assert np.median(off) < 0.001
    # Beyond a curve's ends, where hardly a draw is, the last Gaussian's place shows.
    assert np.quantile(off, 0.95) < 0.01


@pytest.mark.parametrize("name", ["checkerboard", "line"])
def test_an_area_has_no_ripple_inside(name):
    parts = density(name)
    deviation = parts.covariances[0, 0, 0] ** 0.5
    middle = np.array((-3.0, -3.0) if name == "checkerboard" else (0.0, 0.0))
    inside = middle + np.random.default_rng(0).uniform(-0.4, 0.4, (2000, 2))
    area = 32.0
    assert 1 - 4 * deviation > 0.4  # no edge within reach
    np.testing.assert_allclose(np.exp(log_prob(parts, inside)) * area, 1, atol=0.01)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("moons", lambda n: datasets.make_moons(n, noise=0.05, random_state=0)[0]),
        (
            "circles",
            lambda n: datasets.make_circles(n, noise=0.03, factor=0.5, random_state=0)[0],
        ),
        (
            "swiss_roll",
            lambda n: datasets.make_swiss_roll(n, noise=0.5, random_state=0)[0][:, [0, 2]],
        ),
        (
            "s_curve",
            lambda n: datasets.make_s_curve(n, noise=0.05, random_state=0)[0][:, [0, 2]],
        ),
    ],
)
def test_scikit_learns_draws_are_draws_of_ours(name, theirs):
    """Their mean surprise under our density is our entropy: no density has less of it on them."""
    parts = density(name)
    surprise = -log_prob(parts, theirs(4000))
    own = -log_prob(parts, parts.draw(4000, 1))
    error = np.hypot(surprise.std(), own.std()) / 4000**0.5
    assert abs(surprise.mean() - own.mean()) < 4 * error


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
def test_a_mode_is_one_gaussian(name):
    number = {"eight_gaussians": 8, "gaussian_grid": 25}[name]
    parts = density(name)
    assert len(parts.points) == number
    np.testing.assert_allclose(parts.points.mean(0), 0, atol=1e-12)
    if name == "eight_gaussians":
        np.testing.assert_allclose(np.hypot(*parts.points.T), 4)
    else:
        assert set(parts.points.ravel()) == {-4, -2, 0, 2, 4}
    noise = formulas.FORMULAS[name].knobs["noise"]
    np.testing.assert_allclose(parts.covariances, [noise**2 * np.eye(2)] * number)


@given(count=st.integers(1, 32))
def test_a_checkerboard_fills_its_even_cells_alike(count):
    points = place("checkerboard", count=count)
    assert abs(points).max() <= 4
    # As FFJORD's: the cell at the lower left is filled.
    cells = np.floor((points + 4) * count / 8).clip(0, count - 1)
    assert not (cells.sum(1) % 2).any()
    found, counts = np.unique(cells, axis=0, return_counts=True)
    assert len(found) == (count**2 + 1) // 2
    assert len(set(counts)) == 1


def test_a_pinwheel_is_ffjords():
    """Draws, turned back, are Gaussians of deviations 0.3 and 0.1 around five arms."""
    parts = density("pinwheel")
    rng = np.random.default_rng(0)
    radius, across = 1 + 0.3 * rng.standard_normal(4000), 0.1 * rng.standard_normal(4000)
    turn = 2 * np.pi * rng.integers(0, 5, 4000) / 5 + np.exp(radius) / 4
    theirs = (radius + 1j * across) * np.exp(-1j * turn)
    surprise = -log_prob(parts, np.stack((theirs.real, theirs.imag), -1))
    own = -log_prob(parts, parts.draw(4000, 1))
    error = np.hypot(surprise.std(), own.std()) / 4000**0.5
    assert abs(surprise.mean() - own.mean()) < 4 * error


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
    whole = place("sierpinski", count=count)
    copies = [copy - copy.mean(0) for copy in np.split(whole, count)]
    shrunk = ratio * (whole - whole.mean(0))
    gap = cKDTree(shrunk).query(shrunk, k=2)[0].max()
    for copy in copies:
        np.testing.assert_allclose(copy, copies[0], atol=1e-9)
        assert farthest(shrunk, copy) < 2 * gap / ratio
        assert farthest(copy, shrunk) < 2 * gap / ratio
    assert np.hypot(*whole.T).max() <= 1


def test_a_tree_branches_and_has_points_evenly_along_its_limbs():
    count = 5
    points = place("tree", count=count)
    n = len(points)
    length = sum((0.82 + 0.66) ** generation for generation in range(count))
    nearest = cKDTree(points).query(points, k=2)[0][:, 1]
    assert np.median(nearest) == pytest.approx(length / n, rel=0.02)
    trunk = points[points[:, 1] < 0.95]
    assert len(trunk) == pytest.approx(0.95 / length * n, rel=0.02)
    # Just above the first fork there are two limbs.
    cut = np.sort(points[abs(points[:, 1] - 1.3) < 3 * length / n, 0])
    assert (np.diff(cut) > 0.05).sum() == 1
