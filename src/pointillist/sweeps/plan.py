"""What a sweep varies: conf/*/sweeps.yml, and the trials that follow from it."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from pointillist.errors import PointillistError, nearest
from pointillist.groups import Group, flatten, nested
from pointillist.parameters import validate

logger = logging.getLogger(__name__)

LABEL, ENV = "label", "env"
_OF_SAMPLES = {f"sampling.{name}" for name in ("sampler", "steps", "rho", "eta", "churn")}
"""What an entry of a list may hold beside parameters: its name, and an environment of conf/."""

Parameters = Mapping[str, Any]
"""Dotted names and values."""


class Range(Group):
    """The values that a search draws a parameter from."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False
    choices: tuple[Any, ...] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Range:
        if (self.choices is None) == (self.low is None or self.high is None):
            raise ValueError("either low and high, or choices, must be given")
        if self.choices is not None and not self.choices:
            raise ValueError("choices are none")
        if self.low is not None and self.high is not None:
            if self.low > self.high:
                raise ValueError(f"low ({self.low:g}) is above high ({self.high:g})")
            if self.log and self.low <= 0:
                raise ValueError(f"log needs a low above 0 (got {self.low:g})")
        _require_unlike("choices", self.choices or ())
        return self


class Sweep(Group):
    """One sweep: a grid, a list of configurations, or a search; each with every seed."""

    about: str = ""
    pipelines: tuple[str, ...] = ("train", "sample", "evaluate")
    metric: str = "kl_bound_nats"
    direction: Literal["minimize", "maximize"] = "minimize"
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    parameters: dict[str, Any] = Field(default_factory=dict)
    """The same in all trials."""
    grid: dict[str, list[Any]] | None = None
    entries: list[dict[str, Any]] | None = Field(None, alias="list")
    search: dict[str, Range] | None = None
    trials: int = Field(20, ge=1, le=10_000)
    """Configurations that a search tries."""

    @model_validator(mode="after")
    def _one_kind(self) -> Sweep:
        if sum(part is not None for part in (self.grid, self.entries, self.search)) != 1:
            raise ValueError("exactly one of grid, list and search must be given")
        if not self.varied:
            raise ValueError("nothing is varied")
        if not self.pipelines:
            raise ValueError("pipelines are none")
        _require_unlike("seeds", self.seeds)
        _require_unlike("list", self.entries or ())
        labels = [entry.get(LABEL) for entry in self.entries or ()]
        if None in labels and any(labels):
            raise ValueError("either all entries of the list have a label, or none")
        _require_unlike("label", [label for label in labels if label is not None])
        for name, values in (self.grid or {}).items():
            if not values:
                raise ValueError(f"{name} has no value")
            _require_unlike(name, values)
        if "seed" in {*self.varied, *flatten(self.parameters)}:
            raise ValueError("seeds are given by seeds: [0, 1, 2], not by the parameter seed")
        if both := [name for name in self.varied if name in flatten(self.parameters)]:
            raise ValueError(f"{both[0]} is varied, so parameters can't hold it")
        return self

    @property
    def varied(self) -> tuple[str, ...]:
        """The parameters that differ between configurations."""
        if self.entries is not None:
            names = dict.fromkeys(name for entry in self.entries for name in entry)
            return tuple(name for name in names if name != LABEL)
        return tuple(self.grid or self.search or {})

    @property
    def shown(self) -> tuple[str, ...]:
        """What tells the configurations apart in tables and pictures: their labels if they have some."""
        return (LABEL,) if any(LABEL in entry for entry in self.entries or ()) else self.varied

    def configurations(self) -> Sequence[Parameters]:
        """Return what is tried, without what all have in common; none of a search are known."""
        if self.entries is not None:
            return self.entries
        if self.grid is None:
            return []
        return [
            dict(zip(self.grid, values, strict=True))
            for values in itertools.product(*self.grid.values())
        ]


def _require_unlike(name: str, values: Sequence[Any]) -> None:
    """Refuse what is given twice: its runs would count as evidence twice."""
    seen: list[Any] = []
    for value in values:
        if value in seen:
            raise ValueError(f"{name} has {value!r} twice")
        seen.append(value)


@dataclass(frozen=True)
class Trial:
    """One run of a sweep."""

    configuration: Parameters
    """What is varied."""
    parameters: Parameters
    """All that is set, the seed included."""
    pipelines: tuple[str, ...]
    env: str | None = None
    """An environment of its own."""
    key: str = field(init=False)
    """A hash of all that is set: the same question has the same key."""

    def __post_init__(self) -> None:
        asked = [self.parameters, self.pipelines, *([self.env] if self.env else [])]
        content = json.dumps(asked, sort_keys=True, default=str)
        object.__setattr__(self, "key", hashlib.sha256(content.encode()).hexdigest()[:16])

    @property
    def label(self) -> str:
        """The configuration and the seed in a line."""
        named = self.configuration.get(LABEL)
        parts = [str(named)] if named else said(self.configuration)
        return " ".join([*parts, f"seed={self.parameters['seed']}"])


