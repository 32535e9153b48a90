"""What training draws: noisy points at many noise levels, and the targets of the denoiser there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor

from pointillist.diffusion.config import Training
from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.draws import gaussian, noise_level_draws, uniform_draws
from pointillist.diffusion.fast.calls import OneCall
from pointillist.diffusion.fast.gradient import Entry, entry
from pointillist.diffusion.preconditioning import Coefficients
from pointillist.runtime import parallel

# Batches drawn at once: on a CPU, enough for every thread to have some; on an accelerator, where starting
# an operation takes longer than the operation, as many as its memory never misses.
_AHEAD, _AHEAD_ON_ACCELERATOR = 16, 64
# Of these, so many on one thread of a CPU.
_TOGETHER = 4

PART = 512
"""Points whose gradient is taken at once on a CPU: their activations stay in a core's own cache."""

EDM_EXPONENT = 0.7
"""How much more often low noise is drawn for edm's output, where `training.noise_exponent` is null.

The other predictions come with a measure of their own, that of their papers: the path's times evenly.
"""


@dataclass(frozen=True)
class Batch:
    """Noisy points, and what the network's output should be there."""

    x: Tensor
    """x_t, (B, 2)."""
    t: Tensor
    """Times of the path, (B,)."""
    coefficients: Coefficients
    """Of the denoiser at those times, (B,) each."""
    target: Tensor
    """Target of the output F, (B, 2)."""
    weight: Tensor
    """Weight of the squared error, (B, 1): the importance weight of the noise level among it."""
    entry: Entry
    """What of x and t enters the network."""
    parts: Sequence[Batch] = ()
    """It again, in the parts of which a CPU takes the gradient one by one."""

    @classmethod
    def stacked(cls, batches: Sequence[Batch]) -> Batch:
        """Return batches of one size as one, whose fields have a dimension of them before their own."""
        return cls.of(map(torch.stack, zip(*(batch.fields() for batch in batches), strict=True)))

    def split(self, size: int) -> list[Batch]:
        """Return it in batches of so many points."""
        if len(self.x) <= size:
            return [self]
        return list(map(self.of, zip(*(f.split(size) for f in self.fields()), strict=True)))

    def every(self, k: int) -> Batch:
        """Return each k-th point."""
        return self.of(field[::k] for field in self.fields())

    def fields(self) -> Iterator[Tensor]:
        """Return all of its fields but the parts."""
        return chain((self.x, self.t, self.target, self.weight), self.coefficients, self.entry)

    @classmethod
    def of(cls, tensors: Iterable[Tensor]) -> Batch:
        """Return the batch with these `fields`."""
        x, t, target, weight, *rest = tensors
        n = len(Coefficients._fields)
        return cls(x, t, Coefficients(*rest[:n]), target, weight, Entry(*rest[n:]))


class Batches(Iterator[Batch]):
    """Training batches without end, which can be resumed where they were.

    Exact targets are right wherever they are asked for, not only where the data puts x_t. So with
    them each point's noise is widened by a factor from [1, ``training.noise_spread``], and the
    network learns what to do with the stray points that it would hardly ever see.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        density: GaussianMixture,
        training: Training,
        generator: torch.Generator,
    ) -> None:
        self._denoiser, self._density, self._training = denoiser, density, training
        self._generator = generator
        self._on_cpu = density.anchors.device.type == "cpu"
        self._ahead = _AHEAD if self._on_cpu else _AHEAD_ON_ACCELERATOR
        self._size = min(training.batch_size, training.dataset_size or training.batch_size)
        self._epochs = _Epochs(density, training, generator) if training.dataset_size else None
        exponent = training.noise_exponent
        if exponent is None and denoiser.network.prediction == "edm":
            exponent = EDM_EXPONENT
        self._levels = noise_level_draws(denoiser.path, density.bandwidth, exponent)
        self._usually_posed = OneCall(self._posed, sizes=True)
        self._block: Iterator[Batch] = iter(())
        self._begin_block()

    def __next__(self) -> Batch:
        """Return the next batch."""
        if self._taken == self._ahead:
            self._begin_block()
        self._taken += 1
        return next(self._block)

    def state(self) -> dict[str, Tensor]:
        """Return where the batches are: tensors that `resume` takes, on the CPU."""
        return {**self._block_start, "taken": torch.tensor(self._taken)}

    def state_before(self) -> dict[str, Tensor]:
        """Return where they were one batch ago."""
        return {**self._block_start, "taken": torch.tensor(self._taken - 1)}

    def resume(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`: the same batches follow as followed there."""
        self._generator.set_state(state["generator"])
        if self._epochs is not None:
            order = state["order"].to(self._density.anchors.device)
            self._epochs.order, self._epochs.position = order, int(state["position"])
        self._begin_block()
        for _ in range(int(state["taken"])):
            next(self)

    def _begin_block(self) -> None:
        self._block_start = {"generator": self._generator.get_state()}
        if self._epochs is not None:
            self._block_start["order"] = self._epochs.order
            self._block_start["position"] = torch.tensor(self._epochs.position)
        made = parallel(self._made, self._drawn(), self._density.anchors.device)
        self._taken, self._block = 0, chain.from_iterable(made)

    def _drawn(self) -> list[_Draw]:
        """Draw what chance decides about the next batches, in the order of the batches."""
        density, training, size = self._density, self._training, self._size
        u = uniform_draws(self._ahead, size, training.draws, self._generator).flatten(0, 1)
        if self._epochs is None:
            x0, source = None, density.anchor_at(u[:, 1])
        else:
            x0, source = self._epochs.take(self._ahead)
        some = training.target == "posterior" and len(density.anchors) > training.reference_anchors
        if not (self._on_cpu or some):
            return [_Draw(u, source, x0)]
        together = size if some else _TOGETHER * size
        x0s = [None] * self._ahead if x0 is None else x0.split(together)
        parts = zip(u.split(together), source.split(together), x0s, strict=x0 is not None)
        drawn = [_Draw(*of) for of in parts]
        if some:
            most = training.reference_anchors
            for draw in drawn:
                draw.truth = reference_mixture(density, draw.source, most, self._generator)
        return drawn

    @torch.no_grad()
    def _made(self, draw: _Draw) -> list[Batch]:
        """Make the batches of a draw."""
        inputs = draw.u, draw.source, draw.x0
        if draw.truth is None:
            made = self._usually_posed(*inputs)
        else:
            made = self._posed(*inputs, truth=draw.truth)
        batches = Batch.of(made).split(self._size)
        if self._on_cpu:
            batches = [replace(batch, parts=batch.split(PART)) for batch in batches]
        return batches

    def _posed(
        self, u: Tensor, source: Tensor, x0: Tensor | None, truth: GaussianMixture | None = None
    ) -> tuple[Tensor, ...]:
        """Return the fields of a batch: Ho et al. 2020, algorithm 1, lines 2 to 4."""
        path, density = self._denoiser.path, self._density
        exact = self._training.target == "posterior"
        if x0 is None:
            x0 = density.anchors[source] + density.spread(source, gaussian(u[:, 5:]))
        spread = self._training.noise_spread if exact else 1.0
        t, weight = self._levels(u[:, 0])
        alpha, sigma = path.alpha(t), path.sigma(t)
        eps = gaussian(u[:, 2:4]) * (1 + (spread - 1) * u[:, 4:5])
        x = alpha[:, None] * x0 + sigma[:, None] * eps
        target = (truth or density).denoise(x, alpha, sigma) if exact else x0
        made = posed(self._denoiser, x, t, target, weight, self._training.weighting)
        return tuple(made.fields())


