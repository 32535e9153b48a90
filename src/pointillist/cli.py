"""Kedro's `run`, with errors that a person can read."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import click
from kedro import KedroDeprecationWarning
from kedro.framework.cli.project import run as kedro_run

from pointillist.errors import PointillistError, nearest

_PIPELINES = ("__default__", "ingest", "train", "sample", "evaluate", "render")


class _Run(click.Command):
    """Kedro's run command; what can be mended is said without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Check the names of the pipelines, run, and turn errors into messages and exit codes."""
        # Both spellings work; the deprecation is Kedro's, not the person's, to think about.
        warnings.simplefilter("ignore", KedroDeprecationWarning)
        for name in filter(None, [ctx.params.get("pipeline"), *ctx.params.get("pipelines", [])]):
            if name not in _PIPELINES:
                known = ", ".join(_PIPELINES[1:])
                hint = nearest(name, _PIPELINES)
                raise click.ClickException(f"Pipeline {name!r} is unknown.{hint} Known: {known}.")
        try:
            return super().invoke(ctx)
        except PointillistError as error:
            raise click.ClickException(str(error)) from None
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            ctx.exit(130)


def _friendly_run() -> click.Command:
    command = copy.copy(kedro_run)
    command.__class__ = _Run
    return command


@click.group(name="pointillist")
def cli() -> None:
    """Pointillist's commands."""


cli.add_command(_friendly_run(), "run")
