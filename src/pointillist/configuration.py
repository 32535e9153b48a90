"""Reading the parameters' files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pointillist.errors import PointillistError, first_line, nearest


def read_parameters(context: KedroContext) -> dict[str, Any]:
    """Read the parameters' files and command line as they are.

    Raises
    ------
    PointillistError
        If they can't be read, or the environment is unknown; it names the known ones.
    """
    loader = context.config_loader
    try:
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
