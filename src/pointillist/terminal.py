"""What a person sees while a run works and when it ends."""

from __future__ import annotations

import io
import logging
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pointillist.diffusion.floors import BETTER, readings
from pointillist.progress import Progress, listening

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

logger = logging.getLogger("pointillist")

_SECONDS_BETWEEN_LINES = 5.0


class ProgressDisplay:
    """A bar with rate and time left on a terminal, a log line every few seconds elsewhere."""

    def __init__(self) -> None:
        self._bars: RichProgress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, tuple[float, int]] = {}
        self._last_line = 0.0
        self._subscription: AbstractContextManager[None] | None = None

    def start(self) -> None:
        """Listen to progress until `stop`."""
        self.stop()
        self._subscription = listening(self._show_bar if sys.stderr.isatty() else self._log_line)
        self._subscription.__enter__()

    def stop(self) -> None:
        """Stop listening and leave the terminal as it was."""
        if self._bars is not None:
            # Interrupted while it was starting, a bar can't be stopped, but the cursor is hidden.
            with suppress(IndexError):
                self._bars.stop()
            self._bars.console.show_cursor(True)
        if self._subscription is not None:
            self._subscription.__exit__(None, None, None)
        self.__init__()  # type: ignore[misc]

    def _show_bar(self, progress: Progress) -> None:
        if self._bars is None:
            self._bars = _bars()
            self._bars.start()
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self._bars.add_task(
                progress.stage, total=progress.total, unit=progress.unit, rate=""
            )
            self._started[progress.stage] = (time.monotonic(), progress.step)
        self._bars.update(
            self._tasks[progress.stage],
            completed=progress.step,
            total=progress.total,
            rate=f"{_shown(self._rate(progress))} {progress.unit}s/s",
        )
        if progress.step >= progress.total:
            # The bar stays in the scroll-back; what is logged next comes below it.
            self._bars.stop()
            self._bars = None
            self._tasks.clear()

    def _log_line(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.stage not in self._started:
            self._started[progress.stage], self._last_line = (now, progress.step), now
            return
        if progress.step < progress.total and now - self._last_line < _SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        loss = progress.metrics.get("loss")
        logger.info(
            "%s: %d of %d %ss (%s per second)%s",
            progress.stage,
            progress.step,
            progress.total,
            progress.unit,
            _shown(self._rate(progress)),
            "" if loss is None else f", loss {loss:.3g}",
        )
        if progress.step >= progress.total:
            del self._started[progress.stage]

    def _rate(self, progress: Progress) -> float:
        now = time.monotonic()
        started, first = self._started.get(progress.stage, (now, 0))
        return (progress.step - first) / (now - started) if now > started else 0.0


def _shown(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.2g}"


def accept_any_text() -> None:
    """Let a terminal that has no sign for a letter show a question mark rather than end the run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


display = ProgressDisplay()
"""The one display of this process: a run that is interrupted between hooks must still be tidied up."""


def _bars() -> RichProgress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as RichProgress

    return RichProgress(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _figure(value: float) -> str:
    return "0" if value == 0 else f"{value:.4f}" if abs(value) >= 0.0005 else f"{value:.1e}"


def print_samplers(shape: str, table: DataFrame) -> None:
    """Print how many times its floor each sampler's sw2 is, by number of function evaluations."""
    from rich.console import Console
    from rich.table import Table

    title = f"{shape}: sw2 as multiple of its floor, by function evaluations"
    printed = Table(title=title, title_justify="left", box=None)
    printed.add_column("")
    printed.add_column("denoiser")
    for budget in table["budget"].unique():
        printed.add_column(str(budget), justify="right")
    for (sampler, denoiser), rows in table.groupby(["sampler", "denoiser"], sort=False):
        ratios = rows["sw2"] / rows["sw2_floor"]
        printed.add_row(str(sampler), str(denoiser), *(f"{ratio:.2f}" for ratio in ratios))
    console = Console(highlight=False, soft_wrap=True)
    console.print()
    console.print(printed)


def print_shapes(folder: Path) -> None:
    """Print every name that is known: one's own files in `folder`, then what is built in."""
    from rich.console import Console
    from rich.table import Table

    from pointillist import shapes
    from pointillist.errors import PointillistError
    from pointillist.shapes.config import Source

    table = Table(box=None, pad_edge=False)
    table.add_column("shape")
    table.add_column("truth", justify="right")
    table.add_column("source")
    for origin in shapes.listing(folder):
        try:
            what = "Gaussians" if origin.kind == "formula" else "dots"
            size, about = f"{shapes.read(origin).size(Source()):,} {what}", origin.about
        except PointillistError as error:
            size, about = "-", str(error).splitlines()[0]
        table.add_row(origin.name, size, about)
    # A pipe has no width of its own, and lines are searched there.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(table, markup=False)
    console.print(
        "\nYour own: data/01_raw/NAME.* or --params shape_file=PATH; a word: --params text=WORD"
    )


def print_metrics(shape: str, metrics: Mapping[str, float]) -> None:
    """Print the metrics of samples beside their floors."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    table = Table(title=f"{shape}: samples beside the truth", title_justify="left", box=None)
    for heading in ("", "better", "samples", "floor", "vs floor"):
        table.add_column(heading, justify="left" if heading in ("", "better") else "right")
    for r in readings(metrics):
        better = BETTER[r.metric.better]
        table.add_row(r.metric.name, better, _figure(r.value), _figure(r.floor), r.text)
    console.print()
    console.print(table)
    surprises = [
        f"{name} {_figure(metrics[name])} ± {_figure(metrics[f'{name}_error'])}"
        for name in ("nll_held_out", "nll_fresh", "entropy")
        if f"{name}_error" in metrics
    ]
    if surprises:
        console.print(f" In nats and the shape's original units: {', '.join(surprises)}")


def print_facts(facts: Mapping[str, str]) -> None:
    """Print `facts` by title, a line each."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print()
    width = max(map(len, facts), default=0)
    for name, text in facts.items():
        console.print(f"{name:<{width}}  {text}", markup=False)
