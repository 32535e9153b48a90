"""Shapes are found, checked and named; what is wrong is said with file, row and cure."""

import sys
import unicodedata
from pathlib import Path
from subprocess import run

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointillist import shapes
from pointillist.errors import PointillistError
from pointillist.parameters import validate
from pointillist.shapes.config import Source
from pointillist.shapes.naming import known, name_from

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
    assert list(points.columns)[:2] == ["x", "y"]
    assert ("xx" in points) == (origin.kind == "formula")
    assert len(points) == material.size(Source())
    assert origin.name == name
    assert origin.about


def test_built_in_names_do_not_depend_on_case(tmp_path):
    def name(shape):
        return shapes.name_of(shape, None, None, "dino", tmp_path)

    assert [name("PYTHON"), name("sds"), name("My Heart")] == ["Python", "SDS", "My Heart"]
    assert len(shapes.load("CAT", None, tmp_path)) == COUNTS["cat"]


def test_what_is_ones_own_goes_before_a_built_in_name_of_another_case(tmp_path):
    def name(**given):
        return shapes.name_of(*(given.get(k) for k in ("shape", "file", "text")), "dino", tmp_path)

    assert name(text="Cat") == name(file="x/Cat.png") == "Cat"
    assert name(shape="Cat") == "cat"
    (tmp_path / "06_models" / "Cat").mkdir(parents=True)
    assert name(shape="Cat") == "Cat", "the word that was trained"
    (tmp_path / "01_raw").mkdir()
    write(tmp_path / "01_raw", "Heart.csv", THREE)
    assert name(shape="Heart") == name(shape="HEART") == "Heart"
    assert name(shape="heart") == "heart"
    assert name(shape="heart", text="Cat") == "heart"
    assert name(shape="HEART", text="Cat") == "HEART"
    assert len(shapes.load("HEART", None, tmp_path / "01_raw")) == 3
    with pytest.raises(PointillistError, match=r"'Cat' is unknown\. Did you mean 'cat'"):
        shapes.find("Cat", tmp_path / "01_raw")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("Cat", "Cat"),
        ("cat", "cat"),
        ("CAT", "Cat"),
        ("PI", "pi"),
        ("HELLO", "HELLO"),
        ("STRASSE", "Straße"),
        ("e\u0301t\u00c9", "été"),
    ],
)
def test_a_name_is_known_in_any_case_in_the_order_of_places(given, found):
    assert (
        known(given, ["Cat", "Hello", "hello"], ["cat", "PI-1", "Straße", "été"], ["pi"]) == found
    )


def test_a_default_in_another_case_is_the_shape(tmp_path):
    assert shapes.name_of(None, None, None, "CAT", tmp_path) == "cat"


def test_own_file_goes_before_data_morph(tmp_path):
    write(tmp_path, "cat.csv", THREE)
    assert len(shapes.load("cat", None, tmp_path)) == 3


def test_shape_file_goes_before_all(tmp_path):
    file = write(tmp_path, "other.csv", "y,x,colour\n1,2,red\n3,4,blue\n3,5,blue\n")
    points = shapes.load("cat", file, tmp_path)
    assert points.to_numpy().tolist() == [[2, 1], [4, 3], [5, 3]]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("cat", "starter"), ("circle", "target"), ("moons", "formula"), ("spiral", "target")],
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


@pytest.mark.parametrize("name", ["heart", "spiral", "rings"])
def test_as_many_points_as_were_asked_for(name, tmp_path):
    assert len(shapes.load(name, None, tmp_path, Source(n_points=777))) == 777


@pytest.mark.parametrize(
    ("shape", "file", "text", "name"),
    [
        (None, None, None, "dino"),
        ("cat", "x.csv", "word", "cat"),
        ("CAT", None, None, "cat"),
        (None, "/tmp/My heart.csv", "word", "My heart"),
        (None, None, "Hello you", "Hello you"),
        (None, None, "Привет", "Привет"),
        (None, None, "नमस्ते", "नमस्ते"),
        ("", "", "", "dino"),
    ],
)
def test_runs_are_named_by_shape_then_file_then_word_then_default(
    shape, file, text, name, tmp_path
):
    assert shapes.name_of(shape, file, text, "dino", tmp_path) == name


@given(one=st.text(max_size=90), two=st.text(max_size=90))
def test_names_are_safe_stable_and_kept_apart(one, two):
    name = name_from(one)
    assert name_from(name) == name
    assert 0 < len(name) <= 64
    assert len(name.encode()) < 200
    assert not set(name) & set('/\\:*?"<>|\0\n')
    assert name == name.strip(" .")
    same = unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", two)
    assert (name == name_from(two)) == same


def test_what_a_file_system_would_mix_up_gets_a_digest():
    assert name_from("Hello!") != name_from("Hello?") != "Hello"
    assert name_from("con").startswith("con-")
    assert name_from("COM¹.x").startswith("COM¹.x-")
    assert name_from("e\u0301") == name_from("é") == "é"


@pytest.mark.parametrize("stem", ["007", "a #1", "Hello!", "ü"])
def test_every_listed_name_is_found_by_the_name_it_is_listed_under(stem, tmp_path):
    write(tmp_path, f"{stem}.csv", THREE)
    listed = shapes.listing(tmp_path)[0].name
    assert shapes.find(listed, tmp_path).path.stem == stem
    assert validate({"shape": listed}).shape == listed
    assert shapes.find(name_from(stem), tmp_path).path.stem == stem


def test_digest_is_that_of_the_points():
    points = np.array([[0.0, 1.0], [2.0, 3.0]])
    assert shapes.digest(points) == shapes.digest(points.tolist())
    assert shapes.digest(pd.DataFrame(points)) == shapes.digest(np.asfortranarray(points))
    assert shapes.digest(points) != shapes.digest(points[::-1])
    assert len(shapes.digest(points)) == 16


def test_importing_shapes_is_cheap():
    code = "import sys, pointillist.shapes; print([m for m in ('pandas', 'torch') if m in sys.modules])"
    assert run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
