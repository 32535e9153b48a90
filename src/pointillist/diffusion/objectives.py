r"""What the network regresses on, and with which weight.

The target of x_0 is turned into a target of the network's own output F by inverting the
preconditioning, :math:`F^* = (x_0^* - c_{skip} x_t) / c_{out}`, and the loss is the mean of
:math:`w |F - F^*|^2` over points and coordinates. With edm's F that is, at low noise, the integrand of
the bound of `likelihood.kl_bound`.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from pointillist.diffusion.batches import Batch
from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.density import GaussianMixture


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
    return target, (batch.weight * denoiser.error_weight(alpha, sigma, c.c_out))[:, None]
