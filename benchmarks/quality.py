"""Quality of the defaults: every Data Morph shape, each metric beside its floor.

The runs go through one Kedro session after the other in one process (`common.kedro_metrics`): same
configuration, nodes, catalog and seeds as `kedro run`, without starting Python thirty-six times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import mean

from benchmarks.common import Figures, Options, kedro_metrics, project_copy, say, table

TITLE = "Quality of the defaults"


def measure(options: Options) -> Figures:
    """Return the metrics of every run, by shape, and what they come to."""
    from pointillist.shapes.data_morph import STARTERS

    names = options.shapes or (STARTERS[:2] if options.smoke else STARTERS)
    runs: dict[str, list[dict[str, float]]] = {}
    with project_copy() as project:
        for shape in names:
            runs[shape] = []
            for seed in options.held_out:
                overrides = {**options.shortened, "shape": shape, "seed": seed}
                runs[shape].append(kedro_metrics(project, "base", overrides))
            bounds = ", ".join(f"{run['kl_bound_nats']:.4f}" for run in runs[shape])
            say(f"quality: {shape}: kl_bound_nats {bounds}")
    return {"seeds": list(options.held_out), "summary": summarize(runs), "runs": runs}


def summarize(runs: Mapping[str, list[dict[str, float]]]) -> dict[str, float]:
    """Return the mean over all runs of each metric / floor, and the worst shape's mean nats."""
    every = [run for shape_runs in runs.values() for run in shape_runs]
    ratios = {
        f"{name} / floor, mean over shapes and seeds": mean(
            run[name] / run[f"{name}_floor"] for run in every
        )
        for name in with_floor(every[0])
    }
    worst = {
        f"{name}, worst shape": max(mean(run[name] for run in rs) for rs in runs.values())
        for name in in_nats(every[0])
    }
    return ratios | worst


def with_floor(metrics: Mapping[str, float]) -> list[str]:
    """Return the names of the metrics that have a floor above 0."""
    return [name for name in metrics if metrics.get(f"{name}_floor", 0) > 0]


def in_nats(metrics: Mapping[str, float]) -> list[str]:
    """Return the names of the divergences, prior term left out: it belongs to the bound."""
    return [name for name in metrics if name.endswith("_nats") and name != "kl_prior_nats"]


def report(figures: Figures) -> Iterator[str]:
    """Yield a row for each shape, then the summary."""
    runs: dict[str, list[dict[str, float]]] = figures["runs"]
    first = next(iter(runs.values()))[0]
    distances, nats = with_floor(first), in_nats(first)
    seeds = ", ".join(map(str, figures["seeds"]))
    yield (
        f"Means over seeds {seeds}; n = {first['n_eval']:.0f}. Each figure / its floor (fresh draws of "
        "the truth); divergences in nats ± greatest standard error of a run."
    )
    yield ""
    rows = []
    for shape, shape_runs in runs.items():
        means = {name: mean(run[name] for run in shape_runs) for name in first}
        row = [shape, *(f"{means[n]:.3f} / {means[f'{n}_floor']:.3f}" for n in distances)]
        for name in nats:
            error = max(run.get(f"{name}_error", 0.0) for run in shape_runs)
            row.append(f"{means[name]:.4f} ± {error:.4f}")
        rows.append(row)
    yield from table(("shape", *distances, *nats), rows)
    yield from table(
        ("summary", "value"), ((name, f"{v:.3f}") for name, v in figures["summary"].items())
    )
