r"""How far the model is from the truth, in nats, certified rather than estimated from samples.

Along the probability-flow ODE, in :math:`y = x / \alpha` and the noise ratio :math:`r = \sigma / \alpha`,

.. math::
    \frac{dy}{d \log r} &= y - D \\
    \frac{d \log q(y)}{d \log r} &= -\nabla \cdot (y - D) = \operatorname{tr} \partial D / \partial y - 2

(Karras et al. 2022, eq. 4; Chen et al. 2018, theorem 1; Song et al. 2021, arXiv:2011.13456, eq. 39).
`kl_ode` compares the density that this gives with the truth; `kl_bound` bounds what the reverse SDE
loses, and needs no derivative of D.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from pointillist.diffusion.coarse import tractable
from pointillist.diffusion.denoiser import DTYPE, AtLevel, Denoise, Denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.schedules import Level, Path, cleanest, level_at, noisiest
from pointillist.runtime import parallel

BLOCK = 256
"""Points whose likelihood is taken at once: what their derivatives need should stay in caches."""
# Draws at each node that only say where more are needed, and the fewest that count.
_PILOT, _FEWEST = 128, 16
_ALIKE = 7
_LEAST_GROWTH = 1.1
# Draws of the first round of `kl_ode`.
_FIRST = 512
# Share of log noise ratio in the solver's time: single precision's rounding of the slopes grows by
# at most its inverse.
_EVEN_SHARE = 0.25


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
    standard_errors: Tensor
    """Those of `nats_per_log_ratio`, (M,)."""

    def with_prior(self, nats: float, error: float) -> KLBound:
        """Return it with what the start of the chain adds, and the standard error of that."""
        together = math.hypot(self.standard_error, error)
        return replace(
            self, nats=self.nats + nats, standard_error=together, prior_nats=self.prior_nats + nats
        )


class RiskBin(NamedTuple):
    """What a range of noise levels adds to the bound."""

    noise_ratio_low: float
    noise_ratio_high: float
    nats: float
    nats_error: float


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
    error: float = 0.0,
) -> KLBound:
    r"""Bound KL(truth || samples of the reverse SDE) by Girsanov's theorem.

    .. math:: KL \le KL(p_T || \pi) + \int \frac{E |D - D^*|^2}{r^2} d \log r, \quad r = \sigma / \alpha

    (Song et al. 2021, arXiv:2101.09258, theorem 1, with the score written as a denoiser). "Truth" is
    the density at the path's least noise, where the integral begins; on its finite range the
    integral is taken by the trapezoidal rule over at most `nodes` levels, each with at most `draws`
    draws: as many as bring its standard error to the share `error` of it (`risk_bound`). D* is exact,
    in double precision (of very many anchors, as `coarse` has it); `denoise` is called with CPU tensors.
    `risk_by_noise` splits the integral.
    """
    exact = density.to("cpu", torch.float64)
    risk = risk_bound(
        denoise, exact, path, nodes=nodes, draws=draws, generator=generator, error=error
    )
    prior, prior_error = prior_nats(exact, path, start, generator)
    return risk.with_prior(prior, prior_error)


@torch.inference_mode()
def risk_bound(
    denoise: Denoise,
    exact: GaussianMixture,
    path: Path,
    *,
    nodes: int,
    draws: int,
    generator: torch.Generator,
    error: float = 0.0,
) -> KLBound:
    """Return the integral of `kl_bound` alone: as if the chain started from the truth itself.

    If `error` is 0 there are `draws` at each node. Else draws are shared out in proportion to a node's
    weight times its deviation (Neyman 1934), 16 to `draws` a node, until the standard error is at most
    the share `error` of the integral. The deviations are those of first draws that are not counted: a
    node that happens to draw no great error must not be believed the sooner for it. `exact` is on the
    CPU, in float64.
    """
    levels = even_levels(path, nodes)

    def drawn(counts: Tensor) -> list[Tensor]:
        return risk_draws(exact, levels, counts, generator).excess(denoise)

    ratios, weights = _quadrature(levels)
    counts = torch.full((len(levels),), draws)
    if error:
        counts = _allotted(weights, drawn(counts.clamp(max=_PILOT)), error, draws)
    found = drawn(counts)
    bound = _integrated(ratios, weights, found)
    while bound.standard_error > error * bound.nats and counts.min() < draws:
        missing = max((bound.standard_error / (error * bound.nats)) ** 2, _LEAST_GROWTH)
        grown = (counts * missing).ceil().long().clamp(max=draws)
        more = drawn(grown - counts)
        found, counts = [torch.cat(both) for both in zip(found, more, strict=True)], grown
        bound = _integrated(ratios, weights, found)
    return bound


@dataclass(frozen=True)
class RiskDraws:
    """Noisy points at some levels and the exact answers there, on which any denoiser is held."""

    levels: Sequence[Level]
    x: Sequence[Tensor]
    """x_t of each level, (n, 2)."""
    ideal: Sequence[Tensor]
    """E[x_0 | x_t] there, (n, 2)."""

    def excess(self, denoise: Denoise, stride: int = 1) -> list[Tensor]:
        """Return |D - D*|^2 / (sigma / alpha)^2 at each `stride`-th point of a level, (n,), float64."""

        def of(level: Level, x: Tensor, ideal: Tensor) -> Tensor:
            if not len(x):
                return x.new_zeros(0, dtype=torch.float64)
            answer = denoise(x[::stride].to(DTYPE), torch.tensor(level.time, dtype=DTYPE)).double()
            return (answer - ideal[::stride]).square().sum(-1) / level.noise_ratio**2

        asked = zip(self.levels, self.x, self.ideal, strict=True)
        return parallel(lambda at: of(*at), asked, self.x[0].device)

    @torch.inference_mode()
    def bound(self, denoise: Denoise, stride: int = 1) -> KLBound:
        """Return what `risk_bound` does, taken on each `stride`-th point."""
        return _integrated(*_quadrature(self.levels), self.excess(denoise, stride))


@torch.inference_mode()
def risk_draws(
    exact: GaussianMixture, levels: Sequence[Level], counts: Tensor, generator: torch.Generator
) -> RiskDraws:
    """Draw so many points (M,) at each level of a mixture on the CPU, and take E[x_0 | x_t] there."""
    truth = tractable(exact)
    # A denoiser is asked in single precision, so the truth is asked at what that makes of a point.
    noisy = [
        exact.sample(count, generator, level.alpha, level.sigma)[0].to(DTYPE).to(exact.anchors)
        for level, count in zip(levels, counts.tolist(), strict=True)
    ]

    def ideal(level: Level, x: Tensor) -> Tensor:
        return truth.denoise(x, level.alpha, level.sigma) if len(x) else x

    answers = parallel(lambda at: ideal(*at), zip(levels, noisy, strict=True), exact.anchors.device)
    return RiskDraws(levels, noisy, answers)


def _quadrature(levels: Sequence[Level]) -> tuple[Tensor, Tensor]:
    """Return the levels' noise ratios (M,), and their weights in an integral over log ratio."""
    ratios = torch.tensor([level.noise_ratio for level in levels], dtype=torch.float64)
    return ratios, _trapezoid_weights(ratios.log())