@dataclass
class _Draw:
    """What chance decides about a batch, or several."""

    u: Tensor
    """Uniform numbers (B, 7)."""
    source: Tensor
    """The points' anchors, (B,)."""
    x0: Tensor | None = None
    """The clean points (B, 2), where they are not new ones."""
    truth: GaussianMixture | None = None
    """The mixture that exact targets are taken of, where it is not the whole truth."""


def posed(
    denoiser: Denoiser, x: Tensor, t: Tensor, target: Tensor, weight: Tensor, weighting: str
) -> Batch:
    r"""Turn `target`, of x_0 (B, 2), into one of the network's output.

    By inverting the preconditioning, :math:`F^* = (x_0^* - c_{skip} x_t) / c_{out}`; `weight` (B,) is
    the importance weight of a point, and `weighting` is training.weighting.
    """
    alpha, sigma = denoiser.path.alpha(t), denoiser.path.sigma(t)
    c = denoiser.coefficients(alpha, sigma)
    answer = (target - c.c_skip[:, None] * x) / c.c_out[:, None]
    if weighting == "likelihood":
        weight = weight * (c.c_out * alpha / sigma) ** 2
    else:
        weight = weight * denoiser.error_weight(alpha, sigma, c.c_out)
    return Batch(x, t, c, answer, weight[:, None], entry(denoiser, x, t, c))


class _Epochs:
    """One fixed draw of points and their anchors, used in shuffled epochs."""

    def __init__(
        self, density: GaussianMixture, training: Training, generator: torch.Generator
    ) -> None:
        size = training.dataset_size or training.batch_size
        self._points = density.sample(size, generator)
        self._generator, self._batch_size = generator, training.batch_size
        # The last, smaller batch of an epoch is left out, unless there is no other.
        self._used = max(1, size // training.batch_size) * training.batch_size
        self._shuffle()

    def _shuffle(self) -> None:
        x0 = self._points[0]
        self.order = torch.randperm(len(x0), generator=self._generator, device=x0.device)
        self.position = 0
        """Points of this epoch that were taken."""

    def take(self, batches: int) -> tuple[Tensor, Tensor]:
        """Return the points and anchors of the next `batches` batches."""
        index = []
        for _ in range(batches):
            if self.position >= min(self._used, len(self.order)):
                self._shuffle()
            index.append(self.order[self.position : self.position + self._batch_size])
            self.position += self._batch_size
        chosen = torch.cat(index)
        return self._points[0][chosen], self._points[1][chosen]


def reference_mixture(
    density: GaussianMixture, source: Tensor, size: int, generator: torch.Generator
) -> GaussianMixture:
    """Return a mixture of about `size` anchors that contains the batch's true sources.

    Stable target field (Xu et al. 2023, section 4, algorithm 1): the posterior mean over a
    reference batch that holds the true source is a consistent estimate at a cost that does not grow
    with N. Anchors are drawn by their weights, so that in the subset they count alike.
    """
    extra = density.draw_anchors(max(0, size - len(source)), generator)
    return density.of(torch.cat((source, extra)))
