"""All parameters of a run in one model: names, bounds, units, defaults and sources.

The groups stand with what they steer: `diffusion/config.py`, `shapes/config.py`, `rendering/config.py`.
`conf/base/parameters*.yml` spells the defaults out for people; a test keeps the two equal.
`make docs` writes the reference page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import ErrorDetails

from pointillist.diffusion.config import (
    Data,
    Evaluation,
    Network,
    Samplers,
    Sampling,
    Schedule,
    Training,
)
from pointillist.errors import PointillistError, nearest
from pointillist.groups import AS_TYPED, Group, flatten
from pointillist.rendering.config import Player, Rendering
from pointillist.shapes import naming
from pointillist.shapes.config import Source


class Promotion(Group):
    """Which training of a shape is served: kedro run --pipelines promote."""

    metric: str = Field(
        "sw2",
        min_length=1,
        description="Metric in MLflow by which trainings, as they were sampled and evaluated, are "
        "ranked. Of those within a quarter of the best, or of the metric's floor, which can't be told "
        "apart, the one with the lowest kl_bound_nats is taken.",
    )
    direction: Literal["minimize", "maximize"] = Field(
        "minimize", description="Whether less or more of it is better."
    )


class Many(Group):
    """Sampling into partitions, on as many workers as there are: kedro run --pipelines sample_many."""

    partition: int = Field(
        1_000_000,
        ge=2,
        le=10_000_000,
        description="Points of a partition, a Parquet file; memory goes with it.",
    )
    workers: int = Field(
        1,
        ge=1,
        le=1024,
        description="Worker processes of one thread each on this machine; more than one need the extra "
        "sweep.",
    )
    address: str | None = Field(
        None, min_length=1, description="A Dask scheduler, tcp://HOST:PORT, instead of them."
    )


SOURCE = ("shape", "shape_file", "text")
"""Parameters that say which shape a run is about: the catalog's paths depend on them."""


def _a_name(name: str) -> str:
    if not naming.is_name(name):
        raise ValueError("a shape has a name, not a path; a file is given by shape_file=PATH")
    return name


class Parameters(Group):
    """All parameters of a run."""

    shape: Annotated[str, AfterValidator(_a_name)] = Field(
        "dino",
        min_length=1,
        max_length=200,
        coerce_numbers_to_str=True,
        json_schema_extra=AS_TYPED,
        description="Name of the shape: one that `kedro shapes` lists, which knows your files in "
        "data/01_raw too.",
    )
    shape_file: str | None = Field(
        None,
        min_length=1,
        coerce_numbers_to_str=True,
        json_schema_extra=AS_TYPED,
        description="Path of a table of points (CSV, TSV, Parquet, JSON, NPY), a drawing (SVG) or a "
        "picture (PNG, JPEG, WebP); its stem names the shape unless `shape` does.",
    )
    text: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        coerce_numbers_to_str=True,
        json_schema_extra=AS_TYPED,
        description="A word to write; it names the shape unless `shape` does.",
    )
    max_megabytes: float = Field(
        256.0, gt=0, description="Size above which a shape's file is not read, in 10^6 bytes."
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Seed that every random draw derives from.")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="auto (cuda, then mps, then cpu), cpu, cuda, cuda:N or mps.",
    )
    threads: int = Field(
        2,
        ge=1,
        le=1024,
        description="CPU threads, at most one a core. A training gains nothing from more than two; "
        "results don't depend on it.",
    )
    run: str | None = Field(
        None,
        min_length=1,
        json_schema_extra=AS_TYPED,
        description="An earlier run, all of whose datasets are taken rather than the newest of each: its "
        "version (a time, as in the names of its files) or the id of its run in MLflow.",
    )
    runs: str | None = Field(
        None,
        json_schema_extra=AS_TYPED,
        description="Two or more runs for the pipeline compare, joined by +: ids of runs in MLflow (or "
        "their first digits, six at least), or versions of models.",
    )
    n: int = Field(
        10_000_000, ge=2, le=10**12, description="Points that the pipeline sample_many draws."
    )
    resume: bool = Field(
        False,
        description="Whether training goes on where the newest interrupted one of this shape with these "
        "parameters stopped; from the beginning if there is none. More steps and another training.until "
        "are allowed.",
    )
    tracking: bool = Field(True, description="Whether runs are recorded in MLflow.")
    source: Source = Source()
    data: Data = Data()
    schedule: Schedule = Schedule()
    network: Network = Network()
    training: Training = Training()
    sampling: Sampling = Sampling()
    evaluation: Evaluation = Evaluation()
    samplers: Samplers = Samplers()
    rendering: Rendering = Rendering()
    player: Player = Player()
    promotion: Promotion = Promotion()
    many: Many = Many()


