"""How long work reports its progress, and how the edge listens.

As with `logging`, whoever works says what happened and does not know who listens: a node wraps its
iterator in `track`, and the command line (progress bar) and the tracking (MLflow) subscribe.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar


class Reports(Protocol):
    """An item that says where the work stands."""

    @property
    def step(self) -> int:
        """Steps finished so far."""

    @property
    def metrics(self) -> dict[str, float]:
        """What was measured at this step, by name."""


Item = TypeVar("Item", bound=Reports)
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Progress:
    """One report: `step` of `total` steps of `stage` are finished."""

    stage: str
    step: int
    total: int
    unit: str = "step"
    metrics: dict[str, float] = field(default_factory=dict)


Listener = Callable[[Progress], None]
Hearer = Callable[[str, str], None]
_listeners: list[Listener] = []
_hearers: list[Hearer] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Hand every report to `listener` while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def report(progress: Progress) -> None:
    """Tell every listener."""
    for listener in tuple(_listeners):
        listener(progress)


def track(
    items: Iterable[Item], stage: str, total: int, unit: str = "step", done: int = 0
) -> Iterator[Item]:
    """Pass `items` through and report each of them as progress of `stage`, `done` steps of it before."""
    report(Progress(stage, done, total, unit))
    for item in items:
        done = item.step
        report(Progress(stage, done, total, unit, item.metrics))
        yield item
    if done < total:  # they may end before
        report(Progress(stage, done, done, unit))


def count(items: Collection[Thing], stage: str, unit: str) -> Iterator[Thing]:
    """Pass `items` through and report how many of them are done."""
    report(Progress(stage, 0, len(items), unit))
    for step, item in enumerate(items, start=1):
        yield item
        report(Progress(stage, step, len(items), unit))


@contextmanager
def hearing(hearer: Hearer) -> Iterator[None]:
    """Hand every fact to `hearer` while the block runs."""
    _hearers.append(hearer)
    try:
        yield
    finally:
        _hearers.remove(hearer)


def tell(name: str, value: str) -> None:
    """Tell every hearer a fact: something that turns out only while the work goes on."""
    for hearer in tuple(_hearers):
        hearer(name, value)
