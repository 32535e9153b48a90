"""Which models a person means, and what must be known before comparing them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pointillist.datasets.models import SavedModel
from pointillist.errors import PointillistError
from pointillist.pipelines.compare.nodes import caveats, choose, differences

MODELS = {
    f"{shape}/{version}": SavedModel(shape, version, Path())
    for shape, version in (("cat", "v1"), ("cat", "v2"), ("dino", "v2"))
}


@pytest.mark.parametrize("runs", ["v1+dino/v2", " v1 + dino/v2 "])
def test_a_version_is_enough_where_one_shape_has_it(runs):
    a, b = choose(MODELS, runs)
    assert (a.shape, a.version, b.shape, b.version) == ("cat", "v1", "dino", "v2")


def test_more_than_two_keep_their_order():
    found = choose(MODELS, "dino/v2+v1+cat/v2+v1")
    assert [f"{m.shape}/{m.version}" for m in found] == ["dino/v2", "cat/v1", "cat/v2", "cat/v1"]


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ("v1+v2", "More than one shape has a model of the version 'v2'. Name one: cat/v2, dino/v2"),
        ("v1+v3", "No model of the version 'v3' is there"),
        ("v1", "joined by"),
        ("+".join(["v1"] * 9), "two to 8 runs"),
        (None, "joined by"),
    ],
)
def test_what_names_no_models_is_refused(runs, said):
    with pytest.raises(PointillistError) as error:
        choose(MODELS, runs)
    assert said in str(error.value)


@dataclass
class Model:
    """What is compared of a trained denoiser."""

    shape: str = "cat"
    shape_digest: str = "c"
    digest: str = "1"
    origin: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)


def test_different_shapes_and_equal_models_are_said():
    assert caveats([Model(digest="1"), Model(digest="2")]) == []
    shapes, same = caveats([Model(), Model("dino", "d", "2"), Model()])
    assert shapes.startswith("The shapes differ.")
    assert same.startswith("A and C are the same model")


def test_every_parameter_that_differs_is_listed_with_each_value():
    models = [
        Model(origin={"text": None, "source": {"filled": False}}, parameters={"seed": 0, "a": 1}),
        Model(origin={"text": "Hi", "source": {"filled": True}}, parameters={"seed": 0, "a": 1}),
        Model("dino", parameters={"seed": 0, "a": 2}),
    ]
    assert differences(models) == [
        ("shape", ["cat", "cat", "dino"]),
        ("text", ["null", "Hi", "null"]),
        ("source.filled", ["false", "true", "null"]),
        ("a", ["1", "1", "2"]),
    ]