def read(values: Mapping[str, Any], name: str) -> Sweep:
    """Return the sweep `name` of a configuration.

    Raises
    ------
    PointillistError
        If there is none of that name, or it is none.
    """
    if name not in values:
        raise PointillistError(
            f"Sweep {name!r} is unknown.{nearest(name, values)} Known: {', '.join(values)}."
        )
    try:
        return Sweep.model_validate(values[name])
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in (name, *first["loc"]))
        if first["type"] == "extra_forbidden":
            known = [field.alias or one for one, field in Sweep.model_fields.items()]
            hint = nearest(str(first["loc"][-1]), known)
            raise PointillistError(f"conf/*/sweeps.yml, {key}: unknown.{hint}") from None
        said = first["msg"].removeprefix("Value error, ")
        said = said[:1].lower() + said[1:]
        if first["type"] != "value_error":
            said += f" (got {first['input']!r})"
        raise PointillistError(f"conf/*/sweeps.yml, {key}: {said}.") from None


def trials_of(sweep: Sweep, configuration: Parameters, fixed: Parameters) -> list[Trial]:
    """Return the trials of a configuration, one a seed; what is `fixed` goes before the sweep's own."""
    common = {**flatten(sweep.parameters), **fixed}
    chosen = {name: value for name, value in configuration.items() if name not in (LABEL, ENV)}
    return [
        Trial(
            dict(configuration),
            {**common, **chosen, "seed": seed},
            tuple(sweep.pipelines),
            configuration.get(ENV),
        )
        for seed in sweep.seeds
    ]


def said(configuration: Parameters) -> list[str]:
    """Return a configuration's values as NAME=VALUE, names without their groups."""
    return [f"{name.rsplit('.', 1)[-1]}={value}" for name, value in configuration.items()]


def check(
    sweep: Sweep,
    fixed: Parameters,
    base: Mapping[str, Any],
    pipelines: Sequence[str],
    environments: Sequence[str],
) -> None:
    """Refuse a sweep whose trials can't run, before anything starts.

    Parameters
    ----------
    fixed : mapping
        What the command line sets in all trials.
    base : mapping
        The parameters of the configuration, nested.
    pipelines, environments : sequence
        Those that there are.

    Raises
    ------
    PointillistError
        If a parameter is unknown or out of bounds, a pipeline unknown, or what is varied is also fixed.
    """
    if sweep.metric.startswith("kl_") and all(n in _OF_SAMPLES for n in sweep.varied):
        logger.warning(
            "%s is the network's alone: %s doesn't change it. metric: sw2 ranks what is drawn.",
            sweep.metric,
            " and ".join(sweep.varied),
        )
    for pipeline in sweep.pipelines:
        if pipeline not in pipelines:
            raise PointillistError(
                f"Pipeline {pipeline!r} is unknown.{nearest(pipeline, pipelines)}"
            )
    for entry in sweep.entries or ():
        if (env := entry.get(ENV)) is not None and env not in environments:
            raise PointillistError(
                f"Environment {env!r} is unknown.{nearest(env, environments)} "
                f"Known: {', '.join(environments)}."
            )
    if "seed" in fixed:
        raise PointillistError(
            "The seeds of a sweep stand in its own list: seeds, in conf/*/sweeps.yml."
        )
    if fixed.get("tracking", sweep.parameters.get("tracking", True)) is False:
        raise PointillistError("A sweep lives in MLflow: tracking can't be false.")
    if both := [name for name in sweep.varied if name in fixed]:
        raise PointillistError(
            f"Parameter {both[0]!r} is what this sweep varies; it can't be fixed."
        )
    for configuration in [*sweep.configurations(), *_corners(sweep)]:
        for trial in trials_of(sweep, configuration, fixed):
            validate(merged(base, nested(trial.parameters)))


def _corners(sweep: Sweep) -> list[Parameters]:
    """Return the ends of a search's ranges: if they can run, what lies between can."""
    if sweep.search is None:
        return []
    ends = {
        name: list(r.choices)
        if r.choices is not None
        else [int(end) if r.whole else end for end in (r.low, r.high) if end is not None]
        for name, r in sweep.search.items()
    }
    most = max(len(values) for values in ends.values())
    return [{n: v[min(i, len(v) - 1)] for n, v in ends.items()} for i in range(most)]


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with what `over` says instead, group by group."""
    result = dict(base)
    for name, value in over.items():
        old = result.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[name] = merged(old, value)
        else:
            result[name] = value
    return result
