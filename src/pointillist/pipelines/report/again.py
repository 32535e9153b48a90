"""How to make a run again: the commands, of what was asked for and not of what was fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointillist import command_line, models, rendering
from pointillist.diffusion.config import Sampling
from pointillist.groups import flatten, written
from pointillist.parameters import SOURCE, Parameters
from pointillist.shapes import naming

Values = dict[str, Any]


def differences(model: models.TrainedDenoiser, sampling: Sampling) -> list[tuple[str, str, str]]:
    """Return the parameters of a run that aren't the defaults: name, here, default."""
    defaults = flatten(Parameters().model_dump(mode="json"))
    asked = {**model.origin, **model.parameters, **_dumped(sampling)}
    return [
        (name, written(value), written(defaults[name]))
        for name, value in flatten(asked).items()
        if name in defaults and value != defaults[name]
    ]


def again(model: models.TrainedDenoiser, chain: models.ReverseChain) -> rendering.report.Again:
    """Return what makes the model and its samples again, bit by bit on the same kind of machine."""
    shape_file, text = (model.origin.get(name) for name in ("shape_file", "text"))
    source = naming.source(model.shape, shape_file, text)
    asked = {**model.origin, **model.parameters, **_dumped(chain.sampling)}
    commands = [_command("", source, asked)]
    if chain.seed != model.parameters["seed"]:
        sampled = {"seed": chain.seed, **_dumped(chain.sampling)}
        commands.append(_command(" --pipelines sample,evaluate,render", source, sampled))
    return rendering.report.Again(commands, shape_file or "", bool(model.origin))


def _dumped(sampling: Sampling) -> Values:
    return {"sampling": sampling.model_dump(mode="json")}


def _command(options: str, source: Mapping[str, str], asked: Mapping[str, Any]) -> str:
    """Return the command of a run: its source, and all that isn't the default."""
    defaults = flatten(Parameters().model_dump(mode="json"))
    changed = {
        name: value
        for name, value in flatten(asked).items()
        if name in defaults and value != defaults[name] and name not in SOURCE
    }
    return f"kedro run{options} --params {command_line.write({**source, **changed})}"
