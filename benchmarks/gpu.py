"""What an accelerator makes of it: training, sampling, evaluation and ensembles, on one CUDA device.

    python -m benchmarks gpu --out figures.json      there; it needs neither Kedro nor MLflow
    python -m benchmarks gpu --taken figures.json    here, to put what was measured there into the record

Times are wall seconds in this process, after a warm-up that loads the device's libraries, with the
device waited for at both ends. Bounds are taken on the model afterwards, with draws of their own; of many
models with a sixteenth of them, since the exact side of a bound is the host's work. An ensemble's time is
that of `ensembles.train_ensemble`, from untrained networks to last weights.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import mean
from typing import TYPE_CHECKING, Any

from benchmarks.common import HELD_OUT, SMOKE, Figures, Options, say, table

if TYPE_CHECKING:
    import torch

    from benchmarks.learning import Task
    from pointillist.diffusion.denoiser import Denoiser

TITLE = "On a GPU"

SEEDS = 8
POINTS = 1_000_000
GPU = {"training.batch_size": 8192, "sampling.chunk_size": 1_048_576}
"""What conf/gpu changes, but for the device."""
FEW = {"evaluation.noise_levels": 64, "evaluation.risk_draws": 256}
FIXED = {**FEW, "training.until": None, "training.steps": 1200}
"""Of trainings beside ensembles: as many steps whatever their bounds, and bounds of fewer draws."""
_SECONDS, _MEMORY = ("seconds", ".2f"), ("peak memory, GB", ".2f")
COLUMNS: dict[str, dict[str, tuple[str, str]]] = {
    "training": {"seconds": _SECONDS, "nats": ("kl_bound_nats", ".4f"), "gigabytes": _MEMORY},
    "stages": {"seconds": _SECONDS, "gigabytes": _MEMORY},
    "ensembles": {
        "seconds": _SECONDS,
        "times one": ("times one", ".2f"),
        "nats": ("kl_bound_nats, mean", ".4f"),
        "gigabytes": _MEMORY,
    },
}
"""Section -> figure -> its title and format."""

Rows = Iterator[tuple[str, Figures]]
RECIPES: dict[str, dict[str, Any]] = {"defaults": {}, "--env gpu": GPU}


def measure(options: Options) -> Figures:
    """Return the figures of every part, with the device's name."""
    import torch

    from pointillist.diffusion import devices

    where = devices.resolve(options.device)
    started = time.perf_counter()
    figures: Figures = {
        "device": _name(where),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }
    warm_up = _tasks(["dino"], SMOKE)
    _learn(warm_up[0], where)
    _learn_ensemble(2 * warm_up, range(2), where)
    for section, part in (
        ("training", _trainings),
        ("stages", _million),
        ("stages", _evaluation),
        ("ensembles", _seeds),
        ("ensembles", _shapes),
    ):
        for name, row in part(options, where):
            figures.setdefault(section, {})[name] = row
            say(f"gpu: {time.perf_counter() - started:.0f} s: {name}: {row['seconds']:.2f} s")
    return figures


def report(figures: Figures) -> Iterator[str]:
    """Yield what was measured, as tables."""
    yield f"{figures['device']}, torch {figures['torch']}, CUDA {figures['cuda']}."
    yield ""
    for section, columns in COLUMNS.items():
        yield from table(
            (section, *(title for title, _ in columns.values())),
            (
                (name, *(f"{row[key]:{form}}" for key, (_, form) in columns.items()))
                for name, row in figures[section].items()
            ),
        )


def _trainings(options: Options, where: torch.device) -> Rows:
    """Train two shapes as the defaults say, and as the environment for GPUs does."""
    for recipe, overrides in RECIPES.items():
        for task in _tasks(["dino", "SDS"], {**overrides, **options.shortened}):
            timed = _timed(partial(_learn, task, where), where)
            (nats,) = _bounds([task], [timed.pop("result")])
            yield f"{task.parameters.shape}, {recipe}", {**timed, "nats": nats}


def _million(options: Options, where: torch.device) -> Rows:
    """Sample with the default chain, in chunks of the defaults and of the environment for GPUs."""
    from pointillist import diffusion

    n = POINTS // 1000 if options.smoke else POINTS
    for recipe, overrides in RECIPES.items():
        (task,) = _tasks(["dino"], {**options.shortened, **overrides, "sampling.n_samples": n})
        generator = diffusion.devices.generator(0, "sample", where)
        denoiser = task.model.denoiser.to(where).requires_grad_(False)
        chain = partial(
            diffusion.chains.draw, denoiser, task.density, task.parameters.sampling, generator
        )
        timed = _timed(chain, where)
        del timed["result"]
        yield f"{n:,} points of dino, {recipe}", timed


