"""The driver of a sweep: hands trials to a Dask cluster, and loses none."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Any, Protocol

from pointillist import clusters
from pointillist.errors import PointillistError, nearest, reason
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
    waiting: int = 0
    """Handed out to workers that are busy, or not there yet."""
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
    resources: Mapping[str, float] | None = None,
) -> list[Outcome]:
    """Run every trial that is not `finished` (by key); return all outcomes, as they were asked for.

    A trial whose worker dies is run again on another; one that fails is an outcome like others.
    Each takes `resources` of its worker. Workers may come and go meanwhile.

    Raises
    ------
    PointillistError
        If the cluster's scheduler is gone, or a trial comes to its end without the sweep's metric.
    """
    source = source_of(sweep, [child.params for child in finished.values()])
    n = None if sweep.search is not None else len(sweep.configurations()) * len(sweep.seeds)
    state = State(sweep, n)
    asked: list[list[Outcome]] = []
    waiting: dict[Any, tuple[int, Trial]] = {}

    def workers() -> int:
        return clusters.able(client, resources or {})

    def show() -> None:
        state.running = min(len(waiting), workers())
        state.waiting = len(waiting) - state.running
        watch(state)

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
                worker.run,
                trial,
                order,
                key=f"{trial.key}-{uuid.uuid4().hex[:8]}",
                pure=False,
                resources=dict(resources or {}),
            )
            waiting[future] = (len(asked) - 1, trial)
        show()
        return True

    def fill() -> None:
        """Keep every worker busy, with a little in reserve; a search wants to learn first."""
        wanted = max(1, workers() if sweep.search is not None else 2 * workers())
        while len(waiting) < wanted and begin():
            pass

    def end(place: int, outcome: Outcome) -> None:
        """Take note of an outcome; once all seeds of a configuration are there, tell the source."""
        if not outcome.failed and sweep.metric not in outcome.metrics:
            raise PointillistError(
                f"conf/*/sweeps.yml: pipelines {', '.join(sweep.pipelines)} give no metric "
                f"{sweep.metric!r}.{nearest(sweep.metric, outcome.metrics)} "
                f"They give: {', '.join(sorted(outcome.metrics)) or 'none'}."
            )
        state.outcomes.append(outcome)
        asked[place].append(outcome)
        if len(asked[place]) == len(sweep.seeds):
            mean = ranking.mean_of(sweep, asked[place])
            source.tell(outcome.trial.configuration, mean)

    try:
        fill()
        while waiting:
            for future in _ended(client, list(waiting)):
                place, trial = waiting.pop(future)
                end(place, _outcome(future, trial))
            fill()
            show()
    except OSError as error:
        raise PointillistError(
            f"The cluster's scheduler is gone ({reason(error)}): go on with --resume."
        ) from None
    return [outcome for outcomes in asked for outcome in outcomes]


def _ended(client: Any, futures: list[Any]) -> list[Any]:
    """Wait a second, or until one of `futures` has ended; return those that have."""
    from distributed import wait

    try:
        wait(futures, timeout=1, return_when="FIRST_COMPLETED")
    except CancelledError:
        # Nobody here cancels any: Dask's client does, when its scheduler leaves it.
        raise OSError("it cancelled what it had been given") from None
    except TimeoutError:
        if client.status != "running":
            raise OSError("it doesn't answer any more") from None
    return [future for future in futures if future.done()]


def _outcome(future: Any, trial: Trial) -> Outcome:
    try:
        outcome: Outcome = future.result()
    except Exception as error:
        return Outcome(trial, {}, "", f"its workers died: {reason(error)[:120]}", 0.0)
    return outcome
