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
    from torch import Tensor

    from benchmarks.learning import Task
    from benchmarks.memorising_pictures import Clouds
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
    "network.input_bandwidth": 10,
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
_EARLY = 3  # of the moments: before the trainings part
_BEGUN = 0.03  # three standard errors of the difference of two shares near 1/9


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


def _along(overrides: dict[str, Any]) -> tuple[Figures, Clouds]:
    """Train once; return what was measured at some steps, and the points that there were at the end."""
    from benchmarks import learning, truth
    from benchmarks.memorising_pictures import Clouds
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
    return figures, Clouds(*(cloud.numpy() for cloud in (points, samples, fresh)))


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

    from pointillist import diffusion

    generator = diffusion.devices.generator(SEED, "loss")
    density = task.density.to("cpu", diffusion.denoiser.DTYPE)
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
    rows = next(iter(sampled.values()))["rows"]
    early, last = rows[min(_EARLY, len(rows) - 1)]["step"], rows[-1]["step"]
    last_exact = next(iter(exact.values()))["rows"][-1]["step"]
    yield (
        f"Draws of moons, seed {figures['seed']}. nats: -E log q over {_FRESH} fresh draws less the "
        "formula's entropy, ± its standard error. memorised: share of samples less than a third as far "
        "from a training point as from the second nearest; its floor is that of fresh draws. Memorising "
        f"begins where it exceeds the floor by {_BEGUN}."
    )
    yield ""
    yield "![Likelihood, loss and share memorised along training](../docs/pictures/memorising.png)"
    yield ""
    yield from table(
        (
            "sampled targets: points",
            f"nats at step {early}",
            "least nats",
            "at step",
            f"nats at {last:,}",
            f"loss at step {early}",
            f"at {last:,}",
            "memorising begins at step",
            f"memorised at {last:,}",
            "floor",
        ),
        (_row(run) for run in sampled.values()),
    )
    yield "![Samples of exact targets, by width of the dots](../docs/pictures/memorising_exact.png)"
    yield ""
    yield from table(
        (
            f"exact targets, {EXACT_NUMBER:,} points: data.bandwidth",
            "least nats",
            "at step",
            f"nats at {last_exact:,}",
            "memorising begins at step",
            f"memorised at {last_exact:,}",
            "by the truth learnt",
            "floor",
        ),
        (
            (
                name if name != "auto" else f"auto: {run['bandwidth']:.3f}",
                _nats(best(run)),
                f"{best(run)['step']:,}",
                _nats(run["rows"][-1]),
                _begins(run),
                f"{run['rows'][-1]['memorised']:.3f}",
                f"{run['truth']:.3f}",
                f"{run['fresh']:.3f}",
            )
            for name, run in exact.items()
        ),
    )


def _row(run: Figures) -> tuple[str, ...]:
    rows, least = run["rows"], best(run)
    early, last = rows[min(_EARLY, len(rows) - 1)], rows[-1]
    return (
        f"{run['n']:,}",
        _nats(early),
        _nats(least),
        f"{least['step']:,}",
        _nats(last),
        f"{early['loss']:.3f}",
        f"{last['loss']:.3f}",
        _begins(run),
        f"{last['memorised']:.3f}",
        f"{run['fresh']:.3f}",
    )


def _begins(run: Figures) -> str:
    """Say from which step on more samples repeat a point than chance explains."""
    over = [row["step"] for row in run["rows"] if row["memorised"] > run["fresh"] + _BEGUN]
    return f"{over[0]:,}" if over else "not yet"


def _nats(row: dict[str, float]) -> str:
    return f"{row['nats']:.3f} ± {row['nats_error']:.3f}"
