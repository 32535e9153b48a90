"""The last check of points, and whether they are flat."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pointillist.errors import PointillistError
from pointillist.shapes import points


def table(*rows, columns=("x", "y", "weight")):
    return pd.DataFrame(rows, columns=list(columns)[: len(rows[0])])


def test_points_are_kept_in_order_with_a_clean_index():
    given = table((0, 1, 1), (0, 1, 2), (2, 3, 1), (4, 5, 1)).assign(label="a")
    given.index = [7, 7, 8, 9]
    kept = points.checked(given, "own.csv")
    assert list(kept.columns) == ["x", "y", "weight"]
    assert (kept.dtypes == "float64").all()
    assert kept.index.tolist() == [0, 1, 2, 3]
    assert kept["weight"].tolist() == [1, 2, 1, 1]


def test_points_without_weights_have_no_such_column():
    assert list(points.checked(table((0, 1), (2, 3), (4, 5)), "own").columns) == ["x", "y"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(0, 0), (1, 1)], "2 distinct points; a shape needs at least 3"),
        ([(0, 0), (1, 1), (0, 0), (-0.0, 0)], "2 distinct points"),
        ([(0, 0), (0, 0), (0, 0)], "1 distinct point;"),
        ([(0, 0), (np.nan, 1), (1, np.nan), (np.nan, 2)], "row 2, column x: nothing or NaN"),
        ([(0, 0), (np.nan, 1), (1, 1), (np.inf, 2)], "(2 rows are like it)"),
        ([(0, 0), (2, 1), (1, -1e101)], "row 3, column y: -1e+101"),
        ([(1e-320, 0), (2e-320, 0), (3e-320, 0)], "too close together"),
        ([(0, 0, 1), (1, 1, 0), (2, 1, 1)], "row 2, column weight: 0 where a weight must be"),
        ([(0, 0, 1), (1, 1, -1), (2, 1, 1)], "row 2, column weight: -1"),
        ([(0, 0, 1), (1, 1, np.nan), (2, 1, 1)], "row 2, column weight: nothing or NaN"),
        ([(0, 0, 1), (1, 1, np.inf), (2, 1, 1)], "row 2, column weight: inf"),
        ([(0, 0, 0), (1, 1, 0), (2, 1, 0)], "row 1, column weight: 0"),
        ([(0, 0, 1), (1, 1, 1e-40), (2, 1, 1)], "at least 1e-30 of all weight"),
        ([(0, 0), (1, 1), ("two", 3)], "row 3, column x: nothing or NaN"),
    ],
    ids=str,
)
def test_what_is_no_shape_is_refused_with_the_cure(rows, said):
    with pytest.raises(PointillistError) as error:
        points.checked(table(*rows), "own.csv")
    assert said in str(error.value)
    assert str(error.value).startswith("own.csv")
    assert len(str(error.value).splitlines()) <= 2


def test_a_missing_column_is_named():
    with pytest.raises(PointillistError, match="own has no column y"):
        points.checked(pd.DataFrame({"x": [1, 2, 3]}), "own")


def test_no_more_points_are_taken_than_can_be_learnt(monkeypatch):
    monkeypatch.setattr(points, "MOST", 3)
    with pytest.raises(PointillistError, match="has 4 points; at most 3"):
        points.checked(table((0, 0), (1, 1), (2, 2), (3, 3)), "own")


@given(places=arrays(np.float64, st.tuples(st.integers(0, 6), st.just(2))))
def test_any_numbers_are_kept_as_they_are_or_refused(places):
    try:
        kept = points.checked(pd.DataFrame(places, columns=["x", "y"]), "any")
    except PointillistError as error:
        assert str(error).startswith("any")
        return
    np.testing.assert_array_equal(kept.to_numpy(), places)


LINE = np.linspace(-1, 1, 50)


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (np.full(50, 1 / 3), LINE, "x is the same for all points"),
        (LINE, np.full(50, 1e6), "y is the same for all points"),
        (LINE, 0.1 * LINE + 0.3, "all points lie on one line"),
        (LINE, -3e5 * LINE, "all points lie on one line"),
        (1e6 + 1e-3 * LINE, 1e6 - 2e-3 * LINE, "all points lie on one line"),
    ],
    ids=["x", "y", "slanted", "steep", "far"],
)
def test_lines_are_said(x, y, said):
    sentence = points.flatness(pd.DataFrame({"x": x, "y": y}))
    assert sentence is not None
    assert sentence.startswith(said)
    assert "a bandwidth wide" in sentence


@pytest.mark.parametrize("bend", [1e-6, 1.0])
@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
def test_curves_are_no_lines(bend, scale):
    curve = pd.DataFrame({"x": LINE, "y": scale * (LINE + bend * LINE**2)})
    assert points.flatness(curve) is None


@given(
    angle=st.floats(0, np.pi),
    size=st.floats(1e-3, 1e6),
    centre=st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
)
def test_a_line_is_one_at_any_angle_size_and_place(angle, size, centre):
    line = np.outer(LINE, (np.cos(angle), np.sin(angle))) * size + centre
    assert points.flatness(pd.DataFrame(line, columns=["x", "y"])) is not None
