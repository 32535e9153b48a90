"""When does a denoiser begin to repeat its training points, and what keeps it from that?

Sampled targets know the points alone. So along one training, for more and more points: -E log q over
fresh draws of the formula that the points come from, less its entropy; the loss on the training points;
and the share of samples that repeat one of them, beside that of fresh draws of the formula. Exact
targets learn the truth that they are given, dots of `data.bandwidth`: dots narrower than the points are
apart, and those of `data.bandwidth=auto`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from benchmarks.common import PROJECT, Figures, Options, say, table

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from benchmarks.learning import Task
    from pointillist.diffusion.denoiser import Denoiser

TITLE = "Does it memorise?"

SEED = 100
NUMBERS = (100, 300, 1000, 3000, 10_000)
SAMPLED: dict[str, Any] = {
    "training.target": "sample",
    "training.steps": 3000,
    # Next to nothing around a point: what lies between them is the network's own.
    "data.bandwidth": 1e-3,
    "network.bandwidth": 0,
    # By default it follows the points' spacing: here one network for every number of them.
    "network.input_bandwidth": 20,
}
WIDTHS: dict[str, Any] = {"0.01": 0.01, "auto": "auto"}
EXACT: dict[str, Any] = {"training.target": "posterior", "training.steps": 1000}
EXACT_NUMBER = 1000
_SHARED: dict[str, Any] = {
    "shape": "moons",
    "seed": SEED,
    "source.seed": SEED,
    "training.until": None,
    "training.batch_size": 512,
    "training.report_every": 10,
    "sampling.n_samples": 2000,
}
_MOMENTS, _FRESH, _LOSS_BATCHES = 14, 512, 32


def measure(options: Options) -> Figures:
    """Return, by number of points and by width of the dots, what was measured along a training."""
    numbers = NUMBERS[:2] if options.smoke else NUMBERS
    sampled, exact, clouds = {}, {}, {}
    for n in numbers:
        sampled[str(n)], _ = _along({**SAMPLED, "source.sampled": n, **options.shortened})
        say(f"memorising: {n:,} points: {_words(sampled[str(n)])}")
    for name, width in WIDTHS.items():
        given = {**EXACT, "source.sampled": EXACT_NUMBER, "data.bandwidth": width}
        exact[name], clouds[name] = _along({**given, **options.shortened})
        say(f"memorising: data.bandwidth={name}: {_words(exact[name])}")
    figures = {"seed": SEED, "sampled": sampled, "exact": exact}
    if not options.smoke:
        from benchmarks import memorising_pictures

        memorising_pictures.draw(figures, clouds, PROJECT / "docs" / "pictures")
    return figures


def _along(overrides: dict[str, Any]) -> tuple[Figures, np.ndarray]:
    """Train once; return what was measured at some steps, and points and last samples (2, n, 2)."""
    import torch

    from benchmarks import learning, truth
    from pointillist import diffusion

    task = learning.make_task(learning.read_parameters("base", {**_SHARED, **overrides}))
    training, points = task.parameters.training, task.density.anchors
    fresh, logs = truth.fresh_draws(task, task.parameters.sampling.n_samples, SEED)
    moments = diffusion.training.snapshot_steps(training, _MOMENTS)
    denoiser, steps = learning.reports(task, SEED)
    kept = {r.step: r.average.clone() for r in steps if r.step in moments}
    denoiser.eval().requires_grad_(False)
    weights = diffusion.optimizers.FlatWeights.of(denoiser)
    rows = []
    for step, average in kept.items():
        with weights.replaced(average):
            samples = _samples(task, denoiser)
            beyond = logs[:_FRESH] - learning.log_prob(task, denoiser, fresh[:_FRESH])
            rows.append(
                {
                    "step": step,
                    "nats": beyond.mean().item(),
                    "nats_error": (beyond.std() / len(beyond) ** 0.5).item(),
                    "loss": _loss(task, denoiser),
                    "memorised": diffusion.metrics.share_memorised(samples, points),
                }
            )
    share = diffusion.metrics.share_memorised(fresh, points)
    of_truth, _ = task.density.sample(len(fresh), diffusion.devices.generator(SEED, "truth"))
    figures = {
        "n": len(points),
        "bandwidth": task.density.bandwidth,
        "rows": rows,
        "fresh": share,
        "truth": diffusion.metrics.share_memorised(of_truth, points),
    }
    return figures, torch.stack((of_truth, samples)).numpy()


def _samples(task: Task, denoiser: Denoiser) -> Tensor:
    from pointillist import diffusion

    generator = diffusion.devices.generator(SEED, "sample")
    drawn = diffusion.chains.draw(denoiser, task.density, task.parameters.sampling, generator)
    return drawn.double()


def _loss(task: Task, denoiser: Denoiser) -> float:
    """Return the loss on the training points, by the same draws at every step and for every number."""
    from itertools import islice
    from statistics import mean

    import torch

    from benchmarks.learning import DTYPE
    from pointillist import diffusion

    generator = diffusion.devices.generator(SEED, "loss")
    density = task.density.to("cpu", DTYPE)
    batches = diffusion.batches.Batches(denoiser, density, task.parameters.training, generator)
    with torch.no_grad():
        return mean(
            diffusion.objectives.loss(denoiser, batch).item()
            for batch in islice(batches, _LOSS_BATCHES)
        )


def best(run: Figures) -> dict[str, float]:
    """Return what was measured where fresh draws of the formula were likeliest."""
    found: dict[str, float] = min(run["rows"], key=lambda row: row["nats"])
    return found


def _words(run: Figures) -> str:
    least, last = best(run), run["rows"][-1]
    return (
        f"{least['nats']:.3f} nats at step {least['step']}, {last['nats']:.3f} at {last['step']}; "
        f"memorised {least['memorised']:.3f}, {last['memorised']:.3f} (fresh {run['fresh']:.3f})"
    )


def report(figures: Figures) -> Iterator[str]:
    """Yield a row for each number of points, then one for each width."""
    sampled, exact = figures["sampled"], figures["exact"]
    steps = next(iter(sampled.values()))["rows"][-1]["step"]
    yield (
        f"Draws of moons, seed {figures['seed']}. nats: -E log q over {_FRESH} fresh draws less the entropy, "
        "± its standard error. memorised: share of samples nearer to a training point than to a third "
        "of the way to the second nearest; of fresh draws of the formula: its floor."
    )
    yield ""
    yield "![Likelihood, loss and share memorised along training](../docs/pictures/memorising.png)"
    yield ""
    head = ("nats", "training loss", "memorised")
    yield from table(
        (
            "sampled targets: points",
            "best step",
            *head,
            *(f"{name} at step {steps:,}" for name in head),
            "fresh draws memorised",
        ),
        (
            (f"{run['n']:,}", f"{best(run)['step']:,}", *_cells(best(run)), *_cells(run["rows"][-1]))
            + (f"{run['fresh']:.3f}",)
            for run in sampled.values()
        ),
    )
    yield "![Samples of exact targets, by width of the dots](../docs/pictures/memorising_exact.png)"
    yield ""
    yield from table(
        (
            f"exact targets, {EXACT_NUMBER:,} points: data.bandwidth",
            "memorised at step",
            "at step",
            "nats there",
            "the truth learnt",
            "fresh draws",
        ),
        (
            (
                name if name != "auto" else f"auto: {run['bandwidth']:.3f}",
                f"{run['rows'][0]['memorised']:.3f} at {run['rows'][0]['step']}",
                f"{run['rows'][-1]['memorised']:.3f} at {run['rows'][-1]['step']:,}",
                _nats(run["rows"][-1]),
                f"{run['truth']:.3f}",
                f"{run['fresh']:.3f}",
            )
            for name, run in exact.items()
        ),
    )


def _cells(row: dict[str, float]) -> tuple[str, str, str]:
    return _nats(row), f"{row['loss']:.4f}", f"{row['memorised']:.3f}"


def _nats(row: dict[str, float]) -> str:
    return f"{row['nats']:.3f} ± {row['nats_error']:.3f}"
