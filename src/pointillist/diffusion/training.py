"""The training loop, as a generator: it knows nothing of files, progress bars or MLflow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pointillist.diffusion import objectives
from pointillist.diffusion.batches import Batch, Batches
from pointillist.diffusion.config import Training
from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.optimizers import FlatWeights, Update, make_updates
from pointillist.diffusion.proofs import Proof
from pointillist.errors import PointillistError
from pointillist.runtime import parallel

State = dict[str, Tensor]
"""All that the rest of a training depends on, by name: its step, weights, average, the memory of its
optimizers, and the state of its batches."""


@dataclass(frozen=True)
class TrainingReport:
    """What was measured at a step."""

    step: int
    metrics: dict[str, float]
    """loss and loss_floor of the step's batch (of as much of it as many anchors leave time for: a
    report costs about a step whatever their number), learning_rate (relative to its peak times the peak),
    gradient_norm, steps_per_second since the last report; where it was taken, kl_bound_nats."""
    average: Tensor
    """The averaged weights at this step, (P,), as `FlatWeights` has them; the next step changes them."""
    last: bool = False
    """Whether the training ends with it."""
    state: Callable[[], State] = dict
    """Returns the state at this step, on the CPU; to be called before the next step."""


class DivergedError(PointillistError):
    """A loss or gradient that is infinite or NaN."""

    def __init__(self, message: str, state: State) -> None:
        super().__init__(message)
        self.state = state
        """As it was before the step; empty if that isn't known."""


def learning_rate_factor(step: int, training: Training) -> float:
    """Return what the learning rate is at `step`, counted from 0, in units of its peak.

    It does not depend on when the training ends: with the averaged weights, every step is as good an
    end as any (docs: architecture.md, "A training ends when it is proven").
    """
    rise = min(1.0, (step + 1) / training.warmup_steps) if training.warmup_steps else 1.0
    fall = 1 + step / training.decay_steps if training.decay_steps else 1.0
    return rise / fall


def train(
    denoiser: Denoiser,
    density: GaussianMixture,
    training: Training,
    generator: torch.Generator,
    state: State | None = None,
) -> Iterator[TrainingReport]:
    """Train `denoiser` in place and yield a report every ``training.report_every`` steps.

    Ho et al. 2020, algorithm 1, with the targets, weights and noise levels that `training` asks for.
    It ends after ``training.steps``, or at the first report at which `proofs.Proof` shows that the
    bound is at most ``training.until``. When the generator is exhausted the denoiser carries the
    averaged weights. `denoiser`, `density` and `generator` are on one device; between reports the loop
    never waits for an accelerator.

    With the `state` of an earlier training, which had the same arguments, this one continues from there,
    and ends as that would have ended: on one device, to the bit.

    Raises
    ------
    DivergedError
        If a loss or gradient isn't finite: on a CPU at that step, on an accelerator at the next report.
    """
    weights = FlatWeights.of(denoiser)
    updates = make_updates(weights, training)
    average = weights.values.clone()
    batches = Batches(denoiser, density, training, generator)
    proof = Proof(denoiser, density, training.until, generator.initial_seed())
    memory = _Memory(weights, average, updates, batches, proof)
    first = 0 if state is None else memory.resume(state)
    watched = weights.values.device.type == "cpu"
    started, last_step = time.perf_counter(), first
    for step in range(first, training.steps):
        batch = next(batches)
        loss, gradient = objectives.loss_and_gradient(denoiser, weights, batch)
        weights.gradients.copy_(gradient)
        norm = _clip(weights.gradients, training.gradient_clip)
        reported = (step + 1) % training.report_every == 0 or step + 1 == training.steps
        if (watched or reported) and not (loss + norm).isfinite():
            before = memory.state(step, batches.state_before()) if watched else {}
            raise DivergedError(_divergence(denoiser, batch, step, loss), before)
        factor = learning_rate_factor(step, training)
        parallel(lambda update: update(step, factor), updates, weights.values.device)  # noqa: B023
        average.lerp_(weights.values, averaging_share(step, training))
        if reported:
            metrics = {
                "loss": loss.item(),
                "loss_floor": _floor(denoiser, batch, density, training),
                "learning_rate": training.learning_rate * factor,
                "gradient_norm": norm.item(),
                "steps_per_second": (step + 1 - last_step) / (time.perf_counter() - started),
            }
            with weights.replaced(average):
                bound = proof.look(step + 1)
            if bound is not None:
                metrics["kl_bound_nats"] = bound.nats
            last = proof.holds(bound) or step + 1 == training.steps
            yield TrainingReport(step + 1, metrics, average, last, partial(memory.state, step + 1))
            if last:
                break
            started, last_step = time.perf_counter(), step + 1
    weights.values.copy_(average)


