r"""Gaussian paths ``x_t = alpha_t x_0 + sigma_t eps``: which noise there is at which time.

A path has a time of its own (an integer step, log sigma, or the flow's t), which rises with the noise.
``noise_ratio`` = sigma / alpha, the inverse square root of the signal-to-noise ratio, compares
paths: it is the sigma of Karras et al. 2022.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from pointillist.diffusion.config import Schedule
from pointillist.errors import PointillistError

# Beside noise of deviation 1, single precision resolves differences of 1e-7.
_LEAST_ALPHA = 1e-7


class Level(NamedTuple):
    """A point of the path: its time (None where there is no noise left), alpha and sigma."""

    time: float | None
    alpha: float
    sigma: float

    @property
    def noise_ratio(self) -> float:
        """Sigma / alpha."""
        return self.sigma / self.alpha


CLEAN = Level(None, 1.0, 0.0)


class Path(Protocol):
    """What every Gaussian path offers. Times, alphas and sigmas are tensors of equal shape."""

    def alpha(self, t: Tensor) -> Tensor:
        """Scale of the signal."""

    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise."""

    def quantile(self, u: Tensor) -> Tensor:
        """Time below which the share u in [0, 1] of the training times lies."""

    def time(self, noise_ratio: Tensor) -> Tensor:
        """Return the path's time at which sigma / alpha comes (nearest to) `noise_ratio`."""

    def timestep(self, t: Tensor) -> Tensor:
        """Time on the scale of discrete steps, which the embeddings of the originals expect."""


class _Copies:
    """A tensor on every device that asks for it, copied there once: a host waits for a copy."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor, self._copies = tensor, {tensor.device: tensor}

    def on(self, device: torch.device) -> Tensor:
        """Return it on `device`."""
        if device not in self._copies:
            self._copies[device] = self._tensor.to(device)
        return self._copies[device]


@dataclass(frozen=True)
class DiscretePath:
    """Variance-preserving path of T steps; its time is the integer step 0 … T - 1.

    ``alphas_cumprod`` (T,) is bar alpha_t of Ho et al. 2020, eq. 4.
    """

    alphas_cumprod: Tensor

    def alpha(self, t: Tensor) -> Tensor:
        """sqrt(bar alpha_t)."""
        return self._table(t).sqrt()

    def sigma(self, t: Tensor) -> Tensor:
        """sqrt(1 - bar alpha_t)."""
        return (1 - self._table(t)).sqrt()

    def quantile(self, u: Tensor) -> Tensor:
        """Every step is equally likely."""
        return (u * len(self.alphas_cumprod)).floor().clamp(max=len(self.alphas_cumprod) - 1)

    def time(self, noise_ratio: Tensor) -> Tensor:
        """Return the step whose log noise ratio is nearest."""
        between = self._between.on(noise_ratio.device)
        return torch.bucketize(noise_ratio.log().to(between), between).to(noise_ratio.dtype)

    def timestep(self, t: Tensor) -> Tensor:
        """Return the step itself."""
        return t

    def _table(self, t: Tensor) -> Tensor:
        # In brackets, an index of no dimensions would be read by the host.
        steps = self._alphas_cumprod.on(t.device).index_select(0, t.long().reshape(-1))
        return steps.view(t.shape).to(t.dtype)

    @cached_property
    def _alphas_cumprod(self) -> _Copies:
        return _Copies(self.alphas_cumprod)

    @cached_property
    def _between(self) -> _Copies:
        table = 0.5 * torch.log1p(-self.alphas_cumprod) - 0.5 * torch.log(self.alphas_cumprod)
        return _Copies((table[1:] + table[:-1]) / 2)


@dataclass(frozen=True)
class LogUniformPath:
    """Variance-exploding path, alpha = 1; its time is log sigma (Karras et al. 2022)."""

    sigma_min: float
    sigma_max: float

    def alpha(self, t: Tensor) -> Tensor:
        """1."""
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        """exp(t)."""
        return t.exp()

    def quantile(self, u: Tensor) -> Tensor:
        """Log sigma is uniform between its bounds."""
        low, high = math.log(self.sigma_min), math.log(self.sigma_max)
        return low + (high - low) * u

    def time(self, noise_ratio: Tensor) -> Tensor:
        """Log of the noise ratio."""
        return noise_ratio.log()

    def timestep(self, t: Tensor) -> Tensor:
        """0 … 1000 between the bounds."""
        low, high = math.log(self.sigma_min), math.log(self.sigma_max)
        return 1000 * (t - low) / (high - low)


@dataclass(frozen=True)
class RectifiedFlowPath:
    """Straight path, alpha = 1 - t, sigma = t (Liu et al. 2022; Lipman et al. 2023 with t reversed).

    t stays within the times at which sigma / alpha is `ratio_min` and `ratio_max`.
    """

    ratio_min: float
    ratio_max: float

    def alpha(self, t: Tensor) -> Tensor:
        """1 - t."""
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        """Return t."""
        return t

    def quantile(self, u: Tensor) -> Tensor:
        """Time is uniform between its bounds."""
        low, high = self.ratio_min / (1 + self.ratio_min), self.ratio_max / (1 + self.ratio_max)
        return low + (high - low) * u

    def time(self, noise_ratio: Tensor) -> Tensor:
        """R / (1 + R)."""
        return noise_ratio / (1 + noise_ratio)

    def timestep(self, t: Tensor) -> Tensor:
        """1000 t."""
        return 1000 * t


def make_path(schedule: Schedule) -> Path:
    """Return the path that the parameters describe.

    Raises
    ------
    PointillistError
        If the last of discrete steps leaves less of the shape than single precision can hold.
    """
    if schedule.kind == "log_uniform":
        return LogUniformPath(schedule.sigma_min, schedule.sigma_max)
    if schedule.kind == "rectified_flow":
        return RectifiedFlowPath(schedule.sigma_min, schedule.sigma_max)
    alphas_cumprod = _alphas_cumprod(schedule)
    if (left := alphas_cumprod[-1].sqrt().item()) < _LEAST_ALPHA:
        raise PointillistError(
            f"Parameters schedule.beta_end={schedule.beta_end:g} and schedule.timesteps="
            f"{schedule.timesteps} leave {left:.1g} of the shape at the last step; single precision "
            f"holds {_LEAST_ALPHA:g}. Lower one of them."
        )
    return DiscretePath(alphas_cumprod)


def _alphas_cumprod(schedule: Schedule) -> Tensor:
    """Bar alpha_t of the discrete schedules, (T,) in float64."""
    T, start, end = schedule.timesteps, schedule.beta_start, schedule.beta_end
    if schedule.kind == "linear":
        beta = torch.linspace(start, end, T, dtype=torch.float64)
    elif schedule.kind == "quadratic":
        beta = torch.linspace(start**0.5, end**0.5, T, dtype=torch.float64) ** 2
    elif schedule.kind == "sigmoid":
        beta = start + (end - start) * torch.linspace(-6, 6, T, dtype=torch.float64).sigmoid()
    else:
        bar = _cosine(torch.linspace(0, 1, T + 1, dtype=torch.float64))
        # Capped, as in the paper, or the last step would leave nothing of the signal.
        beta = (1 - bar[1:] / bar[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - beta, 0)


def _cosine(u: Tensor, s: float = 0.008) -> Tensor:
    """Bar alpha of Nichol & Dhariwal 2021, eq. 17, up to a factor."""
    return torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2


def level_at(path: Path, t: float) -> Level:
    """Return the path's alpha and sigma at time `t`, in double precision."""
    time = torch.tensor(t, dtype=torch.float64)
    return Level(t, path.alpha(time).item(), path.sigma(time).item())


