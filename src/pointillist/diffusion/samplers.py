r"""The samplers: one function per published algorithm, behind one contract.

A sampler takes ``(denoise, x, levels, generator)``: the posterior mean :math:`D(x_t, t)`, points
:math:`x` (B, 2) at ``levels[0]``, falling noise levels, and the randomness. It yields the points at each
following level; the last one is clean, :math:`\alpha = 1` and :math:`\sigma = 0`.

In every equation a step goes from a level t to the next, s, and

.. math::
    \hat x_0 = D(x_t, t), \quad \hat\epsilon = (x_t - \alpha_t \hat x_0) / \sigma_t, \quad
    r_t = \sigma_t / \alpha_t, \quad h = \log (r_t / r_s), \quad z \sim \mathcal{N}(0, I)

h is the step in :math:`\lambda = \log (\alpha / \sigma)`, half the log signal-to-noise ratio. All are
written for any path :math:`x_t = \alpha_t x_0 + \sigma_t \epsilon`, whether it preserves variance or not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor

from pointillist.diffusion.denoiser import Denoise
from pointillist.diffusion.schedules import Level

Steps = Callable[..., Iterator[Tensor]]
"""(denoise, x, levels, generator, **options) -> the points at each level after the first."""


@dataclass(frozen=True)
class Sampler:
    """A published algorithm as `sampling.sampler` knows it."""

    walk: Steps
    calls: int = 1
    """Calls of the denoiser in a step; with 2, the last step has one."""
    own_times: bool = False
    """Whether its paper goes through the times of a discrete path evenly."""
    options: tuple[str, ...] = ()
    """Members of the group `sampling` that it takes."""


SAMPLERS: dict[str, Sampler] = {}
"""By name: what `sampling.sampler` allows."""


def sampler(
    calls: int = 1, own_times: bool = False, options: tuple[str, ...] = ()
) -> Callable[[Steps], Steps]:
    """Register the function that follows under its name: nothing else is needed to add a sampler."""

    def register(walk: Steps) -> Steps:
        SAMPLERS[walk.__name__] = Sampler(walk, calls, own_times, options)
        return walk

    return register


def steps_within(name: str, evaluations: int) -> int:
    """Return the most steps, at least 1, that the sampler takes with so many calls of the denoiser."""
    return (evaluations + 1) // 2 if SAMPLERS[name].calls == 2 else evaluations


def _at(level: Level, x: Tensor) -> Tensor:
    """Return the level's time as the scalar tensor that a denoiser takes."""
    # Filled where it is: for a copy the host would wait.
    return x.new_full((), cast(float, level.time))


def _noise_like(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=generator)


# --- the reverse Markov chain ---------------------------------------------------------------


def posterior_variance(t: Level, s: Level) -> float:
    r"""Return the variance of q(x_s | x_t, x_0) (Ho et al. 2020, eq. 7; Luo 2022, eq. 85).

    .. math::
        \tilde\sigma^2 = \sigma_{t|s}^2 \sigma_s^2 / \sigma_t^2, \quad
        \sigma_{t|s}^2 = \sigma_t^2 - (\alpha_t / \alpha_s)^2 \sigma_s^2

    In the paper's symbols :math:`\tilde\beta_t = \beta_t (1 - \bar\alpha_{t-1}) / (1 - \bar\alpha_t)`.
    """
    step_variance = t.sigma**2 - (t.alpha / s.alpha * s.sigma) ** 2
    return step_variance * (s.sigma / t.sigma) ** 2