def validate(values: Mapping[str, Any]) -> Parameters:
    """Check `values` (nested, as Kedro merges them) against the model.

    Raises
    ------
    PointillistError
        If a name is unknown or a value is out of bounds; one line for each, with the nearest name.
    """
    try:
        return Parameters.model_validate(dict(values))
    except ValidationError as error:
        raise PointillistError("\n".join(map(_explain, _one_each(error.errors())))) from None


def _one_each(errors: Iterable[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Yield one error a parameter: where it may be a number or a word, pydantic has one for each."""
    found: dict[tuple[int | str, ...], list[ErrorDetails]] = {}
    for error in errors:
        found.setdefault(_place(error["loc"]), []).append(error)
    for place, several in found.items():
        bounds = [error for error in several if error["type"] in _BOUNDS]
        first, *others = dict.fromkeys(error["msg"] for error in bounds[:1] or several)
        message = " or ".join([first, *(other[:1].lower() + other[1:] for other in others)])
        yield {**(bounds or several)[0], "loc": place, "msg": message}


def _place(place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return the place of an error without the kinds of a value that may be of several."""
    model: Any = Parameters
    for i, name in enumerate(place):
        field = model.model_fields.get(name) if hasattr(model, "model_fields") else None
        if field is None:
            is_leaf = i and not hasattr(model, "model_fields")
            return (*place[:i], *(p for p in place[i:] if isinstance(p, int))) if is_leaf else place
        model = field.annotation
    return place


def _explain(error: ErrorDetails) -> str:
    *groups, name = (str(part) for part in error["loc"]) if error["loc"] else ("parameters",)
    full_name = ".".join([*groups, name])
    if full_name in _GONE and error["type"] == "extra_forbidden":
        return f"Parameter {full_name!r} is gone: {_GONE[full_name]}"
    if (gone := _GONE_VALUES.get((full_name, str(error["input"])))) is not None:
        return f"Parameter {full_name!r}: {error['input']} is gone; {gone}"
    if error["type"] == "extra_forbidden":
        return f"Parameter {full_name!r} is unknown.{_suggest(groups, name)}"
    if error["type"] == "string_pattern_mismatch":
        allowed = Parameters.model_fields[name].description
        return f"Parameter {full_name!r} can't be {error['input']!r}. {allowed}"
    if error["type"] == "model_type":
        example = next(iter(Parameters().model_dump()[name].items()))
        return (
            f"Parameter {full_name!r} is a group (got {error['input']!r}). Set its members, as in "
            f"{full_name}.{example[0]}={example[1]}."
        )
    reason = error["msg"].removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:]
    value = "" if isinstance(error["input"], Mapping) else f" (got {_shown(error['input'])})"
    what = f"\n{_description(error['loc'])}" if error["type"] in _BOUNDS else ""
    return f"Parameter {full_name!r}: {reason}{value}.{what}"


_GONE = {
    "training.ema": "it is training.averaging now: the power of a step in the average, null for the last "
    "weights. Leave it out.",
    "training.warmup": "it is training.warmup_steps now: steps, not a share of them. Leave it out.",
    "training.decay": "it is training.decay_steps now: steps after which the learning rate is half of "
    "its peak, null where it stays. Leave it out.",
}
"""Parameters of earlier releases by what has taken their place."""

_GONE_VALUES = {
    ("training.draws", value): "independent is what it was measured to be no better than."
    for value in ("lattice", "stratified")
}

_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number")


def _description(place: tuple[int | str, ...]) -> str:
    """Return what the parameter at `place` is, and so why it is bounded."""
    model: Any = Parameters
    for name in place:
        field = model.model_fields.get(name) if hasattr(model, "model_fields") else None
        if field is None:
            break
        description, model = field.description, field.annotation
    return description or ""


def _shown(value: Any) -> str:
    """Return a value as a message can show it: on one line that is not too long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _suggest(groups: list[str], name: str) -> str:
    """Name the parameter that was probably meant: a sibling, or one of that name elsewhere."""
    known = [*Parameters.model_fields]
    known += [key for key in flatten(Parameters().model_dump()) if key not in known]
    prefix = ".".join([*groups, ""]) if groups else ""
    siblings = [key for key in known if key.startswith(prefix) and "." not in key[len(prefix) :]]
    if hint := nearest(prefix + name, siblings):
        return hint
    if elsewhere := [key for key in known if key.endswith(f".{name}")]:
        return f" Did you mean {elsewhere[0]!r}?"
    return f" Known: {', '.join(siblings)}."