def _allotted(weights: Tensor, pilot: Sequence[Tensor], error: float, most: int) -> Tensor:
    """Return the draws (M,) at each node for a relative standard error of their weighted sum."""
    values = torch.stack(list(pilot))
    # Great errors are rare: neighbours, of which some have drawn one, are alike.
    moments = torch.stack((values.mean(-1), values.square().mean(-1)))
    smooth = torch.nn.functional.avg_pool1d(
        moments, _ALIKE, stride=1, padding=_ALIKE // 2, count_include_pad=False
    )
    spread = weights * (smooth[1] - smooth[0].square()).clamp(min=0.0).sqrt()
    needed = spread * spread.sum() / (error * (weights @ moments[0])) ** 2
    # Where nothing is wrong there is nothing to find, and what diverges stays so.
    return needed.nan_to_num(nan=0.0).clamp(min(_FEWEST, most), most).ceil().long()


def _integrated(ratios: Tensor, weights: Tensor, excess: Sequence[Tensor]) -> KLBound:
    risk = torch.stack([values.mean() for values in excess])
    errors = torch.stack([values.std() / len(values) ** 0.5 for values in excess])
    return KLBound(
        nats=(weights @ risk).item(),
        standard_error=(weights * errors).norm().item(),
        prior_nats=0.0,
        noise_ratios=ratios,
        nats_per_log_ratio=risk,
        standard_errors=errors,
    )