@sampler(own_times=True)
def ddpm(
    denoise: Denoise, x: Tensor, levels: list[Level], generator: torch.Generator
) -> Iterator[Tensor]:
    r"""Ancestral sampling (Ho et al. 2020, arXiv:2006.11239, algorithm 2, with the mean of eq. 7).

    .. math::
        x_s = \frac{\alpha_{t|s} \sigma_s^2 x_t + \alpha_s \sigma_{t|s}^2 \hat x_0}{\sigma_t^2}
              + \tilde\sigma z, \quad \alpha_{t|s} = \alpha_t / \alpha_s

    and the variances of `posterior_variance`. In the paper's symbols the mean is
    :math:`\frac{\sqrt{\alpha_t} (1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t} x_t
    + \frac{\sqrt{\bar\alpha_{t-1}} \beta_t}{1 - \bar\alpha_t} \hat x_0`.
    """
    for t, s in pairwise(levels):
        x0 = denoise(x, _at(t, x))
        ratio = t.alpha / s.alpha
        step_variance = t.sigma**2 - (ratio * s.sigma) ** 2
        mean = (ratio * s.sigma**2 * x + s.alpha * step_variance * x0) / t.sigma**2
        x = mean + math.sqrt(posterior_variance(t, s)) * _noise_like(x, generator)
        yield x


@sampler(own_times=True, options=("eta",))
def ddim(
    denoise: Denoise, x: Tensor, levels: list[Level], generator: torch.Generator, eta: float = 0.0
) -> Iterator[Tensor]:
    r"""Denoising diffusion implicit models (Song, Meng & Ermon 2021, arXiv:2010.02502, eq. 12 and 16).

    .. math:: x_s = \alpha_s \hat x_0 + \sqrt{\sigma_s^2 - \eta^2 \tilde\sigma^2} \, \hat\epsilon
              + \eta \tilde\sigma z

    With eta = 1 that is `ddpm`, with eta = 0 there is no noise.
    """
    for t, s in pairwise(levels):
        x0 = denoise(x, _at(t, x))
        eps = (x - t.alpha * x0) / t.sigma
        variance = eta**2 * posterior_variance(t, s)
        x = s.alpha * x0 + math.sqrt(s.sigma**2 - variance) * eps
        if variance > 0:
            x = x + math.sqrt(variance) * _noise_like(x, generator)
        yield x


# --- the probability-flow ODE ---------------------------------------------------------------


@sampler(own_times=True)
def euler(
    denoise: Denoise, x: Tensor, levels: list[Level], generator: torch.Generator
) -> Iterator[Tensor]:
    r"""Euler's method (Karras et al. 2022, arXiv:2206.00364, algorithm 1 without its lines 6 to 8).

    In :math:`y = x / \alpha` the probability-flow ODE (eq. 4, where s(t) is alpha) is

    .. math:: \frac{dy}{dr} = d(y, r) = (y - \hat x_0) / r, \quad y_s = y_t + (r_s - r_t) \, d(y_t, r_t)

    A step equals one of `ddim` with eta = 0, and of Euler's method on the straight paths of flow
    matching (Lipman et al. 2023), whatever the schedule.
    """
    for t, s in pairwise(levels):
        slope = (x / t.alpha - denoise(x, _at(t, x))) / t.noise_ratio
        x = s.alpha * (x / t.alpha + (s.noise_ratio - t.noise_ratio) * slope)
        yield x


@sampler(calls=2)
def heun(
    denoise: Denoise, x: Tensor, levels: list[Level], generator: torch.Generator
) -> Iterator[Tensor]:
    r"""Heun's second-order method for the same ODE (Karras et al. 2022, algorithm 1).

    .. math:: y' = y_t + (r_s - r_t) \, d(y_t, r_t), \quad
              y_s = y_t + (r_s - r_t) \tfrac12 [d(y_t, r_t) + d(y', r_s)]

    The last step, to r = 0, is Euler's.
    """
    for t, s in pairwise(levels):
        y, step = x / t.alpha, s.noise_ratio - t.noise_ratio
        slope = (y - denoise(x, _at(t, x))) / t.noise_ratio
        ahead = y + step * slope
        if s.time is not None:
            x0 = denoise(s.alpha * ahead, _at(s, x))
            slope = (slope + (ahead - x0) / s.noise_ratio) / 2
        x = s.alpha * (y + step * slope)
        yield x


