"""What all groups of parameters have in common: see `parameters` for the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic_core import core_schema

from pointillist.errors import nearest

Pair = tuple[float, float]

PositivePair = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]


AS_TYPED: JsonDict = {"as_typed": True}
"""Marks a parameter that is text: a command line keeps it as typed."""


@dataclass(frozen=True)
class Registered:
    """Annotates a name that must be in a registry; its module is loaded for other names than `known`."""

    registry: str
    """module:mapping"""
    known: str
    """A name that is there: the default, which is not looked up."""

    def names(self) -> tuple[str, ...]:
        """Return what is registered."""
        module, _, mapping = self.registry.partition(":")
        return tuple(getattr(import_module(module), mapping))

    def require(self, name: str) -> str:
        """Return `name`. Raises ValueError if it is not registered."""
        if name != self.known and name not in (names := self.names()):
            raise ValueError(f"must be one of {', '.join(names)}.{nearest(name, names)}")
        return name

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_after_validator_function(self.require, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.names())}


class Group(BaseModel):
    """A group of parameters: unknown names and infinite numbers are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def alone(value: Any) -> Any:
    """Take a number for a list of one, and split what a command line joins by +."""
    return (value,) if isinstance(value, int) else by_plus(value)


def each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return `values`. Raises ValueError if one of them is given twice."""
    if len(set(values)) < len(values):
        raise ValueError("each must be given once only")
    return values


def by_plus(value: Any) -> Any:
    """Split what a command line joins by +."""
    return tuple(value.split("+")) if isinstance(value, str) else value


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested `values` as one level with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def written(value: Any) -> str:
    """Return a value as one writes it on a command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted names as nested groups: what `flatten` takes apart."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        *groups, last = name.split(".")
        place = result
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return result
