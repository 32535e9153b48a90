"""Kedro's `run`, with errors that a person can read."""

from __future__ import annotations

import copy
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import yaml
from kedro import KedroDeprecationWarning, runner
from kedro.config import MissingConfigException
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import KedroCliError
from kedro.framework.project import LOGGING
from kedro.framework.startup import ProjectMetadata
from kedro.io.core import DatasetNotFoundError
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pointillist.errors import PointillistError, first_line, nearest
from pointillist.groups import flatten
from pointillist.terminal import accept_any_text, display

_RUNNERS = ("SequentialRunner", "ThreadRunner")


class _Run(click.Command):
    """Kedro's run command; what can be mended is said without a traceback."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the options."""
        with _in_words():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Check names, run, and turn errors into messages and exit codes."""
        # Both spellings work; the deprecation is Kedro's, not the person's, to think about.
        warnings.simplefilter("ignore", KedroDeprecationWarning)
        _log_as_the_project_does(getattr(ctx.obj, "project_path", None))
        from pointillist.pipeline_registry import register_pipelines

        for name in filter(None, [ctx.params.get("pipeline"), *ctx.params.get("pipelines", [])]):
            _require_known("Pipeline", name, tuple(register_pipelines()))
        chosen = ctx.params.get("runner")
        if chosen and "." not in chosen and not hasattr(runner, chosen):
            _require_known("Runner", chosen, _RUNNERS)
        if chosen and chosen.rpartition(".")[2] == "ParallelRunner":
            raise click.ClickException(
                "ParallelRunner can't be used: stages hand each other objects within one process. The "
                "default and ThreadRunner work; kedro sweep --workers N has many runs side by side."
            )
        try:
            with _in_words():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            display.stop()
            click.echo("Stopped. The same command with resume=true continues a training.", err=True)
            ctx.exit(130)
        finally:
            display.stop()


@contextmanager
def _in_words() -> Iterator[None]:
    """Turn errors that a person can mend into messages; others keep their traceback."""
    accept_any_text()
    try:
        yield
    except MissingConfigException as error:
        raise click.ClickException(
            f"{first_line(error)}\nRun in the folder of a project, or name its configuration: "
            "--conf-source PATH"
        ) from None
    except (PointillistError, KedroCliError, DatasetNotFoundError) as error:
        raise click.ClickException(str(error)) from None
    except (YAMLError, OmegaConfBaseException) as error:
        raise click.ClickException(f"--params can't be read: {_one_line(error)}") from None
    except ValueError as error:
        # How Kedro says that --nodes, --tags, --to-outputs and the like fit nothing.
        if str(error).startswith(("Pipeline does not contain", "Pipeline contains no nodes")):
            raise click.ClickException(str(error)) from None
        raise


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _require_known(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        listed = ", ".join(other for other in known if other != "__default__")
        raise click.ClickException(
            f"{what} {name!r} is unknown.{nearest(name, known)} Known: {listed}."
        )


def _log_as_the_project_does(project: Path | None) -> None:
    """Apply conf/logging.yml where Kedro, which looks in the working directory only, missed it."""
    if project is None or "KEDRO_LOGGING_CONFIG" in os.environ or project == Path.cwd():
        return
    file = project / "conf" / "logging.yml"
    if file.is_file():
        LOGGING.configure(yaml.safe_load(file.read_text(encoding="utf-8")))


def _read(_context: click.Context, _option: click.Parameter, value: Any) -> dict[str, Any]:
    """Read a.b=1,c=x; a file of --config has groups already."""
    from pointillist import command_line

    with _in_words():
        return value if isinstance(value, dict) else command_line.read(value)


def _amounts(_context: click.Context, _option: click.Parameter, value: str) -> dict[str, float]:
    """Read GPU=1,disk=2.5 as Dask names the resources of its workers."""
    found = {}
    for part in filter(None, value.split(",")):
        name, _, amount = part.partition("=")
        try:
            found[name.strip()] = float(amount)
        except ValueError:
            found[name.strip()] = math.nan
        if not name.strip() or not 0 < found[name.strip()] < math.inf:
            raise click.ClickException(
                f"--resources {part!r} is no resource and its amount, as in GPU=1."
            )
    return found


@click.group(name="pointillist")
def cli() -> None:
    """Pointillist's commands."""


