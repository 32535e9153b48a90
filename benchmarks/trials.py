"""`make trials`: the table of what was tried before the default recipe was what it is.

A trial is the default recipe with a few parameters changed, or with another training function, trained
on two shapes and the seeds 0, 1, …, which are not those that the benchmark reports on. Every training
makes 1,200 steps, whatever its bound. Where a change makes a step cheaper or dearer, the trial gets as
many steps as fit into the default's time. All run on one thread, so that groups can run side by side. A
group keeps the default that it was measured beside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import mean
from typing import TYPE_CHECKING, Any

from benchmarks import record
from benchmarks.common import FOLDER, Figures, Options, say, table
from benchmarks.race import with_steps

if TYPE_CHECKING:
    from benchmarks.learning import Task, Train

SHAPES = ("dino", "sheep")
"""One shape of few points and one of many."""
STEPS = 1200
"""What a trial has, whatever its bound."""


@dataclass(frozen=True)
class Trial:
    """A variation of the default recipe."""

    group: str
    name: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Parameters by dotted name."""
    equal_time: bool = False
    """Whether it gets as many steps as fit into the default's time, rather than the default's steps."""
    experiment: str | None = None
    """What of experiments.py takes the place of `training.train`."""


def _same_time(group: str, parameter: str, *values: Any) -> Iterator[Trial]:
    for value in values:
        name = f"{parameter.rpartition('.')[2]} {value}"
        yield Trial(group, name, {parameter: value}, equal_time=True)


def _same_steps(group: str, parameter: str, *values: Any) -> Iterator[Trial]:
    for value in values:
        yield Trial(group, f"{parameter.rpartition('.')[2]} {value}", {parameter: value})


ADAM = {"training.optimizer": "adam"}

TRIALS: tuple[Trial, ...] = (
    *_same_steps("noise levels and draws", "training.noise_exponent", 0.0, 1.2),
    *_same_steps("noise levels and draws", "training.noise_spread", 1.0, 1.5),
    Trial("noise levels and draws", "drawn by measured error", {}, experiment="by_error"),
    Trial("target and weight", "drawn alike, counting alike", {}, experiment="unweighted"),
    *_same_steps("target and weight", "training.weighting", "likelihood"),
    *_same_time("target and weight", "training.target", "sample"),
    *_same_steps("preconditioning", "network.bandwidth", 0.0),
    *_same_steps("preconditioning", "network.prediction", "v"),
    *_same_steps("Fourier features", "network.input_embedding", "fourier"),
    *_same_steps("Fourier features", "network.input_bandwidth", 5.0, 40.0),
    *_same_time("Fourier features", "network.input_features", 128, 384),
    *_same_time("width and depth", "network.width", 96, 192),
    *_same_time("width and depth", "network.depth", 2, 5),
    *_same_steps("width and depth", "network.residual", False),
    *_same_steps("steps", "training.steps", 600, 800, 2400),
    *_same_time("activation", "network.activation", "gelu", "relu"),
    *_same_time("batch size", "training.batch_size", 512, 2048),
    Trial("batch size", "512, then 1024, then 2048", {}, True, "growing_batches"),
    *_same_time("optimizer", "training.optimizer", "adam"),
    Trial("optimizer", "SOAP and Adam", {}, equal_time=True, experiment="soap"),
    *_same_steps("learning rate", "training.learning_rate", 5e-3, 1e-2),
    *_same_steps("learning rate", "training.muon_learning_rate", 0.025, 0.05),
    *_same_steps("learning rate", "training.decay_steps", 100, 400, None),
    Trial("learning rate", "a line to 0, planned for these steps", {}, experiment="planned"),
    *_same_steps("average of the weights", "training.averaging", None, 3.0, 12.0),
    *_same_steps("machine", "threads", 2),
    Trial("machine", "compiled network", {}, experiment="compiled"),
    Trial("machine", "hidden layers in bfloat16", {}, experiment="bfloat16_hidden"),
    Trial("implementations of Adam", "ours, flat", ADAM),
    Trial("implementations of Adam", "torch, foreach", ADAM, experiment="adam_foreach"),
    Trial("implementations of Adam", "torch, fused", ADAM, experiment="adam_fused"),
)


