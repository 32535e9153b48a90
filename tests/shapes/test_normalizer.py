import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pointillist.shapes import Normalizer

points_of = arrays(np.float64, (12, 2), elements=st.floats(-1e6, 1e6, allow_subnormal=False))


@given(points=points_of)
def test_what_is_applied_can_be_inverted(points):
    normalizer = Normalizer.fit(points) if np.ptp(points) > 1e-3 else Normalizer((1, 2), (3, 4))
    there = normalizer.apply(points)
    np.testing.assert_allclose(normalizer.invert(there), points, rtol=1e-9, atol=1e-6)


@given(
    unit=arrays(np.float64, (12, 2), elements=st.floats(-0.5, 0.5, allow_subnormal=False)),
    offset=st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
    extent=st.floats(1e-3, 1e6),
    ratio=st.floats(1, 1e6),
    upright=st.booleans(),
)
def test_the_way_there_and_back_is_within_a_millionth_of_the_extent(
    unit, offset, extent, ratio, upright
):
    unit[:2] = [[-0.5, -0.5], [0.5, 0.5]]
    thin = (extent, max(extent / ratio, 1e-3))
    points = unit * (thin[::-1] if upright else thin) + offset
    normalizer = Normalizer.fit(points)
    there = normalizer.apply(points)
    np.testing.assert_allclose(there.std(0), 1, rtol=1e-6)
    error = abs(normalizer.invert(there) - points).max(0)
    assert (error <= 1e-6 * np.ptp(points, 0)).all()


def test_standardised_points_have_mean_zero_and_deviation_one():
    points = np.random.default_rng(0).normal(size=(50, 2)) * [3, 40] + [7, -2]
    standard = Normalizer.fit(points).apply(points)
    np.testing.assert_allclose(standard.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(standard.std(0), 1)


def test_a_line_keeps_the_scale_of_its_other_axis():
    line = np.stack((np.full(9, 1 / 3), np.arange(9.0)), -1)
    normalizer = Normalizer.fit(line)
    assert normalizer.scale[0] == pytest.approx(line[:, 1].std())
    np.testing.assert_allclose(normalizer.apply(line)[:, 0], 0, atol=1e-12)


@pytest.mark.parametrize(
    "points",
    [
        [[1e12, 0], [1e12, 1e-3]],
        [[1e-17, 0], [-1e-17, 1]],
        [[1e12, 1e12], [1e12, 1e12 * (1 + 2e-16)]],
        [[1e100, 0], [-1e100, 1e-100]],
    ],
    ids=["far", "rounding beside a line", "one unit in the last place", "extremes"],
)
def test_two_points_are_enough_wherever_they_are(points):
    normalizer = Normalizer.fit(np.array(points))
    assert np.isfinite(normalizer.scale).all()
    assert min(normalizer.scale) > 0
    assert abs(normalizer.apply(points)).max() == pytest.approx(1, abs=1e-3)


def test_given_centre_and_scale_are_kept():
    normalizer = Normalizer.fit(np.zeros((2, 2)), (54.0, 48.0), (13.5, 12.0))
    assert normalizer.apply([[108.0, 0.0]]).tolist() == [[4.0, -4.0]]


def test_it_survives_json():
    normalizer = Normalizer((1.5, 2.5), (0.1, 0.2))
    assert Normalizer.from_dict(normalizer.to_dict()) == normalizer


@given(seed=st.integers(0, 999), offset=st.sampled_from([0.0, 1e6]))
def test_whole_weights_are_repeated_points(seed, offset):
    rng = np.random.default_rng(seed)
    points, counts = rng.normal(size=(20, 2)) + offset, rng.integers(1, 9, 20)
    weighted = Normalizer.fit(points, weights=counts.astype(float))
    repeated = Normalizer.fit(points.repeat(counts, axis=0))
    np.testing.assert_allclose(weighted.scale, repeated.scale, rtol=1e-6)
    np.testing.assert_allclose(weighted.center, repeated.center, atol=1e-9 * (1 + offset))


@pytest.mark.parametrize(
    ("extent", "drawn"),
    [((4, 2), (1, 0.5)), ((1, 19), (1 / 19, 1)), ((1, 50), (1, 1)), ((1e-3, 1e3), (1, 1))],
)
def test_pictures_keep_proportions_until_they_would_be_lines(extent, drawn):
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]]) * extent + 1e6
    seen = Normalizer.for_pictures(square).apply(square)
    np.testing.assert_allclose(np.ptp(seen, axis=0), drawn, rtol=1e-5)
    np.testing.assert_allclose(seen.min(0), -seen.max(0), atol=1e-5)


@pytest.mark.parametrize("points", [[[0, 3], [5, 3], [7, 3]], [[2, 2], [2, 2]]])
def test_flat_shapes_are_drawn_in_one_scale(points):
    normalizer = Normalizer.for_pictures(np.array(points, float))
    assert normalizer.scale[0] == normalizer.scale[1] > 0