def prior_nats(
    exact: GaussianMixture,
    path: Path,
    start: tuple[Tensor, Tensor],
    generator: torch.Generator,
    draws: int = 20_000,
) -> tuple[float, float]:
    """Return KL(p_T || `start`) in nats, where the chain starts, and its standard error.

    `exact` is on the CPU, in float64.
    """
    top = noisiest(path)
    x, _ = exact.sample(draws, generator, top.alpha, top.sigma)
    log_ratio = tractable(exact).log_prob(x, top.alpha, top.sigma) - _gaussian_log_prob(x, start)
    return log_ratio.mean().item(), (log_ratio.std() / draws**0.5).item()


def risk_by_noise(bound: KLBound, bins_per_decade: int = 4) -> list[RiskBin]:
    """Split the bound's integral over noise levels into bins of equal log width, rising.

    Each bin has its part of the same trapezoids, so the bins and the prior term add up to the bound.
    """
    nodes = bound.noise_ratios.log()
    decades = (nodes[-1] - nodes[0]).item() / math.log(10)
    bins = max(1, round(bins_per_decade * decades))
    edges = torch.linspace(nodes[0].item(), nodes[-1].item(), bins + 1, dtype=torch.float64)
    places = torch.cat((nodes, edges[1:-1])).unique()
    hats = _hat_functions(nodes, places)
    trapezoids = places.diff()[:, None] * (hats[1:] + hats[:-1]) / 2
    index = torch.bucketize((places[1:] + places[:-1]) / 2, edges) - 1
    weights = torch.zeros(bins, len(nodes)).double().index_add_(0, index, trapezoids)
    nats = weights @ bound.nats_per_log_ratio
    errors = (weights * bound.standard_errors).square().sum(-1).sqrt()
    ends = edges.exp().tolist()
    rows = zip(ends, ends[1:], nats.tolist(), errors.tolist(), strict=False)
    return [RiskBin(*row) for row in rows]


@dataclass(frozen=True)
class ODEDivergence:
    """KL(truth || samples of the probability-flow ODE), with both of its errors."""

    nats: float
    standard_error: float
    """Over the draws."""
    step_error: float
    """By how much the result moves when the steps are twice as long, over the first `BLOCK` draws;
    nan if the path has a single step."""