@cli.command()
@click.pass_obj
def shapes(metadata: ProjectMetadata) -> None:
    """List the names that `--params shape=NAME` knows, with source and number of points."""
    from pointillist.terminal import print_shapes

    with _in_words():
        print_shapes(metadata.project_path / "data" / "01_raw")


@cli.command("mlflow-sync")
@click.option("--env", "-e", default=None, help="The environment whose mlflow.yml is read.")
@click.pass_obj
def mlflow_sync(metadata: ProjectMetadata, env: str | None) -> None:
    """Send to MLflow what it did not take of earlier runs."""
    from kedro.framework.session import KedroSession

    from pointillist import tracking

    with _in_words(), KedroSession.create(metadata.project_path, env=env) as session:
        loader = session.load_context().config_loader
        sent, waiting = tracking.send_all(metadata.project_path, loader.get("mlflow", {}))
    if waiting:
        raise click.ClickException(f"MLflow has all of {sent} runs now, of {waiting} it has not.")
    click.echo(f"MLflow has all of {sent} more runs." if sent else "MLflow has all runs.")


@cli.command()
@click.argument("name", required=False)
@click.option("--params", default="", help="Parameters of all trials: a.b=1,c=x", callback=_read)
@click.option(
    "--workers", type=click.IntRange(1, 1024), default=None, help="Local worker processes."
)
@click.option("--address", default=None, help="A Dask scheduler, tcp://HOST:PORT, instead.")
@click.option(
    "--resources",
    default="",
    help="What a trial takes of a worker at --address: GPU=1",
    callback=_amounts,
)
@click.option(
    "--resume", default=None, help="First digits of the id of an interrupted sweep's run."
)
@click.option("--env", "-e", default=None, help="The environment of all trials.")
@click.pass_context
def sweep(
    context: click.Context,
    name: str | None,
    params: dict[str, Any],
    workers: int | None,
    address: str | None,
    resources: dict[str, float],
    resume: str | None,
    env: str | None,
) -> None:
    """Carry out the sweep NAME of conf/*/sweeps.yml, or list what there is."""
    from kedro.framework.session import KedroSession

    project = context.obj.project_path
    if resources and address is None:
        raise click.ClickException("--resources are those of a cluster's workers: --address too.")
    if workers and address is not None:
        raise click.ClickException("--workers start here, --address names a cluster: either.")
    with _in_words():
        with KedroSession.create(project, env=env) as session:
            loader = session.load_context().config_loader
        from pointillist.sweeps import command

        if name is None:
            for known, about in command.sweeps_of(loader).items():
                said = about.get("about", "") if isinstance(about, dict) else "(none)"
                click.echo(f"{known:<22}{said}")
            return
        try:
            failed = command.carry_out(
                project,
                loader,
                name,
                flatten(params),
                env=env,
                workers=workers or command.default_workers(),
                address=address,
                resources=resources,
                resume=resume,
            )
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            context.exit(130)
    if failed:
        raise click.ClickException(f"{failed} {'trial' if failed == 1 else 'trials'} failed.")


def _options() -> Iterator[click.Parameter]:
    """Yield the options of Kedro's command; a word among the parameters is kept as typed."""
    for option in kedro_run.params:
        if option.name == "params":
            option = copy.copy(option)
            option.callback = _read
            option.help = "Parameters that differ: a=1,b.c=x (docs/parameters.md lists them)."
        yield option


run = _Run(
    "run",
    params=list(_options()),
    callback=kedro_run.callback,
    help=kedro_run.help,
    context_settings=kedro_run.context_settings,
)
"""Kedro's own command, options and help included; `python -m pointillist` looks for this name."""
cli.add_command(run)
