"""How `--params a.b=1,c=x` is read."""

from __future__ import annotations

import re
from typing import Any

import click
from omegaconf import OmegaConf

from pointillist import groups
from pointillist.errors import nearest
from pointillist.groups import flatten, nested
from pointillist.parameters import Parameters

_COMMA = re.compile(r"(?<!\\),")


def read(text: str) -> dict[str, Any]:
    r"""Return the parameters of a command line as nested groups.

    Values are YAML's, except those of parameters that are text, as a word to write is: those are kept
    as typed. ``\,`` is a comma within a value.

    Raises
    ------
    click.UsageError
        If a part has no name or no ``=``, or a text is empty.
    yaml.YAMLError
        If a value can't be read.
    """
    given: dict[str, Any] = {}
    for part in filter(str.strip, _COMMA.split(text)):
        name, equals, value = part.partition("=")
        name, value = name.strip(), value.replace("\\,", ",")
        if not equals or not name:
            raise click.UsageError(
                f"--params: {part.strip()!r} is not NAME=VALUE.{_hint(part, given)} "
                "A comma within a value is written \\,"
            )
        given[name] = _typed(name, value) if name in AS_TYPED else _yaml(name, value)
    return nested(given)


def _typed(name: str, value: str) -> str:
    if not value.strip():
        raise click.UsageError(f"--params: {name} is empty. Give it a value, or leave it out.")
    # What the configuration would take for a reference to another value is a word here.
    return value.replace("${", "\\${")


def _yaml(name: str, value: str) -> Any:
    read_: Any = OmegaConf.to_container(OmegaConf.from_dotlist([f"{name}={value}"]))
    return flatten(read_).get(name, read_)


def _hint(part: str, given: dict[str, Any]) -> str:
    return nearest(part.strip(), [*AS_TYPED, *given]) if "=" not in part else ""


def _as_typed() -> frozenset[str]:
    """Return the names of the parameters whose model says that they are text as typed."""
    found = set()
    for name, field in Parameters.model_fields.items():
        group = getattr(field.annotation, "model_fields", None)
        members = {name: field} if group is None else {f"{name}.{k}": f for k, f in group.items()}
        found |= {k for k, f in members.items() if f.json_schema_extra == groups.AS_TYPED}
    return frozenset(found)


AS_TYPED = _as_typed()
"""Parameters that are text, dotted: YAML makes no number, date or nothing of them."""