class Frame(NamedTuple):
    r"""Coordinates z and a time u in which the flow of any shape moves little: what the solver works in.

    In :math:`z = (y - m) / \sqrt{v + r^2}` a Gaussian of the shape's mean m and variance v per axis
    stands still. Nothing of the shape shows where the noise is far greater than it, or far less than
    the width h of its Gaussians, and there

    .. math:: u = \tfrac12 \log \frac{\tau^2}{v + \tau^2} + \tfrac14 \log r, \quad \tau^2 = h^2 + r^2

    passes slowly: steps even in u are spent where the shape appears.
    """

    mean: Tensor
    """(2,)."""
    variance: float
    bandwidth: float

    @classmethod
    def of(cls, density: GaussianMixture) -> Frame:
        """Return that of a density."""
        mean, covariance = density.moments()
        return cls(mean, covariance.trace().item() / 2, density.bandwidth)

    def scale(self, level: Level) -> float:
        """Return what z = 1 is in y."""
        return math.sqrt(self.variance + level.noise_ratio**2)

    def time(self, noise_ratio: Tensor) -> Tensor:
        """Return u at noise ratios, float64."""
        tau2 = self.bandwidth**2 + noise_ratio**2
        return (tau2 / (self.variance + tau2)).log() / 2 + _EVEN_SHARE * noise_ratio.log()

    def speed(self, level: Level) -> float:
        """Return du / d log r."""
        tau2 = self.bandwidth**2 + level.noise_ratio**2
        seen = level.noise_ratio**2 / tau2 * self.variance / (self.variance + tau2)
        return seen + _EVEN_SHARE


def kl_ode(
    denoise: Denoise,
    density: GaussianMixture,
    path: Path,
    start: tuple[Tensor, Tensor],
    *,
    steps: int,
    draws: int,
    generator: torch.Generator,
    error: float = 0.0,
) -> ODEDivergence:
    r"""Return :math:`E_p[\log p - \log q]` over fresh draws of p, q by the exact probability-flow ODE.

    p is the truth at the path's least noise, as in `kl_bound`; log p and log q are taken at the same
    draws, so that the entropy's variance cancels. There are at most `draws`, until their standard error
    is at most `error` nats (0: all). q is the density from which the ODE carries `start` there:
    `ode_log_prob` over about `steps` steps, the `ode_levels`. A discrete path is followed at its own
    times only, since its network was trained at no others: its first steps are as long as the schedule
    makes them, which `step_error` shows. `denoise` is called with CPU tensors in single precision; all
    sums are in double.
    """
    exact = density.to("cpu", torch.float64)
    truth, frame = tractable(exact), Frame.of(exact)
    levels = ode_levels(path, steps, frame)
    least = levels[0]

    def drawn(n: int) -> Sequence[Tensor]:
        x, _ = exact.sample(n, generator, least.alpha, least.sigma)
        return (x / least.alpha).split(BLOCK)

    levelled = _Levelled(denoise, levels)

    def log_ratio(y: Tensor, levels: Sequence[Level]) -> Tensor:
        log_p = truth.log_prob(y, 1.0, least.noise_ratio)
        return log_p - _ode_log_prob(levelled, y, levels, start, frame)

    def log_ratios(tasks: Iterable[tuple[Tensor, Sequence[Level]]]) -> list[Tensor]:
        return parallel(lambda task: log_ratio(*task), tasks, exact.anchors.device)

    blocks = drawn(min(draws, _FIRST))
    tasks = [(block, levels) for block in blocks]
    *found, twice = log_ratios([*tasks, (blocks[0], [*levels[:-1:2], levels[-1]])])
    moved = (found[0] - twice).mean().abs().item()
    fine = torch.cat(found)
    # Where it diverges it has no error, and more draws don't help.
    while (missing := _draws_missing(fine, error, draws)) > 0:
        fine = torch.cat((fine, *log_ratios((block, levels) for block in drawn(missing))))
    return ODEDivergence(
        nats=fine.mean().item(),
        standard_error=(fine.std() / len(fine) ** 0.5).item(),
        # A single step can't be halved.
        step_error=moved if len(levels) > 2 else math.nan,
    )


def _draws_missing(values: Tensor, error: float, most: int) -> int:
    """Return how many more of `values` bring their mean's standard error to `error`, up to `most`."""
    if not error:
        return most - len(values)
    needed = (values.std() / error).square().nan_to_num(nan=0.0).clamp(max=most)
    return int(needed.ceil()) - len(values)


