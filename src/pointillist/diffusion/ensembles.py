r"""Many denoisers of one architecture, trained side by side: over seeds, or over shapes.

A network this small leaves an accelerator idle, since starting an operation takes longer than the
operation. Here an operation serves all members at once: their weights are stacked, `torch.vmap` turns
the loss of one into the losses of all, and the optimizers, which work on flat weights and on stacks of
matrices, take those of all members as they take those of one. Each member draws what it would draw
alone, so it becomes what `training.train` would have made of it, but for rounding.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from pointillist.diffusion import ellipses, objectives
from pointillist.diffusion.batches import Batch, Batches
from pointillist.diffusion.config import Training
from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.density import GaussianMixture, posterior_mean
from pointillist.diffusion.ellipses import Ellipses
from pointillist.diffusion.fast.posterior import posterior
from pointillist.diffusion.optimizers import FlatWeights, make_updates
from pointillist.diffusion.training import DivergedError, averaging_share, learning_rate_factor
from pointillist.errors import PointillistError


@dataclass(frozen=True)
class EnsembleReport:
    """What was measured at a step."""

    step: int
    losses: Tensor
    """Of each member on its own batch, (M,), on the CPU."""
    gradient_norms: Tensor
    """Of each member, as its update took it, (M,), on the CPU."""


def train_ensemble(
    denoisers: Sequence[Denoiser],
    densities: Sequence[GaussianMixture],
    training: Training,
    generators: Sequence[torch.Generator],
) -> Iterator[EnsembleReport]:
    """Train the M `denoisers` in place for `training.steps` steps, each on its own density.

    Reports come at the steps at which those of `train` come. When the generator is exhausted the
    denoisers carry their averaged weights, which are those that
    ``train(denoisers[i], densities[i], training, generators[i])`` would have left, within rounding.
    All are on one device. Networks may differ in what is fitted to the shape alone: `bandwidth` and
    `input_bandwidth`. Mixtures may be of any sizes.

    Raises
    ------
    PointillistError
        If there are no members, not as many of each, or their networks or paths are not alike.
    DivergedError
        If a loss or gradient isn't finite: at the next report.
    """
    _require_alike(denoisers, densities, generators)
    members = _Members(denoisers, training)
    updates = make_updates(members.weights, training)
    average = members.weights.values.clone()
    batches = _EnsembleBatches(denoisers, densities, training, generators)
    for step in range(training.steps):
        losses = members.differentiate(next(batches))
        factor = learning_rate_factor(step, training)
        for update in updates:
            update(step, factor)
        average.lerp_(members.weights.values, averaging_share(step, training))
        if (step + 1) % training.report_every == 0 or step + 1 == training.steps:
            report = EnsembleReport(step + 1, losses.cpu(), members.gradient_norms().cpu())
            _require_finite(report)
            yield report
    members.give_back(average, denoisers)


class _Members:
    """The weights of all members, in one vector, and the losses that follow from them.

    Each parameter's stack (M, ...) is a part of the vector, in the order of one member's `FlatWeights`.
    So matrices of one shape are a stack, whichever member they are of.
    """

    def __init__(self, denoisers: Sequence[Denoiser], training: Training) -> None:
        flat = [FlatWeights.of(denoiser) for denoiser in denoisers]
        first = denoisers[0]
        named = sorted(first.named_parameters(), key=lambda pair: pair[1].storage_offset())
        self._sizes = [parameter.numel() for _, parameter in named]
        by_member = torch.stack([weights.values for weights in flat])
        values = torch.cat([part.flatten() for part in by_member.split(self._sizes, 1)])
        stacks = [(len(flat) * count, m, n) for count, m, n in flat[0].matrix_shapes]
        self.weights = FlatWeights(values, torch.zeros_like(values), stacks)
        self._slopes = self._by_parameter(self.weights.gradients)
        self._limit = training.gradient_clip
        self._objective = _Objective(first, training.weighting)
        self._numbers: dict[str, Tensor] = {}
        for (name, parameter), part, slope in zip(
            named, self._by_parameter(values), self._slopes, strict=True
        ):
            stack = part.unflatten(1, parameter.shape).requires_grad_()
            stack.grad = slope.unflatten(1, parameter.shape)
            self._numbers[f"denoiser.{name}"] = stack
        for name, buffer in self._objective.denoiser.named_buffers():
            every = [torch.as_tensor(_named(each, name), dtype=buffer.dtype) for each in denoisers]
            self._numbers[f"denoiser.{name}"] = torch.stack(every).to(values.device)

    def differentiate(self, batch: Batch) -> Tensor:
        """Set the gradients at a batch of each member, and return their losses, (M,)."""
        self.weights.gradients.zero_()
        losses = torch.vmap(self._loss)(self._numbers, *vars(batch).values())
        losses.sum().backward()
        if self._limit is not None:
            scale = (self._limit / (self.gradient_norms() + 1e-6)).clamp(max=1)
            for slope in self._slopes:
                slope.mul_(scale[:, None])
        return losses.detach()

    def gradient_norms(self) -> Tensor:
        """Return the norm of each member's gradient, (M,)."""
        return torch.stack([slope.square().sum(1) for slope in self._slopes]).sum(0).sqrt()

    def give_back(self, values: Tensor, denoisers: Sequence[Denoiser]) -> None:
        """Copy `values`, a vector as that of the weights, into the denoisers."""
        by_member = torch.cat(self._by_parameter(values), 1)
        for denoiser, own in zip(denoisers, by_member, strict=True):
            FlatWeights.of(denoiser).values.copy_(own)

    def _loss(self, numbers: dict[str, Tensor], *batch: Tensor) -> Tensor:
        return torch.func.functional_call(self._objective, numbers, batch)

    def _by_parameter(self, vector: Tensor) -> list[Tensor]:
        """Return a vector's parts, (M, elements) each."""
        members = len(vector) // sum(self._sizes)
        parts = vector.split([members * size for size in self._sizes])
        return [part.view(members, -1) for part in parts]


