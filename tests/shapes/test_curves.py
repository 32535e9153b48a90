"""Points along lines and inside them: evenly spaced, as many as were asked for."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import KDTree

from pointillist.shapes import curves

SQUARE = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])


def circle(radius: float, centre: tuple[float, float] = (0, 0), turns: int = 1) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi * turns, 721)
    line = radius * np.stack((np.cos(angle), np.sin(angle)), -1) + centre
    line[-1] = line[0]
    return line


def test_points_on_a_closed_line_are_evenly_spaced_all_round():
    points = curves.along([circle(3)], 100)
    gaps = np.hypot(*(points - np.roll(points, 1, axis=0)).T)
    np.testing.assert_allclose(gaps, 2 * 3 * np.sin(np.pi / 100), rtol=1e-3)


def test_points_on_an_open_line_keep_half_a_gap_from_its_ends():
    points = curves.along([np.array([[0.0, 0], [10, 0]])], 5)
    np.testing.assert_allclose(points, [[1, 0], [3, 0], [5, 0], [7, 0], [9, 0]], atol=1e-12)


@given(lengths=st.lists(st.floats(0.01, 1000), min_size=1, max_size=12), n=st.integers(1, 400))
def test_lines_share_the_points_by_their_length(lengths, n):
    lines = [np.array([[0.0, k], [length, k]]) for k, length in enumerate(lengths)]
    points = curves.along(lines, n)
    assert len(points) == n
    counts = np.bincount(points[:, 1].round().astype(int), minlength=len(lengths))
    if n >= len(lengths):
        assert counts.min() >= 1
    # No line is owed a whole point more than it has, but for those that lines too short took.
    due = n * np.array(lengths) / sum(lengths)
    assert (counts <= np.maximum(1, np.ceil(due))).all()


@given(
    corners=st.lists(
        st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2, max_size=30, unique=True
    ),
    n=st.integers(1, 300),
)
def test_points_lie_on_the_line_at_even_distances(corners, n):
    line = np.array(corners)
    points = curves.along([line], n)
    steps = np.hypot(*np.diff(line, axis=0).T)
    at = (np.arange(n) + 0.5) * steps.sum() / n
    segment = np.searchsorted(steps.cumsum(), at).clip(max=len(steps) - 1)
    share = (at - (steps.cumsum() - steps)[segment]) / steps[segment]
    expected = line[segment] + share[:, None] * np.diff(line, axis=0)[segment]
    np.testing.assert_allclose(points, expected, atol=1e-6)


def test_points_do_not_depend_on_how_finely_a_line_is_cut():
    fine = np.concatenate([np.linspace(a, b, 50, endpoint=False) for a, b in pairwise(SQUARE)])
    fine = np.concatenate((fine, SQUARE[:1]))
    np.testing.assert_allclose(curves.along([fine], 40), curves.along([SQUARE], 40), atol=1e-12)


def test_a_line_needs_points():
    with pytest.raises(ValueError, match="at least one"):
        curves.along([], 10)
    with pytest.raises(ValueError, match="must have a point"):
        curves.along([np.empty((0, 2))], 10)


@pytest.mark.parametrize("n", [10, 400, 3000])
def test_what_is_enclosed_is_filled_evenly(n):
    points = curves.inside([SQUARE * 100], n, seed=0)
    assert points.shape == (n, 2)
    assert (points > -1).all()
    assert (points < 101).all()
    np.testing.assert_allclose(points.mean(0), [50, 50], atol=4)
    nearest = KDTree(points).query(points, k=2)[0][:, 1]
    # Points by chance would have a nearest neighbour at 1/2 of the mean spacing, and often at none.
    assert np.median(nearest) > 0.75 * 100 / n**0.5
    assert nearest.min() > 0.3 * 100 / n**0.5


def test_what_runs_the_other_way_round_is_a_hole():
    ring = [circle(1), circle(0.5)[::-1]]
    radius = np.hypot(*curves.inside(ring, 1000, seed=0).T)
    assert radius.min() > 0.49
    assert radius.max() < 1.01
    whole = np.hypot(*curves.inside([circle(1), circle(0.5)], 1000, seed=0).T)
    assert whole.min() < 0.1


def test_filling_is_repeatable_and_depends_on_the_seed():
    first, second = curves.inside([SQUARE], 50, seed=1), curves.inside([SQUARE], 50, seed=1)
    assert (first == second).all()
    assert (first != curves.inside([SQUARE], 50, seed=2)).any()


def test_an_open_line_is_closed_to_be_filled():
    points = curves.inside([SQUARE[:-1]], 200, seed=0)
    np.testing.assert_allclose(points.mean(0), [0.5, 0.5], atol=0.04)


@pytest.mark.parametrize("line", [[[0, 0], [1, 1]], [[3, 3], [3, 3], [3, 3]]])
def test_lines_that_enclose_nothing_are_refused(line):
    with pytest.raises(ValueError, match="enclose nothing"):
        curves.inside([np.array(line, float)], 10, seed=0)


def test_the_shares_of_lines_add_up_even_if_some_have_no_length():
    points = curves.along([np.zeros((3, 2)), circle(1), circle(2, (9, 9))], 30)
    assert len(points) == 30
    assert (points == 0).all(1).sum() == 1
    assert (points > 5).all(1).sum() == pytest.approx(29 * 2 / 3, abs=1)


def test_no_points_are_none():
    assert curves.along([SQUARE], 0).shape == (0, 2)


def test_fewer_points_than_lines_stand_on_the_longest():
    lines = [np.array([[0.0, k], [k, k]]) for k in range(1, 9)]
    assert sorted(curves.along(lines, 3)[:, 1]) == [6, 7, 8]


def test_a_line_that_crosses_itself_is_filled_where_it_winds():
    """The middle of a pentagram is wound twice: inside by the non-zero rule, a hole by the other."""
    angle = np.arange(6) * 4 * np.pi / 5
    points = curves.inside([np.stack((np.cos(angle), np.sin(angle)), -1)], 1000, seed=0)
    assert np.hypot(*points.T).min() < 0.1


@given(
    corners=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=3, max_size=9),
)
def test_winding_is_that_of_the_angle(corners):
    line = np.array(corners, dtype=float) * 0.997  # no edge through a pixel's centre
    winding = curves._winding([line])
    height, width = winding.shape
    closed = np.concatenate((line, line[:1]))
    for row, column in ((0, 0), (height // 2, width // 2), (height // 3, width // 4)):
        to = closed - (column + 0.5, height - row - 0.5)
        turned = np.diff(np.arctan2(to[:, 1], to[:, 0]))
        expected = ((turned + np.pi) % (2 * np.pi) - np.pi).sum() / (2 * np.pi)
        # A centre on an edge is on either side of it.
        if abs(abs(turned) - np.pi).min() > 1e-6:
            assert winding[row, column] == round(expected)


def test_small_areas_far_apart_are_filled_without_all_between():
    points = curves.inside([circle(1), circle(1, (1000, 1000))], 300, seed=0)
    near, far = np.hypot(*points.T), np.hypot(*(points - 1000).T)
    assert np.minimum(near, far).max() < 1.5
    assert (near < 2).sum() == pytest.approx(150, abs=15)
