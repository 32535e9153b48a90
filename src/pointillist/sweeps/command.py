"""`kedro sweep`: from a name to a ranked table, pictures and a run in MLflow."""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from kedro.io.core import DatasetError, Version, generate_timestamp

from pointillist import clusters, tracking
from pointillist.datasets import AtomicDataset
from pointillist.errors import PointillistError, reason, redacted
from pointillist.pipeline_registry import register_pipelines
from pointillist.sweeps import display, driver, plan, ranking, snapshots
from pointillist.sweeps.plan import Sweep
from pointillist.sweeps.worker import Order, Outcome

logger = logging.getLogger(__name__)

ASKED = "sweep.asked"
"""The tag that says what the command line set: trials of another recipe are another sweep's."""


def sweeps_of(loader: Any) -> Mapping[str, Any]:
    """Return the sweeps of the configuration, by name."""
    found: dict[str, Any] = loader.get("sweeps", {})
    return {name: values for name, values in found.items() if not name.startswith("_")}


def carry_out(
    project: Path,
    loader: Any,
    name: str,
    fixed: Mapping[str, Any],
    *,
    env: str | None,
    workers: int,
    address: str | None,
    resources: Mapping[str, float],
    resume: str | None,
) -> int:
    """Carry out the sweep `name` and return how many of its trials failed.

    Raises
    ------
    PointillistError
        If the sweep, a parameter or a pipeline is unknown, the store or the cluster can't be reached.
    """
    sweep = plan.read(sweeps_of(loader), name)
    asked = json.dumps({"env": env, "params": dict(fixed)}, sort_keys=True, default=str)
    # Trials share the cores: one thread each, unless the sweep or the command line says otherwise.
    fixed = {**({} if "threads" in sweep.parameters else {"threads": 1}), **fixed}
    plan.check(
        sweep, fixed, loader["parameters"], list(register_pipelines()), _environments(project)
    )
    command = shlex.join(["kedro", *sys.argv[1:]])
    tags = {"sweep.metric": sweep.metric, "kedro.command": redacted(command), ASKED: asked}
    with ExitStack() as after_workers, clusters.cluster(workers, address) as client:
        clusters.require_able(client, resources)
        parent = after_workers.enter_context(
            _parent(name, loader.get("mlflow", {}), project, tags, resume)
        )
        order = Order(project, env, name, parent.run_id)
        again = command if resume else f"{command} --resume {parent.run_id[:8]}"
        with display.Display(name, again) as show:
            watched = driver.Driver(sweep, fixed, order, client, show, resources)
            outcomes = watched.carry_out(parent.finished())
    if not outcomes:
        parent.close("FAILED")
        raise PointillistError(f"Sweep {name!r} has no trial.")
    return _conclude(project, name, sweep, outcomes, parent, again)


@contextmanager
def _parent(
    name: str,
    settings: Mapping[str, Any],
    project: Path,
    tags: Mapping[str, str],
    resume: str | None,
) -> Iterator[tracking.Parent]:
    """Yield the sweep's run in MLflow, begun or resumed; KILLED if the block doesn't end well."""
    if resume is None:
        parent = tracking.Parent.open(name, settings, project, tags)
    else:
        parent = tracking.Parent.resume(resume, name, settings, project, {ASKED: tags[ASKED]})
    try:
        yield parent
    except BaseException:
        parent.close("KILLED")
        # Workers of one's own have ended by now, and with them the trials that they were at.
        parent.put_right()
        raise


def _conclude(
    project: Path,
    name: str,
    sweep: Sweep,
    outcomes: list[Outcome],
    parent: tracking.Parent,
    again: str,
) -> int:
    """Write, record and print what came out; return how many trials failed."""
    table = ranking.ranked(sweep, outcomes)
    failed = [outcome for outcome in outcomes if outcome.failed]
    best = ranking.best_metrics(table)
    try:
        files = _save(project, name, sweep, table, outcomes)
    except (OSError, DatasetError) as error:
        parent.close("FAILED")
        display.print_table(name, sweep, table, failed, [], parent.run_id)
        raise PointillistError(
            f"The table and the pictures can't be written to data/08_reporting/sweeps: {reason(error)}. "
            f"The trials are in MLflow; this writes what is missing: {again}"
        ) from None
    tracking.patiently(lambda: parent.log({f"reporting/{p.name}": p for p in files}, best))
    tracking.patiently(lambda: parent.close("FAILED" if failed else "FINISHED"))
    display.print_table(name, sweep, table, failed, files, parent.run_id)
    return len(failed)


def _save(
    project: Path, name: str, sweep: Sweep, table: Any, outcomes: list[Outcome]
) -> list[Path]:
    """Write the table and the pictures as versions, and return where they are."""
    from pointillist.rendering import sweeps as pictures

    version = Version(None, generate_timestamp())
    folder = project / "data" / "08_reporting" / "sweeps" / name
    saved = []

    def keep(file: str, dataset: str, content: Any) -> None:
        place = AtomicDataset(filepath=str(folder / file), dataset=dataset, version=version)
        place.save(content)
        saved.append(place.load_path)

    def draw(file: str, figure: Any) -> None:
        keep(file, "pointillist.datasets.FigureDataset", figure)

    keep("table.csv", "pointillist.datasets.CompleteCSVDataset", table)
    draw("metric.png", pictures.metric_against(table, sweep.shown, sweep.metric))
    if len(sweep.shown) > 1 and len(table) > 1:
        draw("parallel.png", pictures.parallel(table, sweep.shown, sweep.metric))
    try:
        grid = snapshots.rows(project, outcomes)
    except PointillistError as error:
        logger.warning("The grid of samples can't be drawn: %s", error)
    else:
        if grid:
            title = name if len(grid) == len(table) else f"{name}, {len(grid)} of {len(table)}"
            draw("samples.png", pictures.samples_grid(grid, title))
    return saved


def _environments(project: Path) -> list[str]:
    return sorted(path.name for path in (project / "conf").iterdir() if path.is_dir())


def default_workers() -> int:
    """Return how many workers this machine feeds."""
    return max(1, os.cpu_count() or 1)