def _extrapolated(x0: Tensor, h: float, previous: tuple[Tensor, float] | None) -> Tensor:
    r"""Return the posterior mean (B, 2) half a step ahead, by the one before (Lu et al. 2022, alg. 2).

    .. math:: D_i = \hat x_0^{(i)} + \frac{h_i}{2 h_{i-1}} (\hat x_0^{(i)} - \hat x_0^{(i-1)})

    `previous` is the mean and h of the step before, None at first.
    """
    if previous is None:
        return x0
    x0_before, h_before = previous
    return x0 + h / (2 * h_before) * (x0 - x0_before)


@sampler()
def dpmpp_2m(
    denoise: Denoise, x: Tensor, levels: list[Level], generator: torch.Generator
) -> Iterator[Tensor]:
    r"""DPM-Solver++(2M), second order, multistep (Lu et al. 2022, arXiv:2211.01095, algorithm 2).

    .. math:: x_s = \frac{\sigma_s}{\sigma_t} x_t - \alpha_s (e^{-h} - 1) D_i

    with D_i of `_extrapolated`; the limit at the clean end is :math:`\hat x_0`.
    """
    previous: tuple[Tensor, float] | None = None
    for t, s in pairwise(levels):
        x0 = denoise(x, _at(t, x))
        if s.time is None:
            yield x0
            return
        h = math.log(t.noise_ratio / s.noise_ratio)
        guess = _extrapolated(x0, h, previous)
        x = s.sigma / t.sigma * x - s.alpha * math.expm1(-h) * guess
        previous = x0, h
        yield x


# --- the reverse SDE ------------------------------------------------------------------------


@sampler()
def sde(
    denoise: Denoise, x: Tensor, levels: list[Level], generator: torch.Generator
) -> Iterator[Tensor]:
    r"""Euler-Maruyama of the reverse SDE (Song et al. 2021, arXiv:2011.13456, eq. 6).

    In :math:`y = x / \alpha` the noise explodes (eq. 9), and with the score of y,

    .. math:: y_s = y_t + (r_t^2 - r_s^2) \nabla \log p(y_t) + \sqrt{r_t^2 - r_s^2} \, z, \quad
              \nabla \log p(y_t) = (\hat x_0 - y_t) / r_t^2

    The last step would add noise that nothing removes; :math:`\hat x_0` stands in its place.
    """
    for t, s in pairwise(levels):
        x0 = denoise(x, _at(t, x))
        if s.time is None:
            yield x0
            return
        y, score = x / t.alpha, (x0 - x / t.alpha) / t.noise_ratio**2
        variance = t.noise_ratio**2 - s.noise_ratio**2
        y = y + variance * score + math.sqrt(variance) * _noise_like(x, generator)
        x = s.alpha * y
        yield x


@sampler()
def dpmpp_2m_sde(
    denoise: Denoise, x: Tensor, levels: list[Level], generator: torch.Generator
) -> Iterator[Tensor]:
    r"""SDE-DPM-Solver++(2M), `dpmpp_2m` for the reverse SDE (Lu et al. 2022, section 5).

    .. math:: x_s = \frac{\sigma_s}{\sigma_t} e^{-h} x_t + \alpha_s (1 - e^{-2h}) D_i
              + \sigma_s \sqrt{1 - e^{-2h}} \, z

    The noise of the SDE is drawn exactly, whatever the step; only the posterior mean is extrapolated.
    """
    previous: tuple[Tensor, float] | None = None
    for t, s in pairwise(levels):
        x0 = denoise(x, _at(t, x))
        if s.time is None:
            yield x0
            return
        h = math.log(t.noise_ratio / s.noise_ratio)
        guess = _extrapolated(x0, h, previous)
        share = -math.expm1(-2 * h)
        x = s.sigma / t.sigma * math.exp(-h) * x + s.alpha * share * guess
        x = x + s.sigma * math.sqrt(share) * _noise_like(x, generator)
        previous = x0, h
        yield x
