"""How much of the machine a training step and sampling use.

Floating-point operations of matrix products (multiply and add count as two) are counted by torch's
FlopCounterMode, which sees every product that runs: forward, backward, optimizer, and the one product
in the exact target (responsibilities times anchors; its softmax is none). The machine's best is a
float32 matrix product on the same threads, the fastest over sizes and rounds. Ours and the machine's take
turns within one run.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.common import Figures, Options, say, summary, table

if TYPE_CHECKING:
    from benchmarks.learning import Task

TITLE = "Use of the machine"

SIZES = (256, 512, 1024, 2048)
ROUNDS = 15
STEPS_PER_ROUND = 40
SAMPLES = 100_000
PHASES = {
    ("~", "<built-in method builtins.next>"): "targets",
    ("objectives.py", "loss_and_gradient"): "forward and backward",
    ("runtime.py", "parallel"): "optimizer",
}
"""What the functions that the training loop calls are, in words, by file and name."""


def measure(options: Options) -> Figures:
    """Return rates in GFLOP/s, their shares of the machine's best, and the split of a step's time."""
    from benchmarks import learning

    parameters = learning.read_parameters("base", {"device": "cpu", **options.shortened})
    task = learning.make_task(parameters)
    rounds, n = (3, 1_000) if options.smoke else (ROUNDS, SAMPLES)
    step, sampling = step_flops(task), sampling_flops(task, n)
    steps = steps_by_turns(task, rounds)
    say(f"flops: {step / 1e6:.0f} MFLOP in {1e3 * median(s for s, _ in steps):.2f} ms a step")
    samples = sampling_by_turns(task, n, 2 if options.smoke else 5)
    return {
        "threads": parameters.threads,
        "training step": shares(step, steps)
        | {"milliseconds": summary(1e3 * seconds for seconds, _ in steps)},
        f"sampling, n = {n:,}": shares(sampling, samples),
        "split": split(task),
        "operators": operators(task),
    }


def shares(flops: float, turns: list[tuple[float, float]]) -> Figures:
    """Return GFLOP/s of ours (median) and of the machine (greatest), and their ratio."""
    rates = [flops / seconds / 1e9 for seconds, _ in turns]
    best = max(machine for _, machine in turns)
    return {
        "mflop": flops / 1e6,
        "gflops": summary(rates),
        "machine_gflops": best,
        "share": median(rates) / best,
    }


def machine_gflops() -> float:
    """Return the rate of the fastest of a few square matrix products, on every thread at once."""
    import torch

    from pointillist import runtime

    turns = range(runtime.threads())
    return sum(runtime.parallel(lambda _: _fastest_product(), turns, torch.device("cpu")))


def _fastest_product() -> float:
    import torch

    rates = []
    for size in SIZES:
        a, b = torch.rand(size, size), torch.rand(size, size)
        c = torch.empty(size, size)
        torch.mm(a, b, out=c)
        repeats = max(1, 2048 // size)
        started = time.perf_counter()
        for _ in range(repeats):
            torch.mm(a, b, out=c)
        rates.append(2 * size**3 * repeats / (time.perf_counter() - started) / 1e9)
    return max(rates)


def _steps(task: Task, steps: int, report_every: int) -> Iterator[Any]:
    """Return the iterator that trains for `steps` steps."""
    from dataclasses import replace

    from benchmarks import learning

    training = task.parameters.training.model_copy(
        update={"steps": steps, "report_every": report_every, "until": None}
    )
    parameters = task.parameters.model_copy(update={"training": training})
    return learning.reports(replace(task, parameters=parameters), 0)[1]


def step_flops(task: Task) -> int:
    """Count one step: three less two, so that what surrounds the steps cancels."""
    return _count(lambda: list(_steps(task, 3, 3))) - _count(lambda: list(_steps(task, 2, 2)))


def sampling_flops(task: Task, n: int) -> int:
    """Count the matrix products of one chain of `_chain`."""
    return _count(lambda: _chain(task, n))


def _count(run: Callable[[], object]) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    from pointillist import runtime
    from pointillist.diffusion.fast.calls import one_by_one

    threads = runtime.threads()
    runtime.use_threads(1)  # a counter sees its own thread
    with one_by_one(), FlopCounterMode(display=False) as counter:
        run()
    runtime.use_threads(threads)
    return int(counter.get_total_flops())


def _chain(task: Task, n: int) -> None:
    """Draw n samples as the recipe says: what a step costs depends on its noise."""
    from pointillist import diffusion

    sampling = task.parameters.sampling.model_copy(update={"n_samples": n})
    denoiser = task.model.denoiser.eval()
    start = diffusion.chains.start_distribution(task.density, denoiser.path, sampling.start)
    generator = diffusion.devices.generator(0, "sample")
    for _ in diffusion.chains.sample(denoiser, denoiser.path, start, sampling, generator):
        pass


def steps_by_turns(task: Task, rounds: int) -> list[tuple[float, float]]:
    """Return for each round seconds per training step and the machine's GFLOP/s."""
    reports = _steps(task, (rounds + 1) * STEPS_PER_ROUND, STEPS_PER_ROUND)
    next(reports)
    turns = []
    for _ in range(rounds):
        started = time.perf_counter()
        next(reports)
        seconds = (time.perf_counter() - started) / STEPS_PER_ROUND
        turns.append((seconds, machine_gflops()))
    return turns


