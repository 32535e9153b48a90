"""Uniform numbers that fill space evenly, and what is made of them: noise, and noise levels."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pointillist.diffusion.schedules import Path

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
