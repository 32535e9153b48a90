"""How to make a run again: commands, and files for what a command line can't hold."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

import yaml

from pointillist import models, rendering
from pointillist.diffusion.config import Sampling
from pointillist.groups import flatten, nested, written
from pointillist.parameters import Parameters

# The catalog reads these too: they stand in globals.yml, not in parameters.yml.
_GLOBALS = ("shape", "shape_file", "text", "max_megabytes")
# What both YAML and the command line take as it is: a comma, =, : and \\ mean something there.
_PLAIN = re.compile(r"[\w.+ /~!?()-]*")

Values = dict[str, Any]


def differences(model: models.TrainedDenoiser, sampling: Sampling) -> list[tuple[str, str, str]]:
    """Return the parameters of a run that aren't the defaults: name, here, default."""
    defaults = _defaults()
    return [
        (name, written(value), written(defaults[name]))
        for name, value in _changed(_asked(model, sampling)).items()
    ]


def again(model: models.TrainedDenoiser, chain: models.ReverseChain) -> rendering.report.Again:
    """Return what makes the model and its samples again, bit by bit on the same kind of machine."""
    trained = {"shape": model.shape, **_changed(_asked(model, chain.sampling))}
    commands, files = _command("", trained)
    if chain.seed != model.parameters["seed"]:
        sampled = {"shape": model.shape, "seed": chain.seed, **_changed(_of_chain(chain))}
        commands += _command(" --pipelines sample,evaluate,render", sampled)[0]
    return rendering.report.Again(
        commands, files, model.origin.get("shape_file") or "", bool(model.origin)
    )


def _asked(model: models.TrainedDenoiser, sampling: Sampling) -> Values:
    """Return all that was asked for, flat."""
    groups = {**model.origin, **model.parameters, "sampling": sampling.model_dump(mode="json")}
    return flatten(groups)


def _of_chain(chain: models.ReverseChain) -> Values:
    return flatten({"sampling": chain.sampling.model_dump(mode="json")})


def _defaults() -> Values:
    return flatten(Parameters().model_dump(mode="json"))


def _changed(values: Mapping[str, Any]) -> Values:
    defaults = _defaults()
    return {k: v for k, v in values.items() if k in defaults and v != defaults[k]}


def _command(options: str, values: Values) -> tuple[list[str], dict[str, str]]:
    """Return the command of a run, and by path the files that hold what it can't say."""
    plain = {name: value for name, value in values.items() if _is_plain(value)}
    others = {name: value for name, value in values.items() if name not in plain}
    files = {
        "conf/local/globals.yml": {k: v for k, v in others.items() if k in _GLOBALS},
        "conf/local/parameters.yml": nested({k: v for k, v in others.items() if k not in _GLOBALS}),
    }
    words = ",".join(f"{name}={written(value)}" for name, value in plain.items())
    return (
        [f"kedro run{options} --params {shlex.quote(words)}"],
        {
            path: yaml.safe_dump(content, allow_unicode=True, sort_keys=False).strip()
            for path, content in files.items()
            if content
        },
    )


def _is_plain(value: Any) -> bool:
    """Tell whether a command line can hold a value and gives it back as it is."""
    if not isinstance(value, str):
        return not isinstance(value, list | tuple | dict)
    if not _PLAIN.fullmatch(value) or value != value.strip():
        return False
    try:
        return isinstance(yaml.safe_load(value), str)
    except yaml.YAMLError:
        return False
