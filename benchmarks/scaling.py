"""Does cost grow as it should: a training step with the anchors, sampling with the points?"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.common import (
    Figures,
    Options,
    apart,
    kedro,
    peak_memory,
    project_copy,
    say,
    summary,
    table,
)

if TYPE_CHECKING:
    from benchmarks.learning import Task

TITLE = "Scaling"

ANCHORS = (100, 2_048, 10_000, 100_000, 1_000_000)
POINTS = (10_000, 100_000, 1_000_000)
ROWS = 1_000_000
MANY = (1_000_000, 10_000_000, 100_000_000)
ROUNDS = 7
STEPS_PER_ROUND = 20


def measure(options: Options) -> Figures:
    """Return milliseconds per step by anchors, and seconds and peak memory by points."""
    anchors = ANCHORS[:3] if options.smoke else ANCHORS
    points = POINTS[:1] if options.smoke else POINTS
    steps = milliseconds(anchors, options)
    sampling = {}
    for n in points:
        # A process of its own, so that the peak is that of these points alone.
        sampling[str(n)] = apart(sample, n, options.shortened)
        say(f"scaling: {n:,} points in {sampling[str(n)]['seconds']:.1f} s")
    rows = ROWS // 100 if options.smoke else ROWS
    return {
        "anchors": steps,
        "points": sampling,
        "many": partitions(MANY[:1] if options.smoke else MANY),
        "table": million(rows, options),
    }


def partitions(numbers: tuple[int, ...]) -> Figures:
    """Return seconds and peak memory of the greatest process of `sample_many`, by points.

    The recipe is `fast`, which draws a hundred million points in minutes.
    """
    took: Figures = {}
    with project_copy() as project:
        kedro(project, "run", "--env", "fast", "--params", "rendering.frames=2")
        for n in numbers:
            words = ("--pipelines", "sample_many", "--params", f"n={n},many.workers=2")
            took[str(n)] = apart(_whole_process, project, "run", "--env", "fast", *words)
            say(f"scaling: {n:,} points in partitions in {took[str(n)]['seconds']:.1f} s")
            for part in project.glob("data/07_model_output/*/many/*/*.parquet"):
                part.unlink()
    return took


def million(rows: int, options: Options) -> Figures:
    """Return seconds and peak memory of whole processes that ingest, and train on, a table of `rows`."""
    parameters = ",".join(f"{name}={value}" for name, value in options.shortened.items())
    took: Figures = {"rows": rows}
    with project_copy() as project:
        turn = np.random.default_rng(0).uniform(size=rows) ** 0.5
        spiral = turn[:, None] * np.stack((np.cos(40 * turn), np.sin(40 * turn)), -1)
        np.savetxt(project / "million.csv", spiral, "%.6f", ",", header="x,y", comments="")
        # The database's first use creates its schema.
        kedro(project, "run", "--params", "shape=pi,training.steps=2,rendering.frames=2")
        for pipeline in ("ingest", "train"):
            words = ("--params", f"shape_file=million.csv,{parameters}".rstrip(","))
            took[pipeline] = apart(_whole_process, project, "run", "--pipelines", pipeline, *words)
            say(f"scaling: {pipeline} of {rows:,} rows in {took[pipeline]['seconds']:.1f} s")
    return took


def _whole_process(project: Path, *arguments: str) -> dict[str, float]:
    seconds = kedro(project, *arguments)
    # The largest child so far, in KiB; on macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e9
    return {"seconds": seconds, "peak_gb": peak}


def spiral(task: Task, n: int) -> Task:
    """Return the task with n anchors along a spiral in the place of its own."""
    import torch

    from pointillist.diffusion.density import GaussianMixture

    turn = torch.linspace(0, 1, n, dtype=torch.float64).sqrt()
    angle = 40 * turn
    anchors = 2.4 * turn[:, None] * torch.stack((angle.cos(), angle.sin()), -1)
    return replace(task, density=GaussianMixture(anchors, task.parameters.data.dot))


def milliseconds(anchors: tuple[int, ...], options: Options) -> Figures:
    """Return ms per training step for each number of anchors, taking turns."""
    from benchmarks import learning

    rounds = 2 if options.smoke else ROUNDS
    parameters = learning.read_parameters("base", {"device": "cpu", **options.shortened})
    training = parameters.training.model_copy(
        update={"steps": (rounds + 1) * STEPS_PER_ROUND, "report_every": STEPS_PER_ROUND}
    )
    task = learning.make_task(parameters.model_copy(update={"training": training}))
    runs: dict[int, Iterator[object]] = {}
    took: dict[int, list[float]] = {}
    for n in anchors:
        runs[n] = learning.reports(spiral(task, n), 0)[1]
        next(runs[n])
        took[n] = []
    for _ in range(rounds):
        for n, steps in runs.items():
            started = time.perf_counter()
            next(steps)
            took[n].append(1e3 * (time.perf_counter() - started) / STEPS_PER_ROUND)
    say(f"scaling: {', '.join(f'{min(v):.2f} ms at {n:,} anchors' for n, v in took.items())}")
    return {str(n): summary(values) for n, values in took.items()}


def sample(n: int, shortened: Mapping[str, Any]) -> dict[str, float]:
    """Draw n points by the default sampler; the denoiser's weights don't change what that costs."""
    from benchmarks import learning
    from pointillist import diffusion

    overrides = {**shortened, "device": "cpu", "sampling.n_samples": n}
    parameters = learning.read_parameters("base", overrides)
    task, sampling = learning.make_task(parameters), parameters.sampling
    denoiser = task.model.denoiser.eval()
    start = diffusion.chains.start_distribution(
        task.density, denoiser.path, sampling.start, sampling.sigma_max
    )
    generator = diffusion.devices.generator(0, "sample")
    steps = len(diffusion.chains.chain_levels(denoiser.path, sampling)) - 1
    recorder = diffusion.chains.Recorder(sampling.n_frames, steps)
    before, started = peak_memory(), time.perf_counter()
    for state in diffusion.chains.sample(denoiser, denoiser.path, start, sampling, generator):
        recorder.add(state)
    recorder.samples()
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak_gb": peak_memory(), "before_gb": before}


def report(figures: Figures) -> Iterator[str]:
    """Yield the tables."""
    first = next(iter(figures["anchors"].values()))["median"]
    yield from table(
        ("anchors", "ms per training step", "/ the first"),
        (
            (f"{int(n):,}", f"{v['median']:.2f}", f"{v['median'] / first:.2f}")
            for n, v in figures["anchors"].items()
        ),
    )
    yield from table(
        ("points", "sampling, s", "s per 1,000 points", "peak memory, GB", "of it before sampling"),
        (
            (
                f"{int(n):,}",
                f"{v['seconds']:.2f}",
                f"{1e3 * v['seconds'] / int(n):.3f}",
                f"{v['peak_gb']:.2f}",
                f"{v['before_gb']:.2f}",
            )
            for n, v in figures["points"].items()
        ),
    )
    if "many" in figures:
        yield from table(
            ("sample_many, fast, two workers: points", "whole process, s", "greatest memory, GB"),
            (
                (f"{int(n):,}", f"{v['seconds']:.1f}", f"{v['peak_gb']:.2f}")
                for n, v in figures["many"].items()
            ),
        )
    if "table" in figures:
        whole = figures["table"]
        yield from table(
            (f"a CSV of {whole['rows']:,} points", "whole process, s", "peak memory, GB"),
            (
                (
                    f"kedro run --pipelines {name}",
                    f"{whole[name]['seconds']:.2f}",
                    f"{whole[name]['peak_gb']:.2f}",
                )
                for name in ("ingest", "train")
            ),
        )