def averaging_share(step: int, training: Training) -> float:
    """Return what the weights after `step`, counted from 0, count in their average so far."""
    if training.averaging is None:
        return 1.0
    return 1 - (step / (step + 1)) ** (training.averaging + 1)


class _Memory:
    """All that changes from step to step, to be saved and to be continued from."""

    def __init__(
        self,
        weights: FlatWeights,
        average: Tensor,
        updates: list[Update],
        batches: Batches,
        proof: Proof,
    ) -> None:
        self._tensors = {
            f"update.{i}.{k}": v for i, u in enumerate(updates) for k, v in u.memory.items()
        }
        self._tensors |= {"weights": weights.values, "average": average}
        self._tensors |= {f"proof.{k}": v for k, v in proof.memory.items()}
        self._batches = batches

    def state(self, steps: int, batches: State | None = None) -> State:
        """Return the state after so many steps, on the CPU; `batches` is theirs, by default as it is."""
        found = {name: value.detach().cpu().clone() for name, value in self._tensors.items()}
        batches = self._batches.state() if batches is None else batches
        found |= {f"batches.{name}": value.cpu() for name, value in batches.items()}
        return found | {"step": torch.tensor(steps)}

    def resume(self, state: State) -> int:
        """Take over a state and return its step."""
        for name, value in self._tensors.items():
            value.copy_(state[name])
        prefix = "batches."
        own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        self._batches.resume(own)
        return int(state["step"])


def _floor(denoiser: Denoiser, batch: Batch, density: GaussianMixture, training: Training) -> float:
    """Return `objectives.floor`, on as much of the batch as many anchors leave time for."""
    some = batch.every(max(1, len(density.anchors) // training.reference_anchors))
    return objectives.floor(denoiser, some, density).item()


def _clip(gradients: Tensor, limit: float | None) -> Tensor:
    """Return the norm of the gradient, after scaling it down to `limit` if there is one."""
    norm = gradients.norm()
    if limit is not None:
        gradients.mul_((limit / (norm + 1e-6)).clamp(max=1))
    return norm


@torch.no_grad()
def _divergence(denoiser: Denoiser, batch: Batch, step: int, loss: Tensor) -> str:
    """Say what isn't finite, when, and at which noise."""
    errors = objectives.squared_errors(denoiser, batch).sum(-1)
    ratios = denoiser.path.sigma(batch.t) / denoiser.path.alpha(batch.t)
    bad = ratios[~errors.isfinite()]
    if len(bad) == len(ratios):
        where = "at every noise level"
    elif len(bad):
        where = f"at sigma/alpha from {bad.min():.2g} to {bad.max():.2g}"
    else:
        where = f"the error is greatest at sigma/alpha = {ratios[errors.argmax()]:.2g}"
    what = "gradient" if loss.isfinite() else "loss"
    return f"Training diverged: at step {step + 1} the {what} became infinite or NaN, {where}."


def snapshot_steps(training: Training, n: int) -> list[int]:
    """Return at most n steps at which `train` reports, even in log step; the last is among them."""
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
