r"""What the network regresses on, and with which weight.

The target of x_0 is turned into a target of the network's own output F by inverting the
preconditioning, :math:`F^* = (x_0^* - c_{skip} x_t) / c_{out}`, and the loss is the mean of
:math:`w |F - F^*|^2` over points and coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pointillist.diffusion.denoiser import Denoiser, coefficients
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.schedules import Path
from pointillist.parameters import Training


@dataclass(frozen=True)
class Batch:
    """Noisy points and the posterior means that the network should answer with."""

    x: Tensor
    """x_t, (B, 2)."""
    t: Tensor
    """Times of the path, (B,)."""
    target: Tensor
    """Target of x_0, (B, 2)."""


def draw_times(path: Path, n: int, rule: str, generator: torch.Generator) -> Tensor:
    """Draw n training times; `rule` is ``training.noise_levels``."""
    device = generator.device
    if rule == "shared":
        u = torch.rand(1, generator=generator, device=device).expand(n)
    else:
        u = torch.rand(n, generator=generator, device=device)
    if rule == "stratified":
        u = (torch.arange(n, device=device) + u) / n
    return path.quantile(u)


def reference_mixture(
    density: GaussianMixture, source: Tensor, size: int, generator: torch.Generator
) -> GaussianMixture:
    """Return a mixture of about `size` anchors that contains the batch's true sources.

    Stable target field (Xu et al. 2023, section 4, algorithm 1): the posterior mean over a reference batch that
    holds the true source is a consistent estimate at a cost that does not grow with N.
    """
    others = max(0, size - len(source))
    extra = torch.randint(
        len(density.anchors), (others,), generator=generator, device=source.device
    )
    return GaussianMixture(density.anchors[torch.cat((source, extra))], density.bandwidth)


def make_batch(
    x0: Tensor,
    source: Tensor,
    density: GaussianMixture,
    path: Path,
    training: Training,
    generator: torch.Generator,
) -> Batch:
    """Noise x0 (B, 2), drawn from anchors `source` (B,), and find its targets."""
    t = draw_times(path, len(x0), training.noise_levels, generator)
    alpha, sigma = path.alpha(t), path.sigma(t)
    eps = torch.randn(x0.shape, generator=generator, device=x0.device)
    x = alpha[:, None] * x0 + sigma[:, None] * eps
    if training.target == "sample":
        return Batch(x, t, x0)
    if len(density.anchors) > training.reference_anchors:
        density = reference_mixture(density, source, training.reference_anchors, generator)
    return Batch(x, t, density.denoise(x, alpha, sigma))


def loss(denoiser: Denoiser, batch: Batch, weighting: str) -> Tensor:
    """Return the weighted mean squared error of the network's output; a scalar."""
    target, weight = _output_target(denoiser, batch, weighting)
    return (weight * (denoiser.predict(batch.x, batch.t) - target) ** 2).mean()


def floor(denoiser: Denoiser, batch: Batch, density: GaussianMixture, weighting: str) -> Tensor:
    """Return the loss that the exact denoiser has on the same batch: what no network gets below.

    It is 0 where the target itself is exact.
    """
    path = denoiser.path
    exact = density.denoise(batch.x, path.alpha(batch.t), path.sigma(batch.t))
    target, weight = _output_target(denoiser, batch, weighting)
    ideal, _ = _output_target(denoiser, Batch(batch.x, batch.t, exact), weighting)
    return (weight * (ideal - target) ** 2).mean()


def _output_target(denoiser: Denoiser, batch: Batch, weighting: str) -> tuple[Tensor, Tensor]:
    """Return F* (B, 2) and the weight (B, 1) of its squared error."""
    alpha, sigma = denoiser.path.alpha(batch.t), denoiser.path.sigma(batch.t)
    network = denoiser.network
    c_skip, c_out = coefficients(network.prediction, alpha, sigma, network.sigma_data)
    target = (batch.target - c_skip[:, None] * batch.x) / c_out[:, None]
    if weighting == "likelihood":
        return target, (c_out * alpha / sigma)[:, None] ** 2
    return target, torch.ones_like(alpha)[:, None]
