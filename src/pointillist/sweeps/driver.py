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
from pointillist.sweeps.search import Source, source_of
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


class Driver:
    """Runs the trials of a sweep on a cluster, whose workers may come and go meanwhile.

    A trial whose worker dies is run again on another; one that fails is an outcome like others. Each
    takes `resources` of its worker.
    """

    def __init__(
        self,
        sweep: Sweep,
        fixed: Parameters,
        order: Order,
        client: Any,
        watch: Watcher,
        resources: Mapping[str, float] | None = None,
    ) -> None:
        self._sweep, self._fixed, self._order = sweep, fixed, order
        self._client, self._watch, self._resources = client, watch, dict(resources or {})
        known = len(sweep.configurations()) * len(sweep.seeds)
        self._state = State(sweep, None if sweep.search is not None else known)
        self._asked: list[list[Outcome]] = []
        self._waiting: dict[Any, tuple[int, Trial]] = {}

    def carry_out(self, finished: Mapping[str, Child]) -> list[Outcome]:
        """Run every trial that is not `finished` (by key); return all outcomes, as they were asked for.

        Raises
        ------
        PointillistError
            If the cluster's scheduler is gone, or a trial ends without the sweep's metric.
        """
        source = source_of(self._sweep, [child.params for child in finished.values()])
        try:
            self._fill(source, finished)
            while self._waiting:
                for future in _ended(self._client, list(self._waiting)):
                    place, trial = self._waiting.pop(future)
                    self._end(source, place, _outcome(future, trial))
                self._fill(source, finished)
                self._show()
        except OSError as error:
            raise PointillistError(
                f"The cluster's scheduler is gone ({reason(error)}): go on with --resume."
            ) from None
        return [outcome for outcomes in self._asked for outcome in outcomes]

    def _workers(self) -> int:
        return clusters.able(self._client, self._resources)

    def _show(self) -> None:
        self._state.running = min(len(self._waiting), self._workers())
        self._state.waiting = len(self._waiting) - self._state.running
        self._watch(self._state)

    def _fill(self, source: Source, finished: Mapping[str, Child]) -> None:
        """Keep every worker busy, with a little in reserve; a search wants to learn first."""
        workers = self._workers()
        wanted = max(1, workers if self._sweep.search is not None else 2 * workers)
        while len(self._waiting) < wanted and (configuration := source.ask()) is not None:
            self._begin(source, configuration, finished)

    def _begin(
        self, source: Source, configuration: Parameters, finished: Mapping[str, Child]
    ) -> None:
        """Hand out the trials of one more configuration."""
        self._asked.append([])
        place = len(self._asked) - 1
        for trial in trials_of(self._sweep, configuration, self._fixed):
            if (child := finished.get(trial.key)) is not None:
                self._state.resumed += 1
                self._end(source, place, Outcome(trial, child.metrics, child.version, "", 0.0))
                continue
            future = self._client.submit(
                worker.run,
                trial,
                self._order,
                key=f"{trial.key}-{uuid.uuid4().hex[:8]}",
                pure=False,
                resources=self._resources,
            )
            self._waiting[future] = (place, trial)
        self._show()

    def _end(self, source: Source, place: int, outcome: Outcome) -> None:
        """Take note of an outcome; once all seeds of a configuration are there, tell the source."""
        sweep = self._sweep
        if not outcome.failed and sweep.metric not in outcome.metrics:
            raise PointillistError(
                f"conf/*/sweeps.yml: pipelines {', '.join(sweep.pipelines)} give no metric "
                f"{sweep.metric!r}.{nearest(sweep.metric, outcome.metrics)} "
                f"They give: {', '.join(sorted(outcome.metrics)) or 'none'}."
            )
        self._state.outcomes.append(outcome)
        self._asked[place].append(outcome)
        if len(self._asked[place]) == len(sweep.seeds):
            source.tell(outcome.trial.configuration, ranking.mean_of(sweep, self._asked[place]))


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
            raise OSError("it no longer answers") from None
    return [future for future in futures if future.done()]


def _outcome(future: Any, trial: Trial) -> Outcome:
    try:
        outcome: Outcome = future.result()
    except Exception as error:
        return Outcome(trial, {}, "", f"its workers died: {reason(error)[:120]}", 0.0)
    return outcome
