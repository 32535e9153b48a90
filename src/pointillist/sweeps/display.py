"""What a person sees of a sweep: one line while it lasts, a table at its end."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointillist.sweeps.plan import Sweep

if TYPE_CHECKING:
    import pandas as pd

    from pointillist.sweeps.driver import State
    from pointillist.sweeps.worker import Outcome

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 10.0
_SHOWN = ("kl_bound_nats", "sw2", "off_manifold")


class Display:
    """A bar in a terminal, lines in a log: done, running, failed, and the best so far."""

    def __init__(self, name: str, again: str) -> None:
        self._name, self._again = name, again
        self._bar: Any = None
        self._task: Any = None
        self._last, self._done = -math.inf, -1

    def __enter__(self) -> Display:
        logger.info("Sweep %s. If it is interrupted: %s", self._name, self._again)
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[words]}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task(self._name, total=None, words="")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        if kind is KeyboardInterrupt:
            logger.info("To go on: %s", self._again)

    def __call__(self, state: State) -> None:
        """Show how far it is."""
        done = len(state.outcomes)
        if self._bar is not None:
            self._bar.update(
                self._task, completed=done, total=state.total, words=self._words(state)
            )
            return
        ended = not state.running and not state.waiting
        quiet = time.monotonic() - self._last < _SECONDS_BETWEEN_LINES
        if done == self._done or (quiet and not ended):
            return
        self._last, self._done = time.monotonic(), done
        logger.info("%s: %s", self._name, self._words(state))

    def _words(self, state: State) -> str:
        of = "" if state.total is None else f" of {state.total}"
        words = f"{len(state.outcomes)}{of} done, {state.running} running, {state.failed} failed"
        if state.waiting and not state.running:
            words += ", waiting for a worker"
        if state.resumed:
            words += f", {state.resumed} from before"
        if (best := state.best) is not None:
            value = best.metrics[state.sweep.metric]
            words += f"; best {state.sweep.metric} {value:.4g} ({best.trial.label})"
        return words


def print_table(
    name: str,
    sweep: Sweep,
    table: pd.DataFrame,
    failed: Sequence[Outcome],
    files: Sequence[Path],
    run_id: str,
) -> None:
    """Print the configurations from the best on, what failed and why, and where all of it is."""
    from rich.console import Console
    from rich.table import Table

    # A pipe has no width of its own.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    shown = [other for other in dict.fromkeys((sweep.metric, *_SHOWN)) if other in table.columns]
    printed = Table(title=f"{name}: ranked by {sweep.metric}", title_justify="left", box=None)
    printed.add_column("")
    for parameter in sweep.shown:
        printed.add_column(parameter.rsplit(".", 1)[-1], justify="right", no_wrap=True)
    printed.add_column("seeds", justify="right")
    for metric in shown:
        printed.add_column(metric, justify="right", no_wrap=True)
    for row in table.to_dict("records"):
        values = [str(row.get(parameter, "")) for parameter in sweep.shown]
        metrics = [_with_spread(row[metric], row.get(f"{metric}_std")) for metric in shown]
        printed.add_row(str(row["rank"]), *values, str(row["seeds"]), *metrics)
    floors = {m: table[f"{m}_floor"].mean() for m in shown if f"{m}_floor" in table.columns}
    blank = [""] * (len(sweep.shown) + 1)
    nats = {metric: "0" for metric in shown if metric.endswith("_nats")}
    texts = nats | {metric: f"{floor:.4g}" for metric, floor in floors.items()}
    printed.add_row(
        "mean floor" if "shape" in sweep.varied else "floor",
        *blank,
        *(texts.get(metric, "") for metric in shown),
    )
    console.print()
    console.print(printed)
    console.print()
    for outcome in failed[:10]:
        console.print(f"failed: {outcome.trial.label}: {outcome.error}", markup=False)
    for path in files:
        shown_path = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        console.print(f"{path.parents[1].name:<14}{shown_path}", markup=False)
    console.print(f"{'MLflow run':<14}sweep {name} ({run_id}); compare runs with: make ui")


def _with_spread(mean: Any, spread: Any) -> str:
    if not isinstance(mean, float) or math.isnan(mean):
        return "-"
    if not isinstance(spread, float) or math.isnan(spread):
        return f"{mean:.4g}"
    return f"{mean:.4g} ± {spread:.2g}"