def noisiest(path: Path, sigma_max: float | None = None) -> Level:
    """Where the reverse chain starts: the path's noisiest level at or below the ratio `sigma_max`."""
    own = level_at(path, path.quantile(torch.tensor(1.0, dtype=torch.float64)).item())
    return own if sigma_max is None or own.noise_ratio <= sigma_max else _at_ratio(path, sigma_max)


def cleanest(path: Path, sigma_min: float | None = None) -> Level:
    """Return the path's least noisy level at or above the ratio `sigma_min`."""
    own = level_at(path, path.quantile(torch.tensor(0.0, dtype=torch.float64)).item())
    return own if sigma_min is None or own.noise_ratio >= sigma_min else _at_ratio(path, sigma_min)


def _at_ratio(path: Path, noise_ratio: float) -> Level:
    return level_at(path, path.time(torch.tensor(noise_ratio, dtype=torch.float64)).item())


def noise_levels(
    path: Path,
    steps: int,
    rho: float | None = None,
    sigma_max: float | None = None,
    sigma_min: float | None = None,
) -> list[Level]:
    """Noise levels of a chain of `steps` steps, from the noisiest to clean: steps + 1 of them.

    Parameters
    ----------
    steps
        A discrete path has at most T distinct levels; where levels coincide the chain is shorter.
    rho
        Even in sigma^(1/rho), Karras et al. 2022, eq. 5; None: even in the path's own time.
    sigma_max, sigma_min
        Greatest and least noise ratio; None: the path's own, which also bound them.
    """
    u = torch.linspace(1, 0, steps, dtype=torch.float64) if steps > 1 else torch.ones(1).double()
    top, bottom = noisiest(path, sigma_max), cleanest(path, sigma_min)
    if rho is None:
        low, high = (torch.tensor(end.time, dtype=torch.float64) for end in (bottom, top))
        times = low + (high - low) * u
        times = times.round() if isinstance(path, DiscretePath) else times
    else:
        first, last = top.noise_ratio, bottom.noise_ratio
        times = path.time((last ** (1 / rho) + u * (first ** (1 / rho) - last ** (1 / rho))) ** rho)
    distinct = torch.unique(times).flip(0).tolist()
    return [*(level_at(path, t) for t in distinct), CLEAN]