def sampling_by_turns(task: Task, n: int, rounds: int) -> list[tuple[float, float]]:
    """Return for each round seconds per chain and the machine's GFLOP/s."""
    _chain(task, n)
    turns = []
    for _ in range(rounds):
        started = time.perf_counter()
        _chain(task, n)
        turns.append((time.perf_counter() - started, machine_gflops()))
    return turns


def split(task: Task, steps: int = 200) -> dict[str, float]:
    """Return the share of a step's time in each function that the training loop calls."""
    reports = _steps(task, steps + 10, steps + 10)
    profile = cProfile.Profile()
    profile.enable()
    for _ in reports:
        pass
    profile.disable()
    stats: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    (loop,) = (key for key in stats if key[0].endswith("training.py") and key[2] == "train")
    total = stats[loop][3]
    shares: dict[str, float] = {}
    for (file, _, name), (*_, callers) in stats.items():
        if loop in callers:
            phase = PHASES.get((Path(file).name, name), "the rest")
            shares[phase] = shares.get(phase, 0.0) + callers[loop][3] / total
    shares.pop("the rest", None)
    return shares | {"the rest": 1 - sum(shares.values())}


def operators(task: Task, steps: int = 100, most: int = 12) -> dict[str, float]:
    """Return the share of the operators' time that the costliest operators take by themselves."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in _steps(task, steps, steps):
            pass
    events = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return {event.key: event.self_cpu_time_total / total for event in events[:most]}


def report(figures: Figures) -> Iterator[str]:
    """Yield the shares, the split and the operators."""
    yield (
        f"{figures['threads']} threads, float32. Matrix FLOP/s: ours the median, the machine's the best; "
        "how they are counted stands at the head of [flops.py](flops.py)."
    )
    yield ""
    rows = []
    for name, found in figures.items():
        if isinstance(found, dict) and "share" in found:
            ours, best = found["gflops"]["median"], found["machine_gflops"]
            rows.append([name, f"{ours:.0f}", f"{best:.0f}", f"{found['share']:.2f}"])
    yield from table(("", "ours, GFLOP/s", "machine, GFLOP/s", "share"), rows)
    took = figures["training step"]["milliseconds"]
    yield f"A training step takes {took['median']:.2f} ms [{took['min']:.2f}, {took['max']:.2f}]:"
    yield ""
    yield from table(
        ("part of a step", "share of its time"),
        ((name, f"{100 * value:.0f} %") for name, value in figures["split"].items()),
    )
    yield from table(
        ("operator", "share of all operators' own time"),
        ((f"`{name}`", f"{100 * value:.0f} %") for name, value in figures["operators"].items()),
    )
