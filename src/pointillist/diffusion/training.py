"""The training loop, as a generator: it knows nothing of files, progress bars or MLflow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pointillist.diffusion import objectives
from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.optimizers import FlatWeights, make_updates
from pointillist.parameters import Training


@dataclass(frozen=True)
class TrainingReport:
    """What was measured at a step."""

    step: int
    metrics: dict[str, float]
    """loss and loss_floor of the step's batch (of as much of it as many anchors leave time for: a
    report costs about a step whatever their number), learning_rate (relative to its peak times the peak),
    gradient_norm, steps_per_second since the last report."""
    average: Tensor
    """The averaged weights at this step, (P,), as `FlatWeights` has them; the next step changes them."""


def learning_rate_factor(step: int, training: Training) -> float:
    """Return the trapezoid's height in [0, 1] at `step` (0 … steps - 1): warm-up, plateau, decay."""
    done = step / training.steps
    rise = (step + 1) / (training.warmup * training.steps) if training.warmup else 1.0
    fall = (1 - done) / training.decay if training.decay else 1.0
    return min(1.0, rise, fall)


def train(
    denoiser: Denoiser, density: GaussianMixture, training: Training, generator: torch.Generator
) -> Iterator[TrainingReport]:
    """Train `denoiser` in place and yield a report every ``training.report_every`` steps.

    When the generator is exhausted the denoiser carries the averaged weights. `denoiser`, `density`
    and `generator` are on one device; between reports the loop never waits for it.
    """
    weights = FlatWeights.of(denoiser)
    updates = make_updates(weights, training)
    average = weights.values.clone()
    batches = objectives.batches(density, denoiser.path, training, generator)
    started, last_step = time.perf_counter(), 0
    for step in range(training.steps):
        batch = next(batches)
        weights.gradients.zero_()
        loss = objectives.loss(denoiser, batch, training.weighting)
        loss.backward()
        norm = _clip(weights.gradients, training.gradient_clip)
        factor = learning_rate_factor(step, training)
        for update in updates:
            update(factor)
        # The first steps average over as many weights as there are.
        average.lerp_(weights.values, 1 - min(training.ema, (step + 1) / (step + 10)))
        if (step + 1) % training.report_every == 0 or step + 1 == training.steps:
            some = batch.every(max(1, len(density.anchors) // training.reference_anchors))
            floor = objectives.floor(denoiser, some, density, training.weighting)
            now = time.perf_counter()
            yield TrainingReport(
                step + 1,
                {
                    "loss": loss.item(),
                    "loss_floor": floor.item(),
                    "learning_rate": training.learning_rate * factor,
                    "gradient_norm": norm.item(),
                    "steps_per_second": (step + 1 - last_step) / (now - started),
                },
                average,
            )
            started, last_step = time.perf_counter(), step + 1
    weights.values.copy_(average)


def moments(training: Training, n: int) -> list[int]:
    """Return at most n of the steps at which `train` reports: even in log step, the last among them."""
    reports = [
        *range(training.report_every, training.steps, training.report_every),
        training.steps,
    ]
    known = torch.tensor(reports).double()
    chosen: set[int] = set()
    # The first wishes often fall on one report.
    for more in range(n, 4 * n):
        wanted = torch.logspace(0, 1, more, base=training.steps / reports[0]).double() * reports[0]
        found = {reports[int((known - step).abs().argmin())] for step in wanted}
        if len(found) > n:
            break
        chosen = found
    return sorted(chosen)


def _clip(gradients: Tensor, limit: float | None) -> Tensor:
    """Return the norm of the gradient, after scaling it down to `limit` if there is one."""
    norm = gradients.norm()
    if limit is not None:
        gradients.mul_((limit / (norm + 1e-6)).clamp(max=1))
    return norm
