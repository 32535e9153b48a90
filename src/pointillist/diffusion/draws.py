"""What chance gives a batch: uniform numbers, and the noise and noise levels that are made of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pointillist.diffusion.schedules import Path

_DIMENSIONS = 7
"""Uniform numbers behind a point of a batch: time, anchor, 2 x noise, spread, 2 x bandwidth."""


def uniform_draws(k: int, n: int, rule: str, generator: torch.Generator) -> Tensor:
    """Draw the uniform numbers (k, n, 7) behind k batches; `rule` is training.draws.

    ``independent``: all by chance. ``shared``: one time serves a whole batch.
    """
    u = torch.rand(k, n, _DIMENSIONS, generator=generator, device=generator.device)
    if rule == "shared":
        u[..., 0] = u[:, :1, 0]
    return u


def gaussian(u: Tensor) -> Tensor:
    """Turn uniform numbers (n, 2) into standard normal ones (n, 2) (Box & Muller 1958)."""
    radius = (-2 * u[:, :1].clamp(min=1e-7).log()).sqrt()
    angle = 2 * math.pi * u[:, 1:]
    return radius * torch.cat((angle.cos(), angle.sin()), -1)


def noise_level_draws(
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

    def draw(u: Tensor) -> tuple[Tensor, Tensor]:
        if exponent:
            rho = (low**-exponent - u * exponent * total) ** (-1 / exponent)
        else:
            rho = low * (high / low) ** u
        ratio = (rho.square() - bandwidth**2).clamp(min=least**2).sqrt()
        return path.time(ratio), rho**exponent * (total / extent)

    return draw
