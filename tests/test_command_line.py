"""What is typed after --params arrives as it was meant."""

import subprocess
import sys

import click
import pandas as pd
import pytest

from pointillist import command_line
from tests.pipelines.test_project import kedro, saved

WORDS = ["null", "~", "#hash", "&a", "'a #b'", "2024", "007", "1.5", "12:30", "yes", "${x}", "[1"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("name", ["text", "shape", "shape_file"])
def test_a_word_is_the_word_as_typed(name, word):
    assert command_line.read(f"{name}={word},seed=7") == {
        name: word.replace("${", "\\${"),
        "seed": 7,
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
    assert command_line.read("") == {}


def test_a_comma_within_a_word_is_escaped():
    assert command_line.read("text=Hi\\, you,seed=1") == {"text": "Hi, you", "seed": 1}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("text=", "text is empty"),
        ("text=  ", "text is empty"),
        ("text=Hi, you", "'you' is not NAME=VALUE"),
        ("=3", "'=3' is not NAME=VALUE"),
    ],
)
def test_what_cannot_be_read_is_said(given, said):
    with pytest.raises(click.UsageError, match=said):
        command_line.read(given)


def test_words_go_through_the_configuration_as_typed(project):
    """To the very points: `null` is a word of four letters, and its own name everywhere."""
    for word in ("null", "#hash", "007", "${x}"):
        result = kedro(project, "run", "--pipelines", "ingest", "--params", f"text={word}")
        assert result.returncode == 0, result.stderr
    tables = {path.parts[-4]: pd.read_parquet(path) for path in saved(project, "shape_points")}
    assert {"null", "007"} < set(tables)
    assert len(tables) == 4
    clouds = [table.to_numpy().tobytes() for table in tables.values()]
    assert len(set(clouds)) == 4


def test_reading_parameters_loads_nothing_heavy():
    code = "import sys, pointillist.command_line; print({'torch', 'mlflow', 'pandas'} & {*sys.modules})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"
