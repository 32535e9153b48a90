"""docs/papers.md points at code that is there, and at parameters that can have these values."""

import importlib
import re
from pathlib import Path

import pytest
import yaml

from pointillist.groups import nested
from pointillist.parameters import validate

PAGE = (Path(__file__).parents[2] / "docs/papers.md").read_text()
POINTERS = sorted(set(re.findall(r"`([a-z_]+(?:\.\w+)+)`", PAGE)))
SETTINGS = sorted(set(re.findall(r"`([a-z_]+\.\w+)=([^`]+)`", PAGE)))


@pytest.mark.parametrize("pointer", POINTERS)
def test_every_equation_has_its_code(pointer):
    module, *names = pointer.split(".")
    found = importlib.import_module(f"pointillist.diffusion.{module}")
    if module == "fast":
        found, names = importlib.import_module(f"pointillist.diffusion.{pointer}"), []
    for name in names:
        found = getattr(found, name)


def test_every_parameter_can_be_set_so():
    assert len(POINTERS) > 20
    assert len(SETTINGS) > 10
    for name, value in SETTINGS:
        validate(nested({name: yaml.safe_load(value)}))


def test_every_sampler_names_its_paper_and_states_its_step():
    from pointillist.diffusion.samplers import SAMPLERS

    for name, sampler in SAMPLERS.items():
        assert re.search(r"\w+ et al\. 20\d\d|Song, Meng & Ermon 2021", sampler.walk.__doc__), name
        assert re.search(r"x_s =|y_s =", sampler.walk.__doc__), name
        assert f"`samplers.{name}`" in PAGE, name