def _named(denoiser: Denoiser, name: str) -> Tensor | float:
    """Return what has a dotted name in a denoiser."""
    found: Any = denoiser
    for part in name.split("."):
        found = getattr(found, part)
    return found


class _Objective(nn.Module):
    """The loss of a member, as a module into which `functional_call` puts that member's numbers."""

    def __init__(self, denoiser: Denoiser, weighting: str) -> None:
        super().__init__()
        self.denoiser, self._weighting = copy.deepcopy(denoiser), weighting
        # A number of one denoiser, a tensor of many.
        del self.denoiser.bandwidth
        self.denoiser.register_buffer("bandwidth", torch.zeros(()), persistent=False)

    def forward(self, *batch: Tensor) -> Tensor:
        """Return the loss on a batch, given as its fields."""
        return objectives.loss(self.denoiser, Batch(*batch), self._weighting)


class _EnsembleBatches(Iterator[Batch]):
    """The batches of all members, stacked: fields (M, B, ...)."""

    def __init__(
        self,
        denoisers: Sequence[Denoiser],
        densities: Sequence[GaussianMixture],
        training: Training,
        generators: Sequence[torch.Generator],
    ) -> None:
        self._path, self._training = denoisers[0].path, training
        prediction = denoisers[0].network.prediction
        self._members = [
            Batches(density, self._path, training, generator, prediction)
            for density, generator in zip(densities, generators, strict=True)
        ]
        self._whole = Mixtures(densities)
        self._subsets = any(len(d.anchors) > training.reference_anchors for d in densities)

    def __next__(self) -> Batch:
        """Return the next batch of each member."""
        batches, sources = zip(*(member.draw() for member in self._members), strict=True)
        batch = Batch(
            *(torch.stack(f) for f in zip(*(vars(b).values() for b in batches), strict=True))
        )
        if self._training.target == "sample":
            return batch
        truth = self._whole
        if self._subsets:
            pairs = zip(self._members, sources, strict=True)
            truth = Mixtures([member.truth(source) for member, source in pairs])
        alpha, sigma = self._path.alpha(batch.t), self._path.sigma(batch.t)
        return replace(batch, target=truth.denoise(batch.x, alpha, sigma))