def _evaluation(options: Options, where: torch.device) -> Rows:
    """Sample and evaluate as `kedro run` does."""
    from pointillist import diffusion, models

    (task,) = _tasks(["dino"], options.shortened)
    model = replace(task.model, denoiser=_learn(task, where))
    sampling, evaluation = task.parameters.sampling, task.parameters.evaluation
    generator = diffusion.devices.generator(0, "sample", where)
    samples = model.original(
        diffusion.chains.draw(model.denoiser, task.density, sampling, generator)
    )
    timed = _timed(
        lambda: models.measures.measure(model, samples, sampling.start, evaluation, 0, str(where)),
        where,
    )
    metrics, _ = timed.pop("result")
    yield "evaluation of dino, defaults", {**timed, "metrics": metrics}


def _seeds(options: Options, where: torch.device) -> Rows:
    """Train a sweep's worth of models of one shape, one after the other and as one ensemble."""
    (task,) = _tasks(["dino"], {**FIXED, **options.shortened})
    seeds = range(HELD_OUT, HELD_OUT + (2 if options.smoke else SEEDS))
    tasks = [task] * len(seeds)
    one = _timed(partial(_learn, task, where), where)["seconds"]
    for name, learn in (
        ("one after the other", lambda: [_learn(task, where, seed) for seed in seeds]),
        ("as one ensemble", lambda: _learn_ensemble(tasks, list(seeds), where)),
    ):
        yield f"{len(seeds)} seeds of dino, {name}", _many(learn, tasks, one, where)


def _shapes(options: Options, where: torch.device) -> Rows:
    """Train all of Data Morph's shapes as one ensemble, against the time of one."""
    from pointillist.shapes.data_morph import STARTERS

    for recipe, overrides in RECIPES.items():
        tasks = _tasks(
            STARTERS[:3] if options.smoke else STARTERS,
            {**FIXED, **overrides, **options.shortened},
        )
        # The shape with the most points is the slowest of them.
        largest = max(tasks, key=lambda task: len(task.density.anchors))
        one = _timed(partial(_learn, largest, where), where)["seconds"]
        learn = partial(_learn_ensemble, tasks, [HELD_OUT] * len(tasks), where)
        yield f"{len(tasks)} shapes as one ensemble, {recipe}", _many(learn, tasks, one, where)


def _many(
    learn: Callable[[], Sequence[Denoiser]], tasks: Sequence[Task], one: float, where: torch.device
) -> Figures:
    timed = _timed(learn, where)
    nats = _bounds(tasks, timed.pop("result"))
    return {**timed, "times one": timed["seconds"] / one, "nats": mean(nats), "each": nats}


def _tasks(shapes: Sequence[str], overrides: Mapping[str, Any]) -> list[Task]:
    from benchmarks.learning import make_task
    from pointillist.groups import nested
    from pointillist.parameters import validate

    # A device leaves the host's threads free for the exact side of the bounds.
    defaults = {"threads": os.cpu_count(), **overrides}
    return [make_task(validate(nested({**defaults, "shape": shape}))) for shape in shapes]


def _learn(task: Task, where: torch.device, seed: int = HELD_OUT) -> Denoiser:
    from benchmarks import learning

    return learning.learn(task, seed, device=where)[0]


def _learn_ensemble(
    tasks: Sequence[Task], seeds: Sequence[int], where: torch.device
) -> list[Denoiser]:
    from benchmarks import learning

    return learning.learn_ensemble(tasks, seeds, where)


def _bounds(tasks: Sequence[Task], denoisers: Sequence[Denoiser]) -> list[float]:
    from benchmarks import learning

    pairs = zip(tasks, denoisers, strict=True)
    return [learning.bound(task, denoiser, HELD_OUT)[0] for task, denoiser in pairs]


def _timed(work: Callable[[], Any], where: torch.device) -> Figures:
    """Return seconds and, of a CUDA device, peak memory in GB, and what `work` returned."""
    import torch

    cuda = where.type == "cuda"
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    result = work()
    if cuda:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    peak = torch.cuda.max_memory_allocated() / 1e9 if cuda else 0.0
    return {"seconds": seconds, "gigabytes": peak, "result": result}


def _name(where: torch.device) -> str:
    import torch

    return torch.cuda.get_device_name(where) if where.type == "cuda" else str(where)
