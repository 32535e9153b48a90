r"""What the network regresses on, and with which weight.

The target of x_0 is turned into a target of the network's own output F by inverting the
preconditioning, :math:`F^* = (x_0^* - c_{skip} x_t) / c_{out}`, and the loss is the mean of
:math:`w |F - F^*|^2` over points and coordinates. With edm's F that is, at low noise, the integrand of
the bound of `likelihood.kl_bound`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pointillist.diffusion.config import Training
from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.schedules import Path


@dataclass(frozen=True)
class Batch:
    """Noisy points and the posterior means that the network should answer with."""

    x: Tensor
    """x_t, (B, 2)."""
    t: Tensor
    """Times of the path, (B,)."""
    target: Tensor
    """Target of x_0, (B, 2)."""
    weight: Tensor
    """How much more often than drawn the point's noise level should count, (B,)."""

    def every(self, k: int) -> Batch:
        """Return each k-th point: noise levels are even along a batch, so they stay so."""
        return Batch(self.x[::k], self.t[::k], self.target[::k], self.weight[::k])


# Batches drawn at once: on so few points, starting an operation costs more than the operation.
_AHEAD = 16

_DIMENSIONS = 7
"""Uniform numbers behind a point of a batch: time, anchor, 2 x noise, spread, 2 x bandwidth."""


def uniform_draws(n: int, rule: str, generator: torch.Generator) -> Callable[[int], Tensor]:
    """Return a function that draws uniform numbers (k, n, 7) for k batches; `rule` is training.draws.

    ``lattice``: a Kronecker lattice (the R_d sequence of Roberts 2018) that every batch shifts at
    random (Cranley & Patterson 1976). Each point is uniform on its own, and together they fill the
    cube far more evenly than chance, so the gradient has less variance. ``stratified``: only the
    times are spread, one into each of n equal strata. ``independent``: nothing is. ``shared``: one
    time serves the whole batch.
    """
    device = generator.device
    index = torch.arange(n, dtype=torch.float64)
    strata = (index / n).float().to(device)
    lattice = (index[:, None] * _kronecker_steps(_DIMENSIONS)).remainder(1).float().to(device)
    lattice[:, 0] = strata

    def draw(k: int) -> Tensor:
        if rule == "lattice":
            shift = torch.rand(k, 1, _DIMENSIONS, generator=generator, device=device)
            shift[..., 0] /= n
            return (lattice + shift).remainder_(1)
        u = torch.rand(k, n, _DIMENSIONS, generator=generator, device=device)
        if rule == "stratified":
            u[..., 0] = strata + u[..., 0] / n
        if rule == "shared":
            u[..., 0] = u[:, :1, 0]
        return u

    return draw


def _kronecker_steps(dimensions: int) -> Tensor:
    """Powers of 1 / phi_d, where phi_d^(d + 1) = phi_d + 1, (d,) in float64."""
    phi = 2.0
    for _ in range(64):
        phi = (1 + phi) ** (1 / (dimensions + 1))
    return phi ** -torch.arange(1, dimensions + 1, dtype=torch.float64)


def gaussian(u: Tensor) -> Tensor:
    """Turn uniform numbers (n, 2) into standard normal ones (n, 2) (Box & Muller 1958)."""
    radius = (-2 * u[:, :1].clamp(min=1e-7).log()).sqrt()
    angle = 2 * math.pi * u[:, 1:]
    return radius * torch.cat((angle.cos(), angle.sin()), -1)


def reference_mixture(
    density: GaussianMixture, source: Tensor, size: int, generator: torch.Generator
) -> GaussianMixture:
    """Return a mixture of about `size` anchors that contains the batch's true sources.

    Stable target field (Xu et al. 2023, section 4, algorithm 1): the posterior mean over a
    reference batch that holds the true source is a consistent estimate at a cost that does not grow
    with N. Anchors are drawn by their weights, so that in the subset they count alike.
    """
    extra = density.draw_anchors(max(0, size - len(source)), generator)
    return GaussianMixture(density.anchors[torch.cat((source, extra))], density.bandwidth)


