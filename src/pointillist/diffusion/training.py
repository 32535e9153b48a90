"""The training loop, as a generator: it knows nothing of files, progress bars or MLflow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pointillist.diffusion import objectives
from pointillist.diffusion.config import Training
from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.objectives import Batch
from pointillist.diffusion.optimizers import FlatWeights, make_updates
from pointillist.errors import PointillistError

State = dict[str, Tensor]
"""All that the rest of a training depends on, by name: its step, weights, average, the memory of its
optimizers, and the place of its batches."""


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
    state: Callable[[], State] = dict
    """Returns the state at this step, on the CPU; to be called before the next step."""


class DivergedError(PointillistError):
    """A loss or gradient that is no number."""

    def __init__(self, message: str, state: State) -> None:
        super().__init__(message)
        self.state = state
        """As it was before the step; empty if that isn't known."""


def learning_rate_factor(step: int, training: Training) -> float:
    """Return the trapezoid's height in [0, 1] at `step` (0 … steps - 1): warm-up, plateau, decay."""
    done = step / training.steps
    rise = (step + 1) / (training.warmup * training.steps) if training.warmup else 1.0
    fall = (1 - done) / training.decay if training.decay else 1.0
    return min(1.0, rise, fall)


def train(
    denoiser: Denoiser,
    density: GaussianMixture,
    training: Training,
    generator: torch.Generator,
    state: State | None = None,
) -> Iterator[TrainingReport]:
    """Train `denoiser` in place and yield a report every ``training.report_every`` steps.

    When the generator is exhausted the denoiser carries the averaged weights. `denoiser`, `density`
    and `generator` are on one device; between reports the loop never waits for an accelerator.

    With the `state` of an earlier training, which had the same arguments, this one goes on from there,
    and ends as that would have ended: on one device, and on a CPU with as many threads, to the bit.

    Raises
    ------
    DivergedError
        If a loss or gradient isn't finite: on a CPU at that step, on an accelerator at the next report.
    """
    weights = FlatWeights.of(denoiser)
    updates = make_updates(weights, training)
    average = weights.values.clone()
    batches = objectives.batches(density, denoiser.path, training, generator)
    memory = {f"update.{i}.{k}": v for i, u in enumerate(updates) for k, v in u.memory.items()}
    memory |= {"weights": weights.values, "average": average}
    first = 0
    if state is not None:
        first = int(state["step"])
        for name, value in memory.items():
            value.copy_(state[name])
        batches.take_up(_below("batches.", state))

    def state_after(steps: int, place: State) -> State:
        found = {name: value.detach().cpu().clone() for name, value in memory.items()}
        found |= {f"batches.{name}": value.cpu() for name, value in place.items()}
        return found | {"step": torch.tensor(steps)}

    watched = weights.values.device.type == "cpu"
    started, last_step = time.perf_counter(), first
    for step in range(first, training.steps):
        batch = next(batches)
        weights.gradients.zero_()
        loss = objectives.loss(denoiser, batch, training.weighting)
        loss.backward()
        norm = _clip(weights.gradients, training.gradient_clip)
        reported = (step + 1) % training.report_every == 0 or step + 1 == training.steps
        if (watched or reported) and not (loss + norm).isfinite():
            good = state_after(step, batches.place_before()) if watched else {}
            raise DivergedError(_divergence(denoiser, batch, training, step, loss), good)
        factor = learning_rate_factor(step, training)
        for update in updates:
            update(step, factor)
        # The first steps average over as many weights as there are.
        average.lerp_(weights.values, 1 - min(training.ema, (step + 1) / (step + 10)))
        if reported:
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
                lambda: state_after(step + 1, batches.place()),  # noqa: B023 - called at once
            )
            started, last_step = time.perf_counter(), step + 1
    weights.values.copy_(average)


def _below(prefix: str, state: State) -> State:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


@torch.no_grad()
def _divergence(
    denoiser: Denoiser, batch: Batch, training: Training, step: int, loss: Tensor
) -> str:
    """Say what isn't finite, when, and at which noise."""
    errors = objectives.squared_errors(denoiser, batch, training.weighting).sum(-1)
    ratios = denoiser.path.sigma(batch.t) / denoiser.path.alpha(batch.t)
    bad = ratios[~errors.isfinite()]
    if len(bad) == len(ratios):
        where = "at every noise level"
    elif len(bad):
        where = f"at sigma/alpha from {bad.min():.2g} to {bad.max():.2g}"
    else:
        where = f"the error is greatest at sigma/alpha = {ratios[errors.argmax()]:.2g}"
    what = "gradient" if loss.isfinite() else "loss"
    return f"Training diverged: at step {step + 1} the {what} is no number any more, {where}."


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
