"""One set of defaults, bounds that hold, and refusals that name the nearest right name."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from docs.make_parameters import reference
from pointillist.errors import PointillistError
from pointillist.groups import flatten, nested
from pointillist.parameters import Parameters, validate

PROJECT = Path(__file__).parent.parent
DEFAULTS = flatten(Parameters().model_dump(mode="json"))


def in_files(environment: str) -> dict:
    merged: dict = {}
    for file in (PROJECT / "conf" / environment).glob("parameters*.yml"):
        merged |= flatten(yaml.safe_load(file.read_text()))
    return merged


def test_files_and_model_have_the_same_defaults():
    in_conf = in_files("base")
    assert in_conf.pop("shape") == "${runtime_params:shape,${globals:shape}}"
    assert in_conf.pop("max_megabytes").startswith("${runtime_params:max_megabytes,${globals:")
    for name in ("shape_file", "text"):
        assert in_conf.pop(name) == f"${{runtime_params:{name},${{globals:{name},null}}}}"
    elsewhere = {"shape", "shape_file", "text", "max_megabytes"}
    assert in_conf == {key: value for key, value in DEFAULTS.items() if key not in elsewhere}
    in_globals = yaml.safe_load((PROJECT / "conf/base/globals.yml").read_text())
    assert in_globals == {key: DEFAULTS[key] for key in ("shape", "max_megabytes")}


def test_default_shape_stands_in_globals():
    assert yaml.safe_load((PROJECT / "conf/base/globals.yml").read_text())["shape"] == "dino"


@pytest.mark.parametrize(
    "environment",
    ["gpu", "fast", "tiny_tiny_diffusion", "tiny_diffusion", "ddpm", "ddim", "flow_matching"],
)
def test_environments_hold_valid_parameters(environment):
    found = in_files(environment)
    assert found
    validate(nested(found))


def test_reference_page_is_current():
    page = (PROJECT / "docs/parameters.md").read_text()
    assert page == "\n".join(reference()) + "\n", "run `make docs`"


@pytest.mark.parametrize("name", DEFAULTS)
def test_every_parameter_is_described(name):
    page = "\n".join(reference())
    row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
    assert len(row.split("|")[4].strip()) > 10


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"shpae": "cat"}, "Parameter 'shpae' is unknown. Did you mean 'shape'?"),
        ({"training": {"stepz": 9}}, "Did you mean 'training.steps'?"),
        ({"steps": 9}, "Did you mean 'training.steps'?"),
        (
            {"training": {"warmup": 0.1}},
            "'training.warmup' is gone: it is training.warmup_steps now",
        ),
        ({"training": {"ema": 0.9}}, "training.averaging"),
        ({"training": {"draws": "lattice"}}, "lattice is gone; independent is"),
        (
            {"training": {"steps": -5}},
            "'training.steps': input should be greater than or equal to 1",
        ),
        ({"training": {"steps": "many"}}, "valid integer"),
        ({"training": 5}, "'training' is a group (got 5)"),
        ({"shape": "../etc"}, "'shape': a shape has a name, not a path"),
        ({"sampling": {"sampler": "huen"}}, "'heun'"),
        ({"schedule": {"beta_start": 0.5}}, "beta_start must not be above beta_end"),
        ({"training": {"learning_rate": float("nan")}}, "finite"),
        ({"device": "gpu"}, "can't be 'gpu'"),
    ],
)
def test_refusals_name_parameter_and_cure(values, said):
    with pytest.raises(PointillistError) as error:
        validate(values)
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) <= 2


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    values=st.dictionaries(
        st.sampled_from(["shape", "seed", "training", "sampling", "data", "x"]), json_values
    )
)
def test_whatever_is_given_is_taken_or_refused_in_words(values):
    try:
        validate(values)
    except PointillistError as error:
        assert str(error)


@given(
    name=st.sampled_from(sorted(DEFAULTS)),
    value=st.floats() | st.integers() | st.text(max_size=6) | st.none(),
)
def test_single_values_too(name, value):
    *groups, last = name.split(".")
    nested = {groups[0]: {last: value}} if groups else {last: value}
    try:
        validate(nested)
    except PointillistError as error:
        assert name in str(error) or (groups and groups[0] in str(error))


def test_one_budget_of_samplers_is_a_list_of_one():
    assert validate({"samplers": {"nfe": 20}}).samplers.nfe == (20,)
    with pytest.raises(PointillistError, match="once only"):
        validate({"samplers": {"nfe": [5, 5]}})


@pytest.mark.parametrize(
    ("group", "name", "value", "said"),
    [
        ("data", "bandwidth", 1e-6, "'data.bandwidth': input should be greater than or equal to"),
        ("data", "bandwidth", "atuo", "'data.bandwidth': input should be a valid number"),
        ("sampling", "rho", -1.0, "'sampling.rho': input should be greater than 0"),
        ("sampling", "rho", "many", "or input should be 'auto'"),
    ],
)
def test_a_number_or_a_word_has_one_message(group, name, value, said):
    with pytest.raises(PointillistError) as error:
        validate({group: {name: value}})
    assert said in str(error.value)
    assert str(error.value).count("Parameter ") == 1
    assert len(str(error.value).splitlines()) <= 2
