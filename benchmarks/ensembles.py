"""Is a batched ensemble of use without an accelerator? CPU seconds of the same models, made both ways.

Each recipe trains as many seeds of dino one after the other, then as one ensemble, in alternation and
on one thread. What an ensemble spares is the starting of operations; where arithmetic takes longer than
that, nothing is left to spare, and numbers of many members no longer fit a processor's caches.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.common import HELD_OUT, Figures, Options, say, summary, table

TITLE = "Ensembles on the CPU"

RECIPES = ("base", "fast", "tiny_diffusion", "tiny_tiny_diffusion")
MEMBERS, STEPS = 8, 50


def measure(options: Options) -> Figures:
    """Return recipe -> CPU milliseconds a step and member, both ways, and their ratio."""
    from benchmarks import learning

    steps = 2 if options.smoke else STEPS
    seeds = range(HELD_OUT, HELD_OUT + (2 if options.smoke else MEMBERS))
    fixed = {"shape": "dino", "device": "cpu", "threads": 1, "training.steps": steps}
    found: Figures = {}
    for recipe in RECIPES:
        task = learning.make_task(learning.read_parameters(recipe, fixed))
        times: list[tuple[float, float]] = []
        for _ in range(1 if options.smoke else 1 + options.repeats):
            started = time.process_time()
            for seed in seeds:
                learning.learn(task, seed)
            between = time.process_time()
            learning.learn_ensemble([task] * len(seeds), seeds)
            times.append((between - started, time.process_time() - between))
        del times[: len(times) - options.repeats]  # the first warms up
        unit = 1000 / steps / len(seeds)
        found[recipe] = {
            "width": task.parameters.network.width,
            "batch": task.parameters.training.batch_size,
            "singly": summary(unit * single for single, _ in times),
            "together": summary(unit * many for _, many in times),
            "ratio": summary(many / single for single, many in times),
        }
        say(f"ensembles: {recipe}: {found[recipe]['ratio']['median']:.2f}")
    return found


def report(figures: Figures) -> Iterator[str]:
    """Yield a row for each recipe."""
    yield (
        f"{MEMBERS} seeds of dino, one after the other and as one ensemble; CPU milliseconds a step and "
        "member on one thread, and the ratio of the two: median [least, greatest]. Below 1 the ensemble "
        "takes less."
    )
    yield ""
    rows = []
    for recipe, row in figures.items():
        ratio = row["ratio"]
        rows.append(
            (
                recipe,
                str(row["width"]),
                str(row["batch"]),
                *(f"{row[how]['median']:.2f}" for how in ("singly", "together")),
                f"{ratio['median']:.2f} [{ratio['min']:.2f}, {ratio['max']:.2f}]",
            )
        )
    header = ("recipe", "width", "batch", "one after the other", "as an ensemble", "ratio")
    yield from table(header, rows)
