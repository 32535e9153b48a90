"""Reading the parameters' files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader
from kedro.framework.context import KedroContext
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pointillist import shapes
from pointillist.errors import PointillistError, first_line, nearest


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
    """Put the one name of the shape where the catalog and the parameters' files look it up."""
    given: dict[str, Any] = loader.runtime_params
    everywhere: dict[str, Any] = loader["globals"]
    shape, shape_file, text = (
        None if value is None else str(value).replace("\\${", "${")
        for value in (
            given.get("shape"),
            given.get("shape_file", everywhere.get("shape_file")),
            given.get("text", everywhere.get("text")),
        )
    )
    if shape is not None and re.search(r"[/\\]", shape):
        return  # refused as it is
    given["shape"] = shapes.name_of(shape, shape_file, text, str(everywhere["shape"]), data)