class Mixtures:
    """M mixtures side by side, each brought to the anchors of the largest by such of no weight."""

    def __init__(self, members: Sequence[GaussianMixture]) -> None:
        self._members = members
        most = max(len(member.anchors) for member in members)
        self._anchors = torch.stack([_padded(m.anchors, most, 0.0) for m in members])
        logs = [_padded(member.shares.log(), most, -math.inf) for member in members]
        self._log_weights = torch.stack(logs)
        bandwidths = [member.anchors.new_full((1,), member.bandwidth) for member in members]
        self._bandwidths = torch.stack(bandwidths)  # (M, 1)

    def denoise(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Return the ideal denoisers' E[x_0 | x_t = x], (M, B, 2); `alpha` and `sigma` are (M, B)."""
        if self._ellipses is not None:
            return torch.vmap(lambda *of: ellipses.posterior(*of).mean)(
                x, alpha, sigma, self._ellipses
            )
        tau2 = (alpha * self._bandwidths) ** 2 + sigma**2
        _, mean_anchors = posterior(x, self._anchors, self._log_weights, alpha, tau2)
        return posterior_mean(x, alpha, sigma, self._bandwidths, mean_anchors)

    @cached_property
    def _ellipses(self) -> Ellipses | None:
        """The members' Gaussians as ellipses, fields (M, N, ...), if any has such; circles are some."""
        if all(member.covariances is None for member in self._members):
            return None
        most = self._anchors.shape[1]
        shapes = [member.as_ellipses for member in self._members]
        variances = torch.stack([_padded(shape.variances, most, 1.0) for shape in shapes])
        axes = torch.stack([_padded(shape.axes, most, 0.0) for shape in shapes])
        return Ellipses(self._anchors, self._log_weights, variances, axes)


def _padded(values: Tensor, rows: int, value: float) -> Tensor:
    """Return `values` (N, ...) with as many `rows`."""
    return torch.cat((values, values.new_full((rows - len(values), *values.shape[1:]), value)))


def _require_alike(
    denoisers: Sequence[Denoiser],
    densities: Sequence[GaussianMixture],
    generators: Sequence[torch.Generator],
) -> None:
    numbers = len(denoisers), len(densities), len(generators)
    if len(set(numbers)) > 1 or not denoisers:
        raise PointillistError(
            "An ensemble has as many denoisers as densities and generators, and one at least, not "
            f"{numbers[0]}, {numbers[1]} and {numbers[2]}."
        )
    fitted: dict[str, None] = {"bandwidth": None, "input_bandwidth": None}
    u = torch.linspace(0, 1, 16, dtype=torch.float64)
    first = denoisers[0]
    for i, other in enumerate(denoisers):
        networks = [d.network.model_copy(update=fitted) for d in (first, other)]
        times = [d.path.quantile(u) for d in (first, other)]
        paths = [d.path.sigma(t) for d, t in zip((first, other), times, strict=True)]
        if networks[0] != networks[1] or not torch.equal(*paths):
            raise PointillistError(
                f"Member {i} has another network or schedule than member 0. In an ensemble only "
                "network.bandwidth and network.input_bandwidth may differ: train it by itself."
            )


def _require_finite(report: EnsembleReport) -> None:
    finite = (report.losses + report.gradient_norms).isfinite()
    if not finite.all():
        bad = ", ".join(str(i) for i in (~finite).nonzero()[:, 0].tolist())
        raise DivergedError(
            f"Training diverged: by step {report.step} the loss or gradient of these members became "
            f"infinite or NaN: {bad}.",
            {},
        )
