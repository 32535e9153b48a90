r"""How far the model is from the truth, in nats, certified rather than estimated from samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pointillist.diffusion.denoiser import Denoise
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.schedules import Level, Path, level, noisiest


@dataclass(frozen=True)
class KLBound:
    """An upper bound of KL(truth || samples of the reverse SDE), and where it comes from."""

    nats: float
    standard_error: float
    prior_nats: float
    """The part that comes from where the chain starts."""
    noise_ratios: Tensor
    """Quadrature nodes sigma / alpha, (M,), rising."""
    nats_per_log_ratio: Tensor
    """E|D - D*|^2 / (sigma / alpha)^2 at the nodes, (M,): nats per unit of log noise ratio."""


@torch.inference_mode()
def kl_bound(
    denoise: Denoise,
    density: GaussianMixture,
    path: Path,
    start: tuple[Tensor, Tensor],
    *,
    nodes: int,
    draws: int,
    generator: torch.Generator,
) -> KLBound:
    r"""Bound KL(truth || samples of the reverse SDE) by Girsanov's theorem.

    .. math:: KL \le KL(p_T || \pi) + \int \frac{E |D - D^*|^2}{r^2} d \log r, \quad r = \sigma / \alpha

    (Song et al. 2021, arXiv:2101.09258, theorem 1, with the score written as a denoiser). "Truth" is
    the density at the path's least noise, where the integral begins; on its finite range the
    integral is taken by the trapezoidal rule over at most `nodes` levels, each with `draws` draws.
    D* is exact, in double precision.
    """
    exact = density.to("cpu", torch.float64)
    rungs = _nodes(path, nodes)
    risk, error = torch.zeros(len(rungs)).double(), torch.zeros(len(rungs)).double()
    for i, rung in enumerate(rungs):
        x0, _ = exact.sample(draws, generator)
        noise = torch.randn(draws, 2, generator=generator, dtype=torch.float64)
        x = (rung.alpha * x0 + rung.sigma * noise).float()
        ideal = exact.denoise(x.double(), rung.alpha, rung.sigma)
        device = density.anchors.device
        time = torch.tensor(rung.time, dtype=torch.float32, device=device)
        answer = denoise(x.to(device), time).cpu().double()
        excess = (answer - ideal).square().sum(-1) / rung.noise_ratio**2
        risk[i], error[i] = excess.mean(), excess.std() / draws**0.5
    ratios = torch.tensor([rung.noise_ratio for rung in rungs], dtype=torch.float64)
    weights = _trapezoid_weights(ratios.log())
    prior, prior_error = _prior_nats(exact, path, start, generator)
    return KLBound(
        nats=prior + (weights @ risk).item(),
        standard_error=((weights * error).square().sum().item() + prior_error**2) ** 0.5,
        prior_nats=prior,
        noise_ratios=ratios,
        nats_per_log_ratio=risk,
    )


def _nodes(path: Path, nodes: int) -> list[Level]:
    """Levels about even in log noise ratio over the path's whole range, rising."""
    ends = [path.quantile(torch.tensor(u, dtype=torch.float64)).item() for u in (0.0, 1.0)]
    low, high = (level(path, t).noise_ratio for t in ends)
    grid = torch.logspace(0, 1, nodes, base=high / low, dtype=torch.float64) * low
    return [level(path, t) for t in torch.unique(path.time(grid)).tolist()]


def _trapezoid_weights(x: Tensor) -> Tensor:
    weights = torch.zeros_like(x)
    weights[:-1] += x.diff() / 2
    weights[1:] += x.diff() / 2
    return weights


def _prior_nats(
    exact: GaussianMixture,
    path: Path,
    start: tuple[Tensor, Tensor],
    generator: torch.Generator,
    draws: int = 20_000,
) -> tuple[float, float]:
    """KL(p_T || N(mean, covariance)) and its standard error."""
    top = noisiest(path)
    x0, _ = exact.sample(draws, generator)
    noise = torch.randn(draws, 2, generator=generator, dtype=torch.float64)
    x = top.alpha * x0 + top.sigma * noise
    prior = torch.distributions.MultivariateNormal(*start)
    log_ratio = exact.log_prob(x, top.alpha, top.sigma) - prior.log_prob(x)
    return log_ratio.mean().item(), (log_ratio.std() / draws**0.5).item()
