"""What a sweep costs beside its trials, and what a second worker brings."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import Figures, Options, apart, project_copy, say, summary, table

TITLE = "Sweeps"

TRIALS = 24
STEPS = 150
WARM_UP = 2
_PARAMETERS = {
    "threads": 1,
    "sampling.n_samples": 2000,
    "evaluation.n_eval": 1000,
    "evaluation.noise_levels": 32,
    "evaluation.risk_draws": 256,
    "evaluation.ode_draws": 64,
}


def measure(options: Options) -> Figures:
    """Return the overhead of a trial in a warm worker, and seconds of a sweep on one and two workers."""
    with project_copy() as project:
        overhead = apart(overheads, project, 3 if options.smoke else 3 * options.repeats)
        say(f"sweeps: {summary(overhead)['median']:.2f} s beside the nodes of a trial")
        trials = 2 if options.smoke else TRIALS
        pairs = []
        for _ in range(1 if options.smoke else max(1, options.repeats // 2)):
            pairs.append([apart(seconds, project, workers, trials) for workers in (1, 2)])
            say(f"sweeps: {pairs[-1][0]:.1f} s on one worker, {pairs[-1][1]:.1f} s on two")
    return {
        "trials": trials,
        "overhead": summary(overhead),
        "one": summary([one for one, _ in pairs]),
        "two": summary([two for _, two in pairs]),
        "ratio": summary([one / two for one, two in pairs]),
    }


def overheads(project: Path, repeats: int) -> list[float]:
    """Return seconds that trials take in a warm process beyond what their nodes take.

    Run apart: it is a worker's process.
    """
    from kedro.framework.hooks import hook_impl

    from pointillist import hooks
    from pointillist.sweeps import worker
    from pointillist.tracking import Parent

    os.chdir(project)
    order = worker.Order(project, None, "overhead", Parent.open("overhead", {}, project, {}).run_id)
    inside: list[float] = []
    after = hooks.ProjectHooks.after_node_run

    def noting(self: Any, node: Any) -> None:
        inside[-1] += time.perf_counter() - self._started[node.name]
        after(self, node)

    hooks.ProjectHooks.after_node_run = hook_impl(noting)  # type: ignore[method-assign]
    found = []
    for seed in range(WARM_UP + repeats):
        inside.append(0.0)
        outcome = worker.run(_trial(seed), order)
        if outcome.failed:
            sys.exit(outcome.error)
        found.append(outcome.seconds - inside[-1])
    return found[WARM_UP:]


def _trial(seed: int) -> Any:
    from pointillist.sweeps.plan import Trial

    parameters = {**_PARAMETERS, "shape": "dino", "training.steps": STEPS, "seed": seed}
    return Trial({}, parameters, ("train", "sample", "evaluate"))


def seconds(project: Path, workers: int, trials: int) -> float:
    """Return the wall time of a whole sweep of so many trials once its workers are there."""
    from pointillist import clusters
    from pointillist.sweeps import driver
    from pointillist.sweeps.plan import Sweep
    from pointillist.sweeps.worker import Order
    from pointillist.tracking import Parent

    os.chdir(project)
    parameters = {**_PARAMETERS, "shape": "dino", "training.steps": STEPS}
    sweep = Sweep.model_validate(
        {
            "parameters": parameters,
            "seeds": list(range(trials)),
            "list": [{"training.averaging": 6.0}],
        }
    )
    with clusters.cluster(workers, None) as client:
        order = Order(project, None, "two", Parent.open("two", {}, project, {}).run_id)
        warm = Sweep.model_validate(
            sweep.model_dump(by_alias=True) | {"seeds": [900 + w for w in range(workers)]}
        )
        driver.Driver(warm, {}, order, client, lambda _: None).carry_out({})
        started = time.perf_counter()
        outcomes = driver.Driver(sweep, {}, order, client, lambda _: None).carry_out({})
        took = time.perf_counter() - started
    if failed := [outcome.error for outcome in outcomes if outcome.failed]:
        sys.exit(failed[0])
    return took


def report(figures: Figures) -> Iterator[str]:
    """Yield the table."""
    yield "Workers are warm: the time of a sweep is that from its first trial to its last."
    yield ""
    rows = (
        ("s beside the nodes of a trial", "overhead"),
        (f"s, {figures['trials']} trials on one worker", "one"),
        (f"s, {figures['trials']} trials on two workers", "two"),
        ("one worker / two workers", "ratio"),
    )
    yield from table(
        ("", "median", "least", "greatest"),
        (
            (words, *(f"{figures[name][key]:.2f}" for key in ("median", "min", "max")))
            for words, name in rows
        ),
    )
