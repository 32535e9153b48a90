"""The driver of a sweep: hands trials to a Dask cluster, and loses none."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pointillist.errors import reason
from pointillist.sweeps import ranking, worker
from pointillist.sweeps.plan import Parameters, Sweep, Trial, trials_of
from pointillist.sweeps.search import source_of
from pointillist.sweeps.worker import Order, Outcome
from pointillist.tracking import Child


class Watcher(Protocol):
    """Is told how a sweep goes on."""

    def __call__(self, state: State) -> None:
        """Show it."""


@dataclass
class State:
    """How far a sweep is."""

    sweep: Sweep
    total: int | None
    """Trials; None if a search decides."""
    outcomes: list[Outcome] = field(default_factory=list)
    running: int = 0
    resumed: int = 0
    """Of the outcomes, those that an earlier run of this sweep finished."""

    @property
    def failed(self) -> int:
        """Trials that did not come to their end."""
        return sum(outcome.failed for outcome in self.outcomes)

    @property
    def best(self) -> Outcome | None:
        """The trial with the best metric so far."""
        metric = self.sweep.metric
        known = [o for o in self.outcomes if metric in o.metrics]
        sign = 1 if self.sweep.direction == "minimize" else -1
        return min(known, key=lambda o: sign * o.metrics[metric], default=None)


def carry_out(
    sweep: Sweep,
    fixed: Parameters,
    order: Order,
    finished: Mapping[str, Child],
    client: Any,
    watch: Watcher,
) -> list[Outcome]:
    """Run every trial that is not `finished` (by key); return all outcomes, as they were asked for.

    A trial whose worker dies is run again on another; one that fails is an outcome like others.
    """
    from distributed import as_completed

    source = source_of(sweep)
    n = None if sweep.search is not None else len(sweep.configurations()) * len(sweep.seeds)
    state = State(sweep, n)
    asked: list[list[Outcome]] = []
    waiting: dict[Any, tuple[int, Trial]] = {}
    results = as_completed()
    capacity = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))

    def begin() -> bool:
        """Hand out the trials of one more configuration."""
        configuration = source.ask()
        if configuration is None:
            return False
        asked.append([])
        for trial in trials_of(sweep, configuration, fixed):
            if (child := finished.get(trial.key)) is not None:
                state.resumed += 1
                end(len(asked) - 1, Outcome(trial, child.metrics, child.version, "", 0.0))
                continue
            future = client.submit(
                worker.run, trial, order, key=f"{trial.key}-{uuid.uuid4().hex[:8]}", pure=False
            )
            waiting[future] = (len(asked) - 1, trial)
            results.add(future)
        state.running = len(waiting)
        watch(state)
        return True

    def fill() -> None:
        """Keep every worker busy, with a little in reserve; a search wants to learn first."""
        reserve = 0 if sweep.search is not None else capacity
        while len(waiting) < capacity + reserve and begin():
            pass

    def end(place: int, outcome: Outcome) -> None:
        """Take note of an outcome; once all seeds of a configuration are there, tell the source."""
        state.outcomes.append(outcome)
        asked[place].append(outcome)
        if len(asked[place]) == len(sweep.seeds):
            mean = ranking.mean_of(sweep, asked[place])
            source.tell(outcome.trial.configuration, mean)

    fill()
    while waiting:
        future = next(results)
        place, trial = waiting.pop(future)
        try:
            outcome = future.result()
        except Exception as error:
            outcome = Outcome(trial, {}, "", f"its workers died: {reason(error)[:120]}", 0.0)
        end(place, outcome)
        fill()
        state.running = len(waiting)
        watch(state)
    return [outcome for outcomes in asked for outcome in outcomes]
