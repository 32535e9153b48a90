"""How much sooner a recipe is as good as tiny-tiny-diffusion at the end of its training.

The preset is trained once in full, sampled by its own sampler and measured as `kedro run` measures. The
recipe, by default that of the environment `fast`, is sampled and measured as the defaults are. It wins
with the fewest steps (a whole schedule each time, no peeking into a longer one) after which its
samples are at least as good in all of off_manifold, nn95, tv and sw2, on every seed. The number is
looked for on the seeds 0, 1, … and confirmed on held-out ones, with more steps if it isn't.

Seconds run from parameters and density in hand to the trained denoiser in hand; what torch needs once
in a process is paid before. Each side uses one thread or two, whichever is faster for it. The ratio is
that of the preset's full run to the median of the recipe's; beside it, the median of ratios in which
a stretch of the preset's steps alternates with a whole training of the recipe.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.common import Figures, Options, say, summary, table

if TYPE_CHECKING:
    from benchmarks.learning import Task

TITLE = "Race against tiny_tiny_diffusion"

SHAPES = ("dino", "cat")
NAMES = ("off_manifold", "nn95", "tv", "sw2")
FEWEST_STEPS, GROWTH = 40, 1.15
"""The candidates: each number of steps is this much greater than the one before."""


def measure(options: Options) -> Figures:
    """Race on every shape."""
    shapes = SHAPES[:1] if options.smoke else SHAPES
    return {
        "recipe": options.recipe,
        "overrides": dict(options.overrides),
        "shapes": {shape: race(shape, options) for shape in shapes},
    }


def race(shape: str, options: Options) -> Figures:
    """Race on one shape."""
    from benchmarks import learning

    shared = {"shape": shape, "device": "cpu", **options.shortened}
    preset = with_best_threads("tiny_tiny_diffusion", shared)
    seed = options.held_out[0]
    denoiser, preset_seconds = learning.learn(preset, seed)
    target = learning.score(preset, denoiser, seed)
    say(f"race: {shape}: preset {preset_seconds:.1f} s, {_figures(target)}")

    recipe = with_default_sampling(
        with_best_threads(options.recipe, {**options.overrides, **shared}), shared
    )
    scores: dict[int, dict[str, float]] = {}

    def reaches(steps: int, seed: int) -> bool:
        candidate = with_steps(recipe, steps)
        scores[seed] = learning.score(candidate, learning.learn(candidate, seed)[0], seed)
        good = options.smoke or as_good(scores[seed], target)
        verdict = "reached" if good else "not yet"
        say(f"race: {shape}: {steps} steps, seed {seed}, {verdict}: {_figures(scores[seed])}")
        return good

    search, confirm = range(options.seeds), options.held_out
    steps = fewest_steps(reaches, [*search, *confirm])
    winner = with_steps(recipe, steps)
    pairs = list(alternate(preset, winner, options))
    seconds = [ours for _, ours in pairs]
    return {
        "preset": {"seconds": preset_seconds, "threads": preset.parameters.threads}
        | {name: target[name] for name in NAMES},
        "recipe": {
            "steps": steps,
            "batch_size": winner.parameters.training.batch_size,
            "seconds": summary(seconds),
            "threads": recipe.parameters.threads,
            **{name: summary(scores[s][name] for s in confirm) for name in NAMES},
        },
        "floor": {name: target[f"{name}_floor"] for name in NAMES},
        "ratio": preset_seconds / median(seconds),
        "ratio_alternated": median(preset / ours for preset, ours in pairs),
    }


def as_good(scores: Mapping[str, float], target: Mapping[str, float]) -> bool:
    """Tell whether no metric of the race is worse than the target's."""
    return all(scores[name] <= target[name] for name in NAMES)


def fewest_steps(reaches: Callable[[int, int], bool], seeds: list[int]) -> int:
    """Return the first candidate that reaches the target on all `seeds`."""
    steps = float(FEWEST_STEPS)
    while not all(reaches(round(steps), seed) for seed in seeds):
        steps *= GROWTH
        if steps > 20_000:
            raise RuntimeError("The recipe doesn't reach the preset's figures in 20,000 steps.")
    return round(steps)


