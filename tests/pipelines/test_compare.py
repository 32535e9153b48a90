"""Which two models a person means."""

from pathlib import Path

import pytest

from pointillist.datasets.models import SavedModel
from pointillist.errors import PointillistError
from pointillist.pipelines.compare.nodes import choose

MODELS = {
    f"{shape}/{version}": SavedModel(shape, version, Path())
    for shape, version in (("cat", "v1"), ("cat", "v2"), ("dino", "v2"))
}


@pytest.mark.parametrize("runs", ["v1+dino/v2", " v1 + dino/v2 "])
def test_a_version_is_enough_where_one_shape_has_it(runs):
    a, b = choose(MODELS, runs)
    assert (a.shape, a.version, b.shape, b.version) == ("cat", "v1", "dino", "v2")


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ("v1+v2", "More than one shape has a model of the version 'v2'. Name one: cat/v2, dino/v2"),
        ("v1+v3", "No model of the version 'v3' is there"),
        ("v1", "joined by"),
        ("v1+v2+v2", "joined by"),
        (None, "joined by"),
    ],
)
def test_what_is_not_two_models_is_refused(runs, said):
    with pytest.raises(PointillistError) as error:
        choose(MODELS, runs)
    assert said in str(error.value)
