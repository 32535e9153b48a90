"""Are the two presets honest baselines? Their final figures beside those of the originals, on dino.

The networks are too small for a second thread to help, so two runs go side by side, a thread each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from benchmarks.common import Figures, Options, kedro_metrics, project_copy, say, summary, table

TITLE = "The presets beside their originals"

NAMES = ("off_manifold", "nn95", "tv", "sw2")
ORIGINALS = {
    # The released weights of github.com/Kei18/tiny-tiny-diffusion.
    "tiny_tiny_diffusion": (0.78, 0.116, 0.134, 0.066),
    # github.com/tanelp/tiny-diffusion, trained with its defaults.
    "tiny_diffusion": (0.50, 0.099, 0.31, 0.244),
}


def measure(options: Options) -> Figures:
    """Return preset -> metric -> median, least and greatest over seeds, after all of its steps."""
    jobs = [(preset, seed) for preset in ORIGINALS for seed in options.held_out]
    runs: dict[str, list[dict[str, float]]] = {preset: [] for preset in ORIGINALS}
    with ProcessPoolExecutor(2, get_context("spawn")) as processes:
        futures = [processes.submit(final_metrics, *job, options.shortened) for job in jobs]
        for (preset, seed), future in zip(jobs, futures, strict=True):
            runs[preset].append(future.result())
            say(
                f"presets: {preset}, seed {seed}: off_manifold {runs[preset][-1]['off_manifold']:.3f}"
            )
    return {
        "seeds": list(options.held_out),
        "metrics": {
            preset: {name: summary(run[name] for run in preset_runs) for name in NAMES}
            for preset, preset_runs in runs.items()
        },
    }


def final_metrics(preset: str, seed: int, shortened: Mapping[str, Any]) -> dict[str, float]:
    """Run a preset in full, in a project of its own."""
    with project_copy() as project:
        overrides = {**shortened, "shape": "dino", "seed": seed, "threads": 1}
        return kedro_metrics(project, preset, overrides)


def report(figures: Figures) -> Iterator[str]:
    """Yield two rows for each preset."""
    seeds = ", ".join(map(str, figures["seeds"]))
    yield f"dino; the preset's median [least, greatest] over seeds {seeds}, all of its steps."
    yield ""
    rows = []
    for preset, metrics in figures["metrics"].items():
        rows.append([f"{preset}, original", *(f"{value:g}" for value in ORIGINALS[preset])])
        cells = (metrics[name] for name in NAMES)
        rows.append(
            [
                f"{preset}, preset",
                *(f"{c['median']:.3f} [{c['min']:.3f}, {c['max']:.3f}]" for c in cells),
            ]
        )
    yield from table(("", *NAMES), rows)
