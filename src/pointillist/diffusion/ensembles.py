r"""Many denoisers of one architecture, trained side by side: over seeds, or over shapes.

A network this small leaves an accelerator idle, since starting an operation takes longer than the
operation. Here an operation serves all members at once: their weights are stacked, `torch.vmap` turns
the network of one into those of all, and the optimizers, which work on flat weights and on stacks of
matrices, take those of all members as they take those of one. Each member draws what it would draw
alone, so it becomes what `training.train` would have made of it, but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pointillist.diffusion.batches import Batch, Batches
from pointillist.diffusion.config import Training
from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.optimizers import FlatWeights, make_updates
from pointillist.diffusion.preconditioning import Coefficients
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
        first = denoisers[0]
        named = sorted(first.named_parameters(), key=lambda pair: pair[1].storage_offset())
        self._sizes = [parameter.numel() for _, parameter in named]
        by_member = torch.stack([weights.values for weights in flat])
        values = torch.cat([part.flatten() for part in by_member.split(self._sizes, 1)])
        stacks = [(len(flat) * count, m, n) for count, m, n in flat[0].matrix_shapes]
        self.weights = FlatWeights(values, torch.zeros_like(values), [], stacks)
        self._slopes = self._by_parameter(self.weights.gradients)
        self._limit = training.gradient_clip
        self._output = _Output(first)
        self._numbers: dict[str, Tensor] = {}
        for (name, parameter), part, slope in zip(
            named, self._by_parameter(values), self._slopes, strict=True
        ):
            stack = part.unflatten(1, parameter.shape).requires_grad_()
            stack.grad = slope.unflatten(1, parameter.shape)
            self._numbers[f"denoiser.{name}"] = stack
        for name, _ in first.named_buffers():
            every = [denoiser.get_buffer(name) for denoiser in denoisers]
            self._numbers[f"denoiser.{name}"] = torch.stack(every)

    def differentiate(self, batches: Sequence[Batch]) -> Tensor:
        """Set the gradients at a batch of each member, and return their losses, (M,)."""
        self.weights.gradients.zero_()
        fields = zip(*((b.x, b.t, *b.coefficients) for b in batches), strict=True)
        output = torch.vmap(self._of_one)(self._numbers, *map(torch.stack, fields))
        target, weight = (
            torch.stack([getattr(b, f) for b in batches]) for f in ("target", "weight")
        )
        losses = (weight * (output - target) ** 2).mean((1, 2))
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

    def _of_one(self, numbers: dict[str, Tensor], *batch: Tensor) -> Tensor:
        return torch.func.functional_call(self._output, numbers, batch)

    def _by_parameter(self, vector: Tensor) -> list[Tensor]:
        """Return a vector's parts, (M, elements) each."""
        members = len(vector) // sum(self._sizes)
        parts = vector.split([members * size for size in self._sizes])
        return [part.view(members, -1) for part in parts]


class _Output(nn.Module):
    """The network of a member, as a module into which `functional_call` puts that member's numbers."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        with torch.device("meta"):
            self.denoiser = Denoiser(denoiser.network, denoiser.path)

    def forward(self, x: Tensor, t: Tensor, *coefficients: Tensor) -> Tensor:
        """Return the output at points (B, 2)."""
        return self.denoiser.output_at(x, t, Coefficients(*coefficients))


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