def with_steps(task: Task, steps: int) -> Task:
    """Return the task with another length of training, whatever its bound, and ten reports."""
    from dataclasses import replace

    training = task.parameters.training.model_copy(
        update={"steps": steps, "report_every": max(1, steps // 10), "until": None}
    )
    return replace(task, parameters=task.parameters.model_copy(update={"training": training}))


def with_best_threads(env: str, overrides: Mapping[str, object]) -> Task:
    """Return the task with the threads, one or two, with which its steps are faster."""
    from benchmarks import learning

    seconds: dict[int, float] = {}
    for threads in (1, 2, 1, 2):
        task = learning.make_task(learning.read_parameters(env, {**overrides, "threads": threads}))
        took = learning.learn(with_steps(task, 100), 0)[1]
        seconds[threads] = min(took, seconds.get(threads, took))
    best = min(seconds, key=lambda threads: seconds[threads])
    return learning.make_task(learning.read_parameters(env, {**overrides, "threads": best}))


def with_default_sampling(task: Task, overrides: Mapping[str, object]) -> Task:
    """Return the task sampled and measured as the defaults are, whatever its environment says."""
    from dataclasses import replace

    from benchmarks import learning

    default = learning.read_parameters("base", overrides)
    groups = {"sampling": default.sampling, "evaluation": default.evaluation}
    return replace(task, parameters=task.parameters.model_copy(update=groups))


def alternate(preset: Task, winner: Task, options: Options) -> Iterator[tuple[float, float]]:
    """Yield pairs of seconds: the preset's full run by the rate of a stretch of it, the recipe's run."""
    from benchmarks import learning
    from pointillist import runtime

    training = preset.parameters.training
    _, steps = learning.reports(preset, options.held_out[0])
    done = next(steps).step
    for repeat in range(options.repeats):
        runtime.use_threads(preset.parameters.threads)
        started, before = time.perf_counter(), done
        while done < min(before + 2000, training.steps):
            done = next(steps).step
        stretch = (time.perf_counter() - started) * training.steps / max(1, done - before)
        runtime.use_threads(winner.parameters.threads)
        yield stretch, learning.learn(winner, repeat)[1]


def _figures(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {scores[name]:.3f}" for name in NAMES)


def report(figures: Figures) -> Iterator[str]:
    """Yield what both sides reach, and the ratio of their times."""
    changed = "".join(f", {name}={value}" for name, value in figures["overrides"].items())
    yield (
        f"The recipe: `{figures['recipe']}`{changed}; its figures are the worst of the held-out seeds. "
        "Seconds of training: the preset's whole run, the recipe's median [least, greatest]. The "
        "method stands at the head of [race.py](race.py)."
    )
    yield ""
    rows = []
    for shape, found in figures["shapes"].items():
        preset, recipe, floor = found["preset"], found["recipe"], found["floor"]
        took = recipe["seconds"]
        rows.append(
            [f"{shape}, preset", f"{preset['seconds']:.1f}", str(preset["threads"]), ""]
            + [f"{preset[name]:.3f}" for name in NAMES]
        )
        rows.append(
            [
                f"{shape}, recipe",
                f"{took['median']:.3f} [{took['min']:.3f}, {took['max']:.3f}]",
                str(recipe["threads"]),
                f"{recipe['steps']} of {recipe['batch_size']}",
            ]
            + [f"{recipe[name]['max']:.3f}" for name in NAMES]
        )
        rows.append([f"{shape}, floor", "", "", "", *(f"{floor[name]:.3f}" for name in NAMES)])
    yield from table(("", "s", "threads", "steps", *NAMES), rows)
    yield from table(
        ("shape", "preset's seconds / recipe's", "alternated"),
        (
            (shape, f"{found['ratio']:.0f}", f"{found['ratio_alternated']:.0f}")
            for shape, found in figures["shapes"].items()
        ),
    )