def ode_log_probs(
    denoise: Denoise,
    y: Tensor,
    levels: Sequence[Level],
    start: tuple[Tensor, Tensor],
    frame: Frame,
) -> Tensor:
    """Return `ode_log_prob` of any number of points y (n, 2), block by block side by side; nats, (n,)."""
    levelled = _Levelled(denoise, levels)
    blocks = parallel(
        lambda block: _ode_log_prob(levelled, block, levels, start, frame), y.split(BLOCK), y.device
    )
    return torch.cat(blocks)


def ode_log_prob(
    denoise: Denoise,
    y: Tensor,
    levels: Sequence[Level],
    start: tuple[Tensor, Tensor],
    frame: Frame,
) -> Tensor:
    r"""Log-density of y = x / alpha (B, 2), float64, at the first of the rising `levels`; nats, (B,).

    The ODE starts from the Gaussian `start` of x at the last level. It is integrated in the
    coordinates and the time of `frame`, in which the solver is left with what the shape does. It is a
    predictor-corrector with steps of any length, Adams-Bashforth of order 3 and Adams-Moulton of
    order 4 (Hairer, Norsett & Wanner 1993, section III.5), which asks for D at the levels alone.
    """
    return _ode_log_prob(_Levelled(denoise, levels), y, levels, start, frame)


class _Levelled:
    """A denoiser at some levels, with what depends on a level alone worked out once, where it can be."""

    def __init__(self, denoise: Denoise, levels: Sequence[Level]) -> None:
        self._denoise = denoise
        self._at: dict[float | None, AtLevel] = {}
        if isinstance(denoise, Denoiser) and denoise.output.weight.device.type == "cpu":
            times = [level.time for level in levels]
            self._at = {t: denoise.at(torch.tensor(t, dtype=DTYPE)) for t in times}

    def __call__(self, x: Tensor, level: Level) -> Tensor:
        """Return D (B, 2)."""
        if level.time in self._at:
            return self._at[level.time].answer(x.to(DTYPE)).to(x)
        return self._denoise(x.to(DTYPE), torch.tensor(level.time, dtype=DTYPE)).to(x)

    def with_trace(self, x: Tensor, level: Level) -> tuple[Tensor, Tensor]:
        """Return D (B, 2), and the trace of its Jacobian by x at each point, (B,)."""
        at = self._at.get(level.time)
        if at is not None and at.with_trace is not None:
            value, trace = at.with_trace(x.to(DTYPE))
            return value.to(x), trace.to(x)
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            value = self(x, level)
            (first,) = torch.autograd.grad(value[:, 0].sum(), x, retain_graph=True)
            (second,) = torch.autograd.grad(value[:, 1].sum(), x)
        return value.detach(), first[:, 0] + second[:, 1]


@torch.no_grad()
def _ode_log_prob(
    denoise: _Levelled,
    y: Tensor,
    levels: Sequence[Level],
    start: tuple[Tensor, Tensor],
    frame: Frame,
) -> Tensor:
    centre, variance, _ = frame
    times = frame.time(torch.tensor([level.noise_ratio for level in levels]).double()).tolist()
    scales = [frame.scale(level) for level in levels]
    speeds = [frame.speed(level) for level in levels]

    def place(z: Tensor, k: int) -> Tensor:
        return levels[k].alpha * (centre + scales[k] * z)

    def slope(z: Tensor, x0: Tensor, k: int) -> Tensor:
        return (variance / scales[k] ** 2 * z - (x0 - centre) / scales[k]) / speeds[k]

    z = (y - centre) / scales[0]
    slopes: list[Tensor] = []
    divergences: list[Tensor] = []
    log_volume = torch.full_like(y[:, 0], 2 * math.log(scales[-1] / scales[0]))
    for k in range(len(levels)):
        past, step = times[max(0, k - 3) : k], times[max(0, k - 1) : k + 1]
        if k:
            ahead = z + _integral(slopes[-3:], past, step)
            predicted = slope(ahead, denoise(place(ahead, k), levels[k]), k)
            z = z + _integral([*slopes[-3:], predicted], [*past, times[k]], step)
        x0, trace = denoise.with_trace(place(z, k), levels[k])
        trace = trace * levels[k].alpha * scales[k]
        slopes.append(slope(z, x0, k))
        divergences.append((2 * variance / scales[k] ** 2 - trace / scales[k]) / speeds[k])
        if k:
            log_volume += _integral(divergences[-4:], [*past, times[k]], step)
    top = levels[-1]
    x = top.alpha * (centre + scales[-1] * z)
    return _gaussian_log_prob(x, start) + 2 * math.log(top.alpha) + log_volume


