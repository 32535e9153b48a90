"""What training draws: noisy points at many noise levels, and the targets of the denoiser there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pointillist.diffusion.config import Training
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.draws import gaussian, noise_level_draws, uniform_draws
from pointillist.diffusion.schedules import Path

# Batches drawn at once: on so few points, starting an operation costs more than the operation.
_AHEAD = 16

EDM_EXPONENT = 0.7
"""How much more often low noise is drawn for edm's output, where `training.noise_exponent` is null.

The other predictions come with a measure of their own, that of their papers: the path's times evenly.
"""


@dataclass(frozen=True)
class Batch:
    """Noisy points and the targets of the denoiser."""

    x: Tensor
    """x_t, (B, 2)."""
    t: Tensor
    """Times of the path, (B,)."""
    target: Tensor
    """Target of x_0, (B, 2)."""
    weight: Tensor
    """Importance weight of the point's noise level, (B,)."""

    def every(self, k: int) -> Batch:
        """Return each k-th point: noise levels are even along a batch, so they stay so."""
        return Batch(self.x[::k], self.t[::k], self.target[::k], self.weight[::k])


class Batches(Iterator[Batch]):
    """Training batches without end, which can be resumed where they were.

    Exact targets are right wherever they are asked for, not only where the data puts x_t. So with
    them each point's noise is widened by a factor from [1, ``training.noise_spread``], and the
    network learns what to do with the stray points that it would hardly ever see.
    """

    def __init__(
        self,
        density: GaussianMixture,
        path: Path,
        training: Training,
        generator: torch.Generator,
        prediction: str,
    ) -> None:
        self._density, self._path, self._training = density, path, training
        self._generator = generator
        self._size = min(training.batch_size, training.dataset_size or training.batch_size)
        self._epochs = _Epochs(density, training, generator) if training.dataset_size else None
        self._draw = uniform_draws(self._size, training.draws, generator)
        exponent = training.noise_exponent
        if exponent is None and prediction == "edm":
            exponent = EDM_EXPONENT
        self._levels = noise_level_draws(path, density.bandwidth, exponent)
        self._block: Iterator[tuple[Batch, Tensor]] = iter(())
        self._begin_block()

    def __next__(self) -> Batch:
        """Return the next batch."""
        batch, source = self.draw()
        if self._training.target == "sample":
            return batch
        alpha, sigma = self._path.alpha(batch.t), self._path.sigma(batch.t)
        return replace(batch, target=self.truth(source).denoise(batch.x, alpha, sigma))

    def draw(self) -> tuple[Batch, Tensor]:
        """Return the next batch with the points that it was made from, x_0, as target.

        And the index (B,) of the anchor that each came from.
        """
        if self._taken == _AHEAD:
            self._begin_block()
        self._taken += 1
        return next(self._block)

    def truth(self, source: Tensor) -> GaussianMixture:
        """Return the mixture that says the exact targets of the batch that was drawn last.

        `source` (B,) is its anchors. Where there are very many, some of them stand for all.
        """
        most = self._training.reference_anchors
        if len(self._density.anchors) <= most:
            return self._density
        return reference_mixture(self._density, source, most, self._generator)

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
        self._taken, self._block = 0, self._next_block()

    def _next_block(self) -> Iterator[tuple[Batch, Tensor]]:
        """Yield the next batches: Ho et al. 2020, algorithm 1, lines 2 to 4, for all of them at once."""
        density, path, training = self._density, self._path, self._training
        spread = training.noise_spread if training.target == "posterior" else 1.0
        u = self._draw(_AHEAD).flatten(0, 1)
        if self._epochs is None:
            source = density.anchor_at(u[:, 1])
            x0 = density.anchors[source] + density.spread(source, gaussian(u[:, 5:]))
        else:
            x0, source = self._epochs.take(_AHEAD)
        t, weight = self._levels(u[:, 0])
        eps = gaussian(u[:, 2:4]) * (1 + (spread - 1) * u[:, 4:5])
        x = path.alpha(t)[:, None] * x0 + path.sigma(t)[:, None] * eps
        parts = (part.split(self._size) for part in (x, t, x0, weight))
        yield from zip(map(Batch, *parts), source.split(self._size), strict=True)


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
