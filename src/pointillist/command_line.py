"""Parameters as a command line has them: `--params a.b=1,c=x`, read and written."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import click
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pointillist import groups
from pointillist.groups import Group, nested
from pointillist.parameters import Parameters
from pointillist.shapes import naming

_COMMA = "A comma within a value is written \\, in quotes: --params 'text=Hi\\, you'"


def read(text: str) -> dict[str, Any]:
    r"""Return the parameters of a command line as nested groups.

    Values are YAML's, except those of parameters that are text, as a word to write is: those are kept
    as typed. ``\,`` is a comma within a value.

    Raises
    ------
    click.UsageError
        If a part has no name or no ``=``, a text is empty, or a value can't be read.
    """
    given: dict[str, Any] = {}
    for part in filter(str.strip, _parts(text)):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or not name:
            raise click.UsageError(f"--params: {part.strip()!r} is not NAME=VALUE. {_COMMA}")
        given[name] = _typed(name, value) if name in AS_TYPED else _yaml(name, value)
    try:
        return nested(given)
    except (AttributeError, TypeError):
        raise click.UsageError("--params: a name can't be both a parameter and a group.") from None


def write(values: Mapping[str, Any]) -> str:
    """Return parameters, by dotted name, as one quoted word of a shell from which `read` gets them."""
    parts = [f"{name}={_escaped(_written(name, value))}" for name, value in values.items()]
    # Backslashes that end a value would escape the comma after it.
    parts[:-1] = [re.sub(r"(\\+)$", r"\1\1", part) for part in parts[:-1]]
    return shlex.quote(",".join(parts))


def literal(text: str) -> str:
    """Return `text` as a value of a configuration that interpolates: ${...} stays as it is."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def source(parameters: Parameters, **others: Any) -> str:
    """Return what names a run's shape and source again, and `others` unless None, for a shell."""
    named = naming.source(parameters.shape, parameters.shape_file, parameters.text)
    return write(named | {name: value for name, value in others.items() if value is not None})


def _parts(text: str) -> Iterator[str]:
    """Split at commas; before one, two backslashes are one, and a single one escapes it."""
    part, start = "", 0
    for match in re.finditer(r"(\\*),", text):
        backslashes, escaped = divmod(len(match[1]), 2)
        part += text[start : match.start()] + "\\" * backslashes + "," * escaped
        start = match.end()
        if not escaped:
            yield part
            part = ""
    yield part + text[start:]


def _escaped(value: str) -> str:
    return re.sub(r"(\\*),", r"\1\1\\,", value)


def _typed(name: str, value: str) -> str:
    if not value.strip():
        raise click.UsageError(f"--params: {name} is empty. Give it a value, or leave it out.")
    if value == "???":
        raise click.UsageError(
            f"--params: {name} can't be ???, which is OmegaConf's missing value."
        )
    return literal(value)


def _yaml(name: str, value: str) -> Any:
    try:
        read_: Any = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={value}"]))
    except (YAMLError, OmegaConfBaseException) as error:
        said = " ".join(str(error).split())[:200]
        raise click.UsageError(
            f"--params: the value of {name} can't be read: {said}. {_COMMA}"
        ) from None
    return read_["value"]


def _written(name: str, value: Any) -> str:
    """Return a value as `read` takes it: text as it is where nothing else would come of it."""
    if isinstance(value, str) and (name in AS_TYPED or _reads_as_text(name, value)):
        return value
    return json.dumps(value, ensure_ascii=False)


def _reads_as_text(name: str, value: str) -> bool:
    try:
        return bool(_yaml(name, value) == value)
    except click.UsageError:
        return False


def _as_typed(group: type[Group], prefix: str = "") -> Iterator[str]:
    """Yield the names of the parameters whose model says that they are text as typed."""
    for name, field in group.model_fields.items():
        if field.json_schema_extra == groups.AS_TYPED:
            yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, Group):
            yield from _as_typed(field.annotation, f"{prefix}{name}.")


AS_TYPED = frozenset(_as_typed(Parameters))
"""Parameters that are text, dotted: YAML makes no number, date or nothing of them."""
