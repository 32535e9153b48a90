"""Reading the parameters' files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader
from kedro.framework.context import KedroContext
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pointillist import shapes
from pointillist.command_line import literal
from pointillist.errors import PointillistError, first_line, nearest
from pointillist.parameters import SOURCE
from pointillist.shapes import naming


def read_parameters(context: KedroContext) -> dict[str, Any]:
    """Read the parameters' files and command line; name the shape, in the catalog's paths too.

    Raises
    ------
    PointillistError
        If they can't be read, or the environment is unknown; it names the known ones.
    """
    loader = context.config_loader
    if {"{", "}"} & {*str(context.project_path)}:
        raise PointillistError(
            "Kedro takes { and } in a path for the name of a dataset: rename the folder of the "
            f"project, {context.project_path}"
        )
    try:
        _name_shape(loader, Path(context.project_path) / "data")
        return dict(loader["parameters"])
    except MissingConfigException:
        known = [p.name for p in Path(loader.conf_source).glob("*") if p.is_dir()]
        if context.env is None or context.env in known:
            raise
        raise PointillistError(
            f"Environment {context.env!r} is unknown.{nearest(context.env, known)} "
            f"Known: {', '.join(sorted(known))}."
        ) from None
    except (OmegaConfBaseException, YAMLError, ValueError) as error:
        raise PointillistError(f"The parameters can't be read: {first_line(error)}") from None


def _name_shape(loader: OmegaConfigLoader, data: Path) -> None:
    """Put the one name of the shape where the catalog and the parameters' files look it up.

    What is given takes the place of all that globals.yml says of the source; a word there may be a
    number to YAML. A shape that is no name is left as it is: the check of the parameters refuses it.
    """
    given: dict[str, Any] = loader.runtime_params
    everywhere: dict[str, Any] = loader["globals"]
    values: Any = everywhere | {"shape": None}
    if any(given.get(name) is not None for name in SOURCE):
        typed = OmegaConf.create({name: given.get(name) for name in SOURCE})
        values = OmegaConf.to_container(typed, resolve=True)
    shape, shape_file, text = (
        None if values.get(name) is None else str(values[name]) for name in SOURCE
    )
    if shape is None or naming.is_name(shape):
        shape = shapes.name_of(shape, shape_file, text, str(everywhere["shape"]), data)
    named = zip(SOURCE, (shape, shape_file, text), strict=True)
    given.update({name: None if value is None else literal(value) for name, value in named})