def _gaussian_log_prob(x: Tensor, gaussian: tuple[Tensor, Tensor]) -> Tensor:
    """Log-density of x (B, 2) under a mean (2,) and a covariance (2, 2); nats, (B,).

    torch.distributions would import a computer algebra system first: half a second.
    """
    mean, covariance = gaussian
    factor = torch.linalg.cholesky(covariance)
    whitened = torch.linalg.solve_triangular(factor, (x - mean).T, upper=False)
    volume = factor.diagonal().log().sum() + math.log(2 * math.pi)
    return -whitened.square().sum(0) / 2 - volume


def _integral(values: Sequence[Tensor], nodes: Sequence[float], step: Sequence[float]) -> Tensor:
    """Integrate the polynomial through `values` at `nodes` over a `step` from low to high."""
    low, high = step
    place = (torch.tensor(nodes, dtype=torch.float64) - low) / (high - low)
    powers = torch.arange(len(nodes), dtype=torch.float64)
    weights = torch.linalg.solve(place ** powers[:, None], 1 / (powers + 1)) * (high - low)
    terms = [w * value for w, value in zip(weights.tolist(), values, strict=True)]
    return torch.stack(terms).sum(0)


def even_levels(path: Path, nodes: int, sigma_min: float | None = None) -> list[Level]:
    """Return levels about even in log noise ratio, from `sigma_min` (None: the path's least) up."""
    return _levels_at(path, _even_ratios(path, nodes, sigma_min))


def ode_levels(path: Path, steps: int, frame: Frame, sigma_min: float | None = None) -> list[Level]:
    """Return the levels of about `steps` steps, even in the time of `frame`, from `sigma_min` up."""
    dense = _even_ratios(path, 4096, sigma_min)
    times = frame.time(dense)
    even = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    even = times[0] + even * (times[-1] - times[0])
    right = torch.searchsorted(times, even).clamp(1, len(times) - 1)
    share = (even - times[right - 1]) / (times[right] - times[right - 1])
    return _levels_at(path, dense[right - 1].lerp(dense[right], share))


def _even_ratios(path: Path, n: int, sigma_min: float | None) -> Tensor:
    low, high = cleanest(path, sigma_min).noise_ratio, noisiest(path).noise_ratio
    return torch.logspace(0, 1, n, base=high / low, dtype=torch.float64) * low


def _levels_at(path: Path, noise_ratios: Tensor) -> list[Level]:
    return [level_at(path, t) for t in torch.unique(path.time(noise_ratios)).tolist()]


def _trapezoid_weights(x: Tensor) -> Tensor:
    weights = torch.zeros_like(x)
    weights[:-1] += x.diff() / 2
    weights[1:] += x.diff() / 2
    return weights


def _hat_functions(nodes: Tensor, places: Tensor) -> Tensor:
    """Weights by which values at `nodes` (M,) are interpolated linearly at `places` (P,): (P, M)."""
    left = (torch.bucketize(places, nodes, right=True) - 1).clamp(0, len(nodes) - 2)[:, None]
    share = (places[:, None] - nodes[left]) / (nodes[left + 1] - nodes[left])
    hats = torch.zeros(len(places), len(nodes)).to(nodes)
    return hats.scatter_(1, left, 1 - share).scatter_(1, left + 1, share)
