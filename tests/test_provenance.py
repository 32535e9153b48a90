"""A model is refused whose points are not those of the shape that a run asks for."""

import shutil
from pathlib import Path

import pytest

from pointillist.errors import PointillistError
from tests.test_hooks import run

BOAT = Path(__file__).parents[1] / "docs" / "examples" / "boat.svg"
SQUARE = "x,y\n0,0\n0,1\n1,0\n1,1\n"


@pytest.fixture
def trained(project, monkeypatch):
    """A project whose shape `boat` was trained from a file that was given."""
    monkeypatch.chdir(project)
    shutil.copy(BOAT, project / "boat.svg")
    run(project, "train", shape_file="boat.svg", source={"n_points": 50})
    return project


def sampled(project: Path) -> int:
    return len(list(project.glob("data/07_model_output/*/samples.parquet/*")))


def test_the_same_source_is_taken_wherever_it_is(trained):
    (trained / "other").mkdir()
    shutil.copy(BOAT, trained / "other" / "boat.svg")
    run(trained, "sample", shape_file="boat.svg")
    run(trained, "sample", shape_file="other/boat.svg")
    run(trained, "sample", shape="boat")
    # Other bytes, the same drawing.
    (trained / "boat.svg").write_text(BOAT.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    run(trained, "sample", shape_file="boat.svg")
    (trained / "boat.svg").unlink()
    run(trained, "sample", shape="boat")
    assert sampled(trained) == 5


def test_another_source_of_the_same_name_is_refused_unless_the_run_is_named(trained):
    (trained / "x").mkdir()
    (trained / "x" / "boat.csv").write_text(SQUARE)
    others = {
        "x/boat.csv": {"shape": "boat", "shape_file": "x/boat.csv"},
        "the word 'Ahoy'": {"shape": "boat", "text": "Ahoy"},
    }
    for other, given in others.items():
        with pytest.raises(PointillistError) as error:
            run(trained, "sample", **given)
        said = str(error.value)
        assert f"trained on shape_file=boat.svg, not on {other}" in said
    assert sampled(trained) == 0
    run(trained, "sample", shape="boat", text="Ahoy", run=said.split("run=")[1].split(",")[0])
    assert sampled(trained) == 1


def test_a_word_is_not_the_built_in_shape_of_its_name(project):
    run(project, "train", text="cat")
    run(project, "sample", text="cat")
    with pytest.raises(PointillistError, match="trained on text=cat, not on the built-in cat"):
        run(project, "sample", shape="cat")
    assert sampled(project) == 1


def test_points_of_this_run_are_the_model_s(project):
    run(project, "train", shape="heart", source={"n_points": 50})
    with pytest.raises(PointillistError, match="not on those of this run"):
        run(project, "ingest", "sample", shape="heart", source={"n_points": 60})
    run(project, "ingest", "sample", shape="heart", source={"n_points": 50})
