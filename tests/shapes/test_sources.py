"""Shapes are found, checked and named; what is wrong is said with file, row and cure."""

import sys
from pathlib import Path
from subprocess import run

import numpy as np
import pandas as pd
import pytest

from pointillist import shapes
from pointillist.errors import PointillistError
from pointillist.shapes.config import Source

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


THREE = "x,y\n0,0\n1,2\n2,1\n"


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


def test_names_hold_every_shape_that_needs_no_file():
    classics = {"moons", "circles", "swiss_roll", "eight_gaussians", "checkerboard", "pinwheel"}
    assert set(COUNTS) | classics | {"heart", "star", "line", "tree"} <= set(shapes.names())
    assert len({name.lower() for name in shapes.names()}) == len(shapes.names())


@pytest.mark.parametrize("name", shapes.names())
def test_every_name_is_placed_as_listed(name, tmp_path):
    origin = shapes.find(name, tmp_path)
    material = shapes.read(origin)
    points = material.place(Source())
    assert list(points.columns) == ["x", "y"]
    assert len(points) == material.size(Source())
    assert origin.name == name
    assert origin.about


def test_names_do_not_depend_on_case():
    assert shapes.canonical_name("PYTHON") == "Python"
    assert shapes.canonical_name("sds") == "SDS"
    assert shapes.canonical_name("My Heart") == "My Heart"


def test_own_file_goes_before_data_morph(tmp_path):
    write(tmp_path, "cat.csv", THREE)
    assert len(shapes.load("cat", None, tmp_path)) == 3


def test_shape_file_goes_before_all(tmp_path):
    file = write(tmp_path, "other.csv", "y,x,colour\n1,2,red\n3,4,blue\n3,5,blue\n")
    points = shapes.load("cat", file, tmp_path)
    assert points.to_numpy().tolist() == [[2, 1], [4, 3], [5, 3]]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("CAT", "starter"), ("Circle", "target"), ("MOONS", "formula"), ("spiral", "target")],
)
def test_names_are_looked_up_in_their_order(name, kind, tmp_path):
    assert shapes.find(name, tmp_path).kind == kind
    write(tmp_path, f"{name}.csv", THREE)
    assert shapes.find(name, tmp_path).kind == "file"


def test_unknown_shape_names_the_nearest_and_the_cure(tmp_path):
    write(tmp_path, "hearth.csv", THREE)
    with pytest.raises(PointillistError) as error:
        shapes.find("hearthh", tmp_path)
    message = str(error.value)
    assert "Did you mean 'hearth'?" in message
    assert "kedro shapes" in message
    assert str(tmp_path / "hearthh.csv") in message
    assert len(message.splitlines()) == 2


def test_two_files_of_one_name_are_refused(tmp_path):
    write(tmp_path, "own.csv", THREE)
    write(tmp_path, "own.tsv", THREE.replace(",", "\t"))
    with pytest.raises(PointillistError, match=r"own\.csv, own\.tsv"):
        shapes.find("own", tmp_path)


def test_a_file_of_another_kind_is_named(tmp_path):
    write(tmp_path, "own.bmp", "BM")
    with pytest.raises(PointillistError, match=r"own\.bmp is of a kind that isn't read"):
        shapes.find("own", tmp_path)
    with pytest.raises(PointillistError, match=r"'\.bmp' aren't read"):
        shapes.find("own", tmp_path, tmp_path / "own.bmp")


@pytest.mark.parametrize("path", ["nowhere.csv", "."])
def test_shape_file_must_be_a_file(tmp_path, path):
    with pytest.raises(PointillistError, match="Give the path of a table"):
        shapes.find("x", tmp_path, tmp_path / path)


def test_a_shape_has_one_source(tmp_path):
    file = write(tmp_path, "own.csv", THREE)
    with pytest.raises(PointillistError, match="not both"):
        shapes.find("own", tmp_path, file, "word")


def test_a_file_above_the_bound_is_refused_with_the_cure(tmp_path):
    file = write(tmp_path, "own.csv", "x,y\n" + "1,2\n" * 300_000)
    with pytest.raises(PointillistError, match=r"has 1\.2 MB; at most 1 are .* max_megabytes=2"):
        shapes.read(shapes.find("own", tmp_path), max_megabytes=1)
    assert file.stat().st_size > 1e6


def test_an_empty_file_is_refused(tmp_path):
    write(tmp_path, "own.png", b"")
    with pytest.raises(PointillistError, match=r"own\.png is empty"):
        shapes.read(shapes.find("own", tmp_path))


def test_names_cannot_leave_the_folder_of_own_shapes(tmp_path):
    inside = tmp_path / "in"
    inside.mkdir()
    write(tmp_path, "secret.csv", THREE)
    with pytest.raises(PointillistError, match="unknown"):
        shapes.find("../secret", inside)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("cat", {"n_points": 100}, "source.n_points has no effect on"),
        ("dots", {"n_points": 100}, "kept as they are"),
        ("heart", {"turns": 2}, "It takes source.n_points"),
        ("cat", {"filled": True}, "source.filled has no effect on"),
        ("moons", {"turns": 2}, "takes source.noise"),
        ("moons", {"filled": True}, "source.filled has no effect on moons"),
    ],
)
def test_what_would_do_nothing_is_refused(name, options, said, tmp_path):
    with pytest.raises(PointillistError, match=said):
        shapes.read(shapes.find(name, tmp_path)).place(Source(**options))


@pytest.mark.parametrize("name", ["heart", "moons", "tree", "rings"])
def test_as_many_points_as_were_asked_for(name, tmp_path):
    assert len(shapes.load(name, None, tmp_path, Source(n_points=777))) == 777


@pytest.mark.parametrize(
    ("shape", "file", "text", "name"),
    [
        (None, None, None, "dino"),
        ("cat", "x.csv", "word", "cat"),
        ("CAT", None, None, "cat"),
        (None, "/tmp/My heart!.csv", "word", "My_heart_"),
        (None, "../../.csv", None, "csv"),
        (None, None, "Hello you", "Hello_you"),
        (None, None, "…", "_"),
        (1, None, None, "1"),
        (None, 7, None, "7"),
        ("", "", "", "dino"),
    ],
)
def test_runs_are_named_by_shape_then_file_then_word_then_default(shape, file, text, name):
    assert shapes.shape_of(shape, file, text, "dino") == name


def test_digest_is_that_of_the_points():
    points = np.array([[0.0, 1.0], [2.0, 3.0]])
    assert shapes.digest(points) == shapes.digest(points.tolist())
    assert shapes.digest(pd.DataFrame(points)) == shapes.digest(np.asfortranarray(points))
    assert shapes.digest(points) != shapes.digest(points[::-1])
    assert len(shapes.digest(points)) == 16


def test_importing_shapes_is_cheap():
    code = "import sys, pointillist.shapes; print([m for m in ('pandas', 'torch') if m in sys.modules])"
    assert run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
