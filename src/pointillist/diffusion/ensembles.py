r"""Many denoisers of one architecture, trained side by side: over seeds, or over shapes.

A network this small leaves an accelerator idle, since starting an operation takes longer than the
operation. Here an operation serves all members at once: their weights are stacked, the gradient of one
(`fast.gradient`) is that of all, and the optimizers, which work on flat weights and on stacks of
matrices, take those of all members as they take those of one. Each member draws what it would draw
alone, so it becomes what `training.train` would have made of it, but for rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pointillist.diffusion import embeddings
from pointillist.diffusion.batches import Batch, Batches
from pointillist.diffusion.config import Training
from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.fast.gradient import loss_and_gradient
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
    """Train the M `denoisers` in place, each on its own density, and yield reports as `train` does.

    Every member makes all ``training.steps``. When the generator is exhausted they carry their averaged
    weights, which are those that ``train(denoisers[i], densities[i], training, generators[i])`` would
    have left after as many, within rounding.
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
    batches = [
        Batches(denoiser, density, training, generator)
        for denoiser, density, generator in zip(denoisers, densities, generators, strict=True)
    ]
    for step in range(training.steps):
        losses = members.differentiate([next(own) for own in batches])
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
        parameters, stacks = flat[0].parameters, flat[0].matrix_shapes
        self._sizes = [parameter.numel() for parameter in parameters]
        by_member = torch.stack([weights.values for weights in flat])
        values = torch.cat([part.flatten() for part in by_member.split(self._sizes, 1)])
        self.weights = FlatWeights(
            values,
            torch.zeros_like(values),
            parameters,
            [(len(flat) * count, m, n) for count, m, n in stacks],
            len(flat),
        )
        self._denoiser, self._limit = _together(denoisers), training.gradient_clip

    def differentiate(self, batches: Sequence[Batch]) -> Tensor:
        """Set the gradients at a batch of each member, and return their losses, (M,)."""
        batch = Batch.stacked(batches)
        losses, gradient = loss_and_gradient(self._denoiser, self.weights, batch, batch.x.shape[1])
        self.weights.gradients.copy_(gradient)
        if self._limit is not None:
            scale = (self._limit / (self.gradient_norms() + 1e-6)).clamp(max=1)
            for slope in self._by_parameter(self.weights.gradients):
                slope.mul_(scale[:, None])
        return losses

    def gradient_norms(self) -> Tensor:
        """Return the norm of each member's gradient, (M,)."""
        slopes = self._by_parameter(self.weights.gradients)
        return torch.stack([slope.square().sum(1) for slope in slopes]).sum(0).sqrt()

    def give_back(self, values: Tensor, denoisers: Sequence[Denoiser]) -> None:
        """Copy `values`, a vector as that of the weights, into the denoisers."""
        by_member = torch.cat(self._by_parameter(values), 1)
        for denoiser, own in zip(denoisers, by_member, strict=True):
            FlatWeights.of(denoiser).values.copy_(own)

    def _by_parameter(self, vector: Tensor) -> list[Tensor]:
        """Return a vector's parts, (M, elements) each."""
        members = self.weights.members or 1
        parts = vector.split([members * size for size in self._sizes])
        return [part.view(members, -1) for part in parts]


def _together(denoisers: Sequence[Denoiser]) -> Denoiser:
    """Return the first denoiser with the frequencies of all, (M, features, 2), where they differ."""
    together = copy.copy(denoisers[0])
    embedding, _ = embeddings.input_embedding(together.network)
    for name, _ in list(embedding.named_buffers()):
        owner, _, leaf = name.rpartition(".")
        every = torch.stack([denoiser.embed_input.get_buffer(name) for denoiser in denoisers])
        alike = torch.equal(every, every[:1].expand_as(every))
        setattr(embedding.get_submodule(owner), leaf, every[0] if alike else every)
    together._modules = {**together._modules, "embed_input": embedding}
    return together


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
