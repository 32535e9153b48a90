"""Shapes are found, checked and named; what is wrong is said with file, row and cure."""

import sys
from pathlib import Path
from subprocess import run

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointillist import shapes
from pointillist.errors import PointillistError

COUNTS = {
    "bunny": 517,
    "cat": 263,
    "dino": 142,
    "dog": 542,
    "gorilla": 1511,
    "music": 1137,
    "panda": 689,
    "pi": 304,
    "Python": 745,
    "SDS": 2061,
    "sheep": 452,
    "soccer": 2219,
}


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("name", COUNTS)
def test_data_morph_shapes_are_read_from_the_installed_package(name, tmp_path):
    points = shapes.load(name, None, tmp_path)
    assert list(points.columns) == ["x", "y"]
    assert (points.dtypes == "float64").all()
    assert len(points) == COUNTS[name]


def test_names_are_those_that_data_morph_offers():
    loader = pytest.importorskip("data_morph.data.loader").DataLoader
    assert set(shapes.names()) == set(loader.AVAILABLE_DATASETS) == set(COUNTS)


def test_names_do_not_depend_on_case():
    assert shapes.canonical_name("PYTHON") == "Python"
    assert shapes.canonical_name("sds") == "SDS"
    assert shapes.canonical_name("My Heart") == "My Heart"


def test_own_file_goes_before_data_morph(tmp_path):
    write(tmp_path, "cat.csv", "x,y\n0,0\n1,2\n")
    assert len(shapes.load("cat", None, tmp_path)) == 2


def test_blank_lines_and_trailing_commas_are_no_points(tmp_path):
    write(tmp_path, "own.csv", "x,y\n0,0,\n\n1,2,\n,,\n\n")
    points = shapes.load("own", None, tmp_path)
    assert points.to_numpy().tolist() == [[0, 0], [1, 2]]
    assert points.index.tolist() == [0, 1]


def test_shape_file_goes_before_all(tmp_path):
    file = write(tmp_path, "other.csv", "y,x,colour\n1,2,red\n3,4,blue\n")
    points = shapes.load("cat", file, tmp_path)
    assert points.to_numpy().tolist() == [[2, 1], [4, 3]]


def test_unknown_shape_names_the_known_ones_and_the_cure(tmp_path):
    write(tmp_path, "heart.csv", "x,y\n0,0\n1,2\n")
    with pytest.raises(PointillistError) as error:
        shapes.load("hart", None, tmp_path)
    message = str(error.value)
    assert "Did you mean 'heart'?" in message
    assert "bunny, cat" in message
    assert "data/01_raw/hart.csv (columns x,y)" in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("x,y\n", "0 distinct points"),
        ("x,y\n1,2\n", "1 distinct points"),
        ("x,y\n1,2\n1,2\n", "1 distinct points"),
        ("a,b\n1,2\n3,4\n", "no column x and y (found: a, b)"),
        ("x;y\n1;2\n3;4\n", "Separate the columns with commas"),
        ("x,y\n1,2\n3,four\n", "line 3, column y: 'four'"),
        ("x,y\n1,2\n,4\n", "line 3, column x: nothing"),
        ("x,y\n1,2\n3,nan\n5,inf\n", "line 3, column y: nothing"),
        ("x,y\n1,2\n3,inf\n", "line 3, column y: 'inf'"),
        ("x,y\n1,2\n3,4,5,6\n", "is not a CSV table"),
        ("x,y\n1,2,3\n4,5,6\n", "more cells than its first line"),
        ("x,y\n1,2\n\n\n3,four\n", "line 5, column y: 'four'"),
        ("x,y\n1e308,2\n-1e308,4\n", "line 2, column x: '1e+308'"),
        ("x,y\n1e-320,2\n2e-320,2\n", "too close together"),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "is not a CSV table"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_bad_files_are_refused_with_file_row_and_cure(tmp_path, content, said):
    file = write(tmp_path, "bad.csv", content)
    with pytest.raises(PointillistError) as error:
        shapes.load("bad", None, tmp_path)
    assert said in str(error.value)
    assert str(file) in str(error.value)
    assert len(str(error.value).splitlines()) <= 2


@given(content=st.binary(max_size=200))
def test_no_file_raises_anything_but_our_error(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("any")
    file = write(folder, "any.csv", content)
    try:
        points = shapes.load("any", file, folder)
    except PointillistError:
        return
    assert np.isfinite(points.to_numpy()).all()


@pytest.mark.parametrize("path", ["nowhere.csv", "."])
def test_shape_file_must_be_a_file(tmp_path, path):
    with pytest.raises(PointillistError, match="columns x,y"):
        shapes.load("x", tmp_path / path, tmp_path)


def test_names_cannot_leave_the_folder_of_own_shapes(tmp_path):
    inside = tmp_path / "in"
    inside.mkdir()
    write(tmp_path, "secret.csv", "x,y\n0,0\n1,2\n")
    with pytest.raises(PointillistError, match="unknown"):
        shapes.load("../secret", None, inside)


@pytest.mark.parametrize(
    ("shape", "file", "name"),
    [
        (None, None, "dino"),
        ("cat", "x.csv", "cat"),
        ("CAT", None, "cat"),
        (None, "/tmp/My heart!.csv", "My_heart_"),
        (None, "../../.csv", "csv"),
        (1, None, "1"),
        (None, 7, "7"),
        ("", "", "dino"),
    ],
)
def test_runs_are_named_by_shape_then_file_then_default(shape, file, name):
    assert shapes.shape_of(shape, file, None, "dino") == name


def test_digest_is_that_of_the_points():
    points = np.array([[0.0, 1.0], [2.0, 3.0]])
    assert shapes.digest(points) == shapes.digest(points.tolist())
    assert shapes.digest(pd.DataFrame(points)) == shapes.digest(np.asfortranarray(points))
    assert shapes.digest(points) != shapes.digest(points[::-1])
    assert len(shapes.digest(points)) == 16


def test_importing_shapes_is_cheap():
    code = "import sys, pointillist.shapes; print([m for m in ('pandas', 'torch') if m in sys.modules])"
    assert run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
