"""What is typed after --params arrives as it was meant."""

import shlex
import subprocess
import sys

import click
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.config import OmegaConfigLoader

from pointillist import command_line
from pointillist.groups import flatten
from pointillist.parameters import Parameters
from pointillist.shapes.naming import name_from
from tests.projects import kedro_here, saved

WORDS = ["null", "~", "#hash", "&a", "'a #b'", "2024", "007", "1.5", "12:30", "yes", "${x}", "[1"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("name", ["text", "shape", "shape_file", "run", "runs"])
def test_a_word_is_the_word_as_typed(name, word):
    assert command_line.read(f"{name}={word},seed=7") == {
        name: word.replace("${", "\\${"),
        "seed": 7,
    }


def test_parameters_of_groups_are_text_too():
    assert command_line.read("source.font=007,source.seed=007") == {
        "source": {"font": "007", "seed": 7}
    }


def test_other_values_are_yaml_s():
    given = "a.b=1e3,c=true,d=null,e=x=y,a.c=[1"
    assert command_line.read("training.steps=10, seed=3") == {"training": {"steps": 10}, "seed": 3}
    assert command_line.read(given.removesuffix(",a.c=[1")) == {
        "a": {"b": 1000.0},
        "c": True,
        "d": None,
        "e": "x=y",
    }
    assert command_line.read("source={n_points: 5},source.seed=3") == {
        "source": {"n_points": 5, "seed": 3}
    }
    assert command_line.read("") == {}


def test_a_comma_within_a_word_is_escaped():
    assert command_line.read("text=Hi\\, you,seed=1") == {"text": "Hi, you", "seed": 1}
    assert command_line.read("samplers.nfe=[5\\,10]") == {"samplers": {"nfe": [5, 10]}}
    assert command_line.read("text=a\\\\,seed=1") == {"text": "a\\", "seed": 1}
    assert command_line.read(r"shape_file=\\server\a.csv") == {"shape_file": r"\\server\a.csv"}


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.sampled_from("\\,={}[]'\"$#")
)


@given(
    typed=TEXT.filter(lambda text: text.strip() and text != "???" and "${" not in text),
    other=VALUES | st.lists(VALUES) | TEXT.filter(lambda text: "${" not in text and text != "???"),
)
def test_what_is_written_is_read_again(typed, other):
    given = {"text": typed, "a.b": other, "shape_file": typed, "seed": 3}
    (word,) = shlex.split(command_line.write(given))
    assert flatten(command_line.read(word)) == given


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "shape=dino"),
        ({"shape": "Hi", "text": "Hi"}, "text=Hi"),
        ({"shape": "heart", "text": "Hi"}, "shape=heart,text=Hi"),
        ({"shape": "boat", "shape_file": "a b/boat.svg"}, "'shape_file=a b/boat.svg'"),
        ({"shape": name_from("Hi, 'x'"), "text": "Hi, 'x'"}, """'text=Hi\\, '"'"'x'"'"''"""),
        ({"shape": "My heart"}, "'shape=My heart'"),
    ],
)
def test_a_source_is_named_again_for_a_shell(given, said):
    assert command_line.source(Parameters(**given)) == said


@given(word=st.text("\\${}:x'\" ,#&~", min_size=1, max_size=8).filter(str.strip))
def test_words_go_through_kedro_s_configuration_as_typed(word, tmp_path_factory):
    """Its catalog and its parameters, which interpolate."""
    folder = tmp_path_factory.mktemp("conf")
    for env in ("base", "local"):
        (folder / env).mkdir()
    line = "text: ${runtime_params:text,null}"
    (folder / "base" / "parameters.yml").write_text(line)
    (folder / "base" / "catalog.yml").write_text(f"words:\n  type: a\n  {line}")
    (written,) = shlex.split(command_line.write({"text": word}))
    loader = OmegaConfigLoader(
        str(folder),
        base_env="base",
        default_run_env="local",
        runtime_params=command_line.read(written),
    )
    assert loader["parameters"]["text"] == loader["catalog"]["words"]["text"] == word


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("text=", "text is empty"),
        ("text=  ", "text is empty"),
        ("text=Hi, you", "'you' is not NAME=VALUE"),
        ("=3", "'=3' is not NAME=VALUE"),
        ("samplers.nfe=[5,10]", r"value of samplers.nfe can't be read: .* A comma within a value"),
        ("seed=1,seed.a=2", "both a parameter and a group"),
        ("text=???", "missing value"),
    ],
)
def test_what_cannot_be_read_is_said(given, said):
    with pytest.raises(click.UsageError, match=said):
        command_line.read(given)


def test_words_go_through_the_configuration_as_typed(project):
    """To the very points: `null` is a word of four letters, and its own name everywhere."""
    for word in ("null", "#hash", "007", "${x}"):
        result = kedro_here(project, "run", "--pipelines", "ingest", "--params", f"text={word}")
        assert result.exit_code == 0, result.stderr
    tables = {path.parts[-4]: pd.read_parquet(path) for path in saved(project, "shape_points")}
    assert {"null", "007"} < set(tables)
    assert len(tables) == 4
    clouds = [table.to_numpy().tobytes() for table in tables.values()]
    assert len(set(clouds)) == 4


def test_reading_parameters_loads_nothing_heavy():
    code = "import sys, pointillist.command_line; print({'torch', 'mlflow', 'pandas'} & {*sys.modules})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"