def noise_levels(
    path: Path, bandwidth: float, exponent: float | None
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    r"""Return a function from uniform numbers (n,) to times (n,) of `path` and their weights (n,).

    With an `exponent` :math:`k`, the noise ratio :math:`\rho = \tau / \alpha` around an anchor has the
    density :math:`\rho^{-k} / Z` per unit of :math:`\log \rho` over the path's range, drawn by its
    inverse distribution function. Weights :math:`\rho^k Z / \log(\rho_{max} / \rho_{min})` make up for
    that, as in importance sampling: whatever k is, the loss is a mean over even :math:`\log \rho`,
    and what k changes is where it is known well. Without, the times are those that the path itself
    finds equally likely, and count alike.
    """
    if exponent is None:
        return lambda u: (path.quantile(u), torch.ones_like(u))
    ends = torch.stack([path.quantile(torch.tensor(u, dtype=torch.float64)) for u in (0.0, 1.0)])
    ratios = path.sigma(ends) / path.alpha(ends)
    low, high = (ratios.square() + bandwidth**2).sqrt().tolist()
    extent, least = math.log(high / low), ratios[0].item()
    total = (low**-exponent - high**-exponent) / exponent if exponent else extent

    def levels(u: Tensor) -> tuple[Tensor, Tensor]:
        if exponent:
            rho = (low**-exponent - u * exponent * total) ** (-1 / exponent)
        else:
            rho = low * (high / low) ** u
        ratio = (rho.square() - bandwidth**2).clamp(min=least**2).sqrt()
        return path.time(ratio), rho**exponent * (total / extent)

    return levels


class Batches(Iterator[Batch]):
    """Training batches without end, which can be taken up again where they were.

    Exact targets are right wherever they are asked for, not only where the data puts x_t. So with
    them each point's noise is widened by a factor from [1, ``training.noise_spread``], and the
    network learns what to do with the stray points that it would hardly ever see.
    """

    def __init__(
        self, density: GaussianMixture, path: Path, training: Training, generator: torch.Generator
    ) -> None:
        self._density, self._path, self._training = density, path, training
        self._generator = generator
        self._size = min(training.batch_size, training.dataset_size or training.batch_size)
        self._epochs = _Epochs(density, training, generator) if training.dataset_size else None
        self._draw = uniform_draws(self._size, training.draws, generator)
        self._levels = noise_levels(path, density.bandwidth, training.noise_exponent)
        self._block: Iterator[Batch] = iter(())
        self._begin_block()

    def __next__(self) -> Batch:
        """Return the next batch."""
        if self._taken == _AHEAD:
            self._begin_block()
        self._taken += 1
        return next(self._block)

    def place(self) -> dict[str, Tensor]:
        """Return where the batches are: tensors that `take_up` understands, on the CPU."""
        return {**self._block_start, "taken": torch.tensor(self._taken)}

    def place_before(self) -> dict[str, Tensor]:
        """Return where they were one batch ago."""
        return {**self._block_start, "taken": torch.tensor(self._taken - 1)}

    def take_up(self, place: dict[str, Tensor]) -> None:
        """Go on as at `place`: the same batches follow as followed there."""
        self._generator.set_state(place["generator"])
        if self._epochs is not None:
            order = place["order"].to(self._density.anchors.device)
            self._epochs.order, self._epochs.position = order, int(place["position"])
        self._begin_block()
        for _ in range(int(place["taken"])):
            next(self)

    def _begin_block(self) -> None:
        self._block_start = {"generator": self._generator.get_state()}
        if self._epochs is not None:
            self._block_start["order"] = self._epochs.order
            self._block_start["position"] = torch.tensor(self._epochs.position)
        self._taken, self._block = 0, self._next_block()

    def _next_block(self) -> Iterator[Batch]:
        density, path, training = self._density, self._path, self._training
        exact = training.target == "posterior"
        spread = training.noise_spread if exact else 1.0
        u = self._draw(_AHEAD).flatten(0, 1)
        if self._epochs is None:
            source = density.anchor_at(u[:, 1])
            x0 = density.anchors[source] + density.bandwidth * gaussian(u[:, 5:])
        else:
            x0, source = self._epochs.take(_AHEAD)
        t, weight = self._levels(u[:, 0])
        alpha, sigma = path.alpha(t), path.sigma(t)
        eps = gaussian(u[:, 2:4]) * (1 + (spread - 1) * u[:, 4:5])
        x = alpha[:, None] * x0 + sigma[:, None] * eps
        if not exact:
            yield from map(Batch, *(part.split(self._size) for part in (x, t, x0, weight)))
            return
        for i in range(0, len(x), self._size):
            rows = slice(i, i + self._size)
            truth = density
            if len(density.anchors) > training.reference_anchors:
                truth = reference_mixture(
                    density, source[rows], training.reference_anchors, self._generator
                )
            target = truth.denoise(x[rows], alpha[rows], sigma[rows])
            yield Batch(x[rows], t[rows], target, weight[rows])


class _Epochs:
    """One fixed draw of points and their anchors, walked through in shuffled epochs."""

    def __init__(
        self, density: GaussianMixture, training: Training, generator: torch.Generator
    ) -> None:
        size = training.dataset_size or training.batch_size
        self._points = density.sample(size, generator)
        self._generator, self._batch_size = generator, training.batch_size
        # The last, smaller batch of an epoch is left out, unless there is no other.
        self._whole = max(1, size // training.batch_size) * training.batch_size
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
            if self.position >= min(self._whole, len(self.order)):
                self._shuffle()
            index.append(self.order[self.position : self.position + self._batch_size])
            self.position += self._batch_size
        chosen = torch.cat(index)
        return self._points[0][chosen], self._points[1][chosen]


batches = Batches
"""What training draws its batches from."""


def loss(denoiser: Denoiser, batch: Batch, weighting: str) -> Tensor:
    """Return the weighted mean squared error of the network's output; a scalar."""
    return squared_errors(denoiser, batch, weighting).mean()


def squared_errors(denoiser: Denoiser, batch: Batch, weighting: str) -> Tensor:
    """Return what `loss` is the mean of, (B, 2)."""
    target, weight = _output_target(denoiser, batch, weighting)
    return weight * (denoiser.predict(batch.x, batch.t) - target) ** 2


def floor(denoiser: Denoiser, batch: Batch, density: GaussianMixture, weighting: str) -> Tensor:
    """Return the loss that the exact denoiser has on the same batch: what no network gets below.

    It is 0 where the target itself is exact.
    """
    path = denoiser.path
    exact = density.denoise(batch.x, path.alpha(batch.t), path.sigma(batch.t))
    target, weight = _output_target(denoiser, batch, weighting)
    ideal, _ = _output_target(denoiser, replace(batch, target=exact), weighting)
    return (weight * (ideal - target) ** 2).mean()


def _output_target(denoiser: Denoiser, batch: Batch, weighting: str) -> tuple[Tensor, Tensor]:
    """Return F* (B, 2) and the weight (B, 1) of its squared error."""
    alpha, sigma = denoiser.path.alpha(batch.t), denoiser.path.sigma(batch.t)
    c = denoiser.coefficients(alpha, sigma)
    target = (batch.target - c.c_skip[:, None] * batch.x) / c.c_out[:, None]
    if weighting == "likelihood":
        return target, (batch.weight * (c.c_out * alpha / sigma) ** 2)[:, None]
    return target, batch.weight[:, None]