def run(options: Options, groups: tuple[str, ...]) -> None:
    """Make the trials of the groups named, or all, and rewrite trials.md and trials.json."""
    chosen = [trial for trial in TRIALS if not groups or trial.group in groups]
    path = FOLDER / "trials.json"
    for group in dict.fromkeys(trial.group for trial in chosen):
        rows: Figures = {}
        for trial in (Trial(group, "the default"), *(t for t in chosen if t.group == group)):
            try:
                rows[trial.name] = {shape: attempt(trial, shape, options) for shape in SHAPES}
            except Exception as error:
                say(f"trials: {group}: {trial.name} failed: {error}")
                rows[trial.name] = {"failed": str(error).splitlines()[0]}
            else:
                say(f"trials: {group}: {trial.name}: {json.dumps(rows[trial.name])}")
        found = record.merge(record.read(path), group, rows)
        if options.smoke:
            print("\n".join(report({group: rows})))
        else:
            record.write(path, found)
            path.with_suffix(".md").write_text("\n".join(report(found)) + "\n")


def attempt(trial: Trial, shape: str, options: Options) -> Figures:
    """Train one trial on one shape; return steps, and means over seeds of seconds and bound."""
    from benchmarks import learning
    from pointillist import runtime

    shared: dict[str, Any] = {"threads": 1, "shape": shape, "device": "cpu"}
    shared |= {"training.until": None, "training.steps": STEPS}
    shared |= {**options.overrides, **options.shortened}
    task = learning.make_task(learning.read_parameters("base", {**shared, **trial.overrides}))
    train = _training_of(trial)
    if trial.equal_time:
        default = learning.make_task(learning.read_parameters("base", shared))
        task = _with_equal_time(task, train, default)
    runtime.use_threads(task.parameters.threads)
    if trial.experiment != "compiled":
        # What torch needs once in a process is no trial's own.
        learning.learn(with_steps(task, 2), 0, train)
    seconds, nats = [], []
    for seed in range(options.seeds):
        denoiser, took = learning.learn(task, seed, train)
        seconds.append(took)
        nats.append(learning.bound(task, denoiser, seed)[0])
    return {
        "steps": task.parameters.training.steps,
        "seconds": mean(seconds),
        "kl_bound_nats": {"mean": mean(nats), "min": min(nats), "max": max(nats)},
    }


def _training_of(trial: Trial) -> Train:
    from benchmarks import experiments
    from pointillist.diffusion import training

    return {
        None: training.train,
        "compiled": experiments.compiled,
        "bfloat16_hidden": experiments.bfloat16_hidden,
        "soap": experiments.soap,
        "by_error": experiments.by_error,
        "unweighted": experiments.unweighted,
        "growing_batches": experiments.growing_batches,
        "planned": experiments.planned,
        "adam_foreach": experiments.torch_adam(foreach=True),
        "adam_fused": experiments.torch_adam(fused=True),
    }[trial.experiment]


def _with_equal_time(task: Task, train: Train, default: Task) -> Task:
    """Give the task the steps that fit into the default's time, by turns of a few steps of both."""
    from benchmarks import learning
    from pointillist.diffusion.training import train as default_train

    ours, theirs = [], []
    for _ in range(3):
        theirs.append(learning.learn(with_steps(default, 50), 0, default_train)[1])
        ours.append(learning.learn(with_steps(task, 50), 0, train)[1])
    steps = round(default.parameters.training.steps * min(theirs) / min(ours))
    return with_steps(task, max(1, steps))


def report(found: Mapping[str, Figures]) -> Iterator[str]:
    """Yield the lines of trials.md."""
    yield "# Trials"
    yield ""
    yield (
        "Written by `make trials` (how: at the head of [trials.py](trials.py)). kl_bound_nats: mean "
        "[least, greatest] over seeds. Seconds compare within a group: its default was trained beside it."
    )
    yield ""
    header = [f"{shape}: {what}" for shape in SHAPES for what in ("steps", "s", "kl_bound_nats")]
    for group, rows in found.items():
        yield f"## {group[0].upper()}{group[1:]}"
        yield ""
        yield from table(("", *header), (list(_cells(name, row)) for name, row in rows.items()))


def _cells(name: str, row: Figures) -> Iterator[str]:
    yield name
    for shape in SHAPES:
        if shape not in row:
            yield from ("", "", f"failed: {row['failed']}")
            continue
        nats = row[shape]["kl_bound_nats"]
        yield str(row[shape]["steps"])
        yield f"{row[shape]['seconds']:.2f}"
        yield f"{nats['mean']:.4f} [{nats['min']:.4f}, {nats['max']:.4f}]"
