"""Every metric of a trained denoiser and its samples."""

from __future__ import annotations

import math

import numpy as np
import torch

from pointillist import diffusion
from pointillist.diffusion.config import Evaluation
from pointillist.models.denoiser import TrainedDenoiser

_ENTROPY_DRAWS = 20_000


def measure(
    model: TrainedDenoiser,
    samples: np.ndarray,
    start_rule: str,
    evaluation: Evaluation,
    seed: int,
    device: str,
) -> tuple[dict[str, float], diffusion.likelihood.KLBound]:
    """Return every metric of a model and its samples (n, 2, original coordinates), and the bound."""
    where = diffusion.devices.resolve(device)
    model = model.to(where)
    generator = diffusion.devices.generator(seed, "evaluate")
    compared = model.standardize(samples[: evaluation.n_eval])
    distances = diffusion.metrics.compare(
        compared,
        model.standardized_density,
        floor_draws=evaluation.floor_draws,
        projections=evaluation.projections,
        generator=generator,
        exact_w2=evaluation.exact_w2,
    )
    nats, bound = _divergences(model, start_rule, evaluation, generator, where)
    surprise: dict[str, float] = {}
    if model.covariances is not None:
        surprise = _fresh(model, nats["kl_ode_nats"], nats["kl_ode_nats_error"], generator)
    if len(model.held_out.points):
        surprise |= _held_out(model, start_rule, evaluation, where) | _memorised(model, compared)
    return {**nats, **surprise, **distances, "n_eval": float(len(compared))}, bound


def _memorised(model: TrainedDenoiser, samples: torch.Tensor) -> dict[str, float]:
    """Return how many samples repeat a training point, beside points that can't have been memorised.

    A sample counts whose nearest training point is less than a third as far as the second nearest (Yoon
    et al. 2023). Data that were held out do so by chance, one in nine where the density is smooth; and
    so do draws of the truth that was learnt, all of them where its dots are narrow.
    """
    points = model.standardize(model.points)
    fresh, _ = model.standardized_density.sample(len(samples), torch.Generator().manual_seed(0))
    others = model.standardize(model.held_out.points)
    return {
        "memorised": diffusion.metrics.share_memorised(samples, points),
        "memorised_floor": diffusion.metrics.share_memorised(others, points),
        "memorised_truth": diffusion.metrics.share_memorised(fresh, points),
    }


def _fresh(
    model: TrainedDenoiser, divergence: float, error: float, generator: torch.Generator
) -> dict[str, float]:
    """Return -log q of fresh draws of what was learnt, in nats and original units, and its entropy.

    The one is the other and KL(truth || q), which is known better than either. All are taken at the
    path's least noise.
    """
    ratio = diffusion.schedules.cleanest(model.denoiser.path).noise_ratio
    y, _ = model.density.sample(_ENTROPY_DRAWS, generator, 1.0, ratio)
    log_p = diffusion.coarse.tractable(model.density).log_prob(y, 1.0, ratio)
    entropy = _log_volume(model) - log_p.mean().item()
    entropy_error = log_p.std().item() / _ENTROPY_DRAWS**0.5
    return {
        "entropy": entropy,
        "entropy_error": entropy_error,
        "nll_fresh": entropy + divergence,
        "nll_fresh_error": math.hypot(entropy_error, error),
        "nll_fresh_floor": entropy,
        "nll_fresh_floor_error": error,
    }


def _log_volume(model: TrainedDenoiser) -> float:
    """Return what -log density gains from model to original coordinates, nats."""
    return math.log(model.normalizer.scale[0] * model.normalizer.scale[1])


def _held_out(
    model: TrainedDenoiser, start_rule: str, evaluation: Evaluation, device: torch.device
) -> dict[str, float]:
    """Return -log q of the points that were held out, in nats and original units, and that of the truth.

    q is the density of the probability-flow ODE, the truth that of what was learnt, both at the path's
    least noise. At most `evaluation.ode_draws` points are taken.
    """
    points, weights, _ = model.held_out
    # Rows of a file may be in order.
    chosen = np.random.default_rng(0).permutation(len(points))[: evaluation.ode_draws]
    y = torch.from_numpy(model.normalizer.apply(points[chosen]))
    path = model.denoiser.path
    frame = diffusion.likelihood.Frame.of(model.density)
    levels = diffusion.likelihood.ode_levels(path, evaluation.ode_steps, frame)
    start = diffusion.chains.start_distribution(model.density, path, start_rule)
    denoise = diffusion.devices.reached_from_cpu(model.denoiser, device)
    with torch.no_grad():
        learnt = diffusion.likelihood.ode_log_probs(denoise, y, levels, start, frame)
    truth = diffusion.coarse.tractable(model.density).log_prob(y, 1.0, levels[0].noise_ratio)
    volume = _log_volume(model)
    shares = torch.ones(len(y)) if weights is None else torch.from_numpy(weights[chosen])
    shares = shares.double() / shares.sum()

    def mean_error(values: torch.Tensor) -> tuple[float, float]:
        centre = shares @ values
        spread = (shares**2) @ (values - centre) ** 2 / (1 - (shares**2).sum())
        return centre.item(), spread.sqrt().item()

    nll, error = mean_error(volume - learnt)
    floor, _ = mean_error(volume - truth)
    return {
        "nll_held_out": nll,
        "nll_held_out_error": error,
        "nll_held_out_floor": floor,
        "nll_held_out_floor_error": mean_error(truth - learnt)[1],
    }


def _divergences(
    model: TrainedDenoiser,
    start_rule: str,
    evaluation: Evaluation,
    generator: torch.Generator,
    device: torch.device,
) -> tuple[dict[str, float], diffusion.likelihood.KLBound]:
    """Return what needs no samples: the divergences in nats with their errors, and the bound."""
    path = model.denoiser.path
    start = diffusion.chains.start_distribution(model.density, path, start_rule)
    denoise = diffusion.devices.reached_from_cpu(model.denoiser, device)
    bound = diffusion.likelihood.kl_bound(
        denoise,
        model.density,
        path,
        start,
        nodes=evaluation.noise_levels,
        draws=evaluation.risk_draws,
        generator=generator,
        error=evaluation.bound_error,
    )
    ode = diffusion.likelihood.kl_ode(
        denoise,
        model.density,
        path,
        start,
        steps=evaluation.ode_steps,
        draws=evaluation.ode_draws,
        generator=generator,
        error=evaluation.ode_error,
    )
    nats = {
        "kl_bound_nats": bound.nats,
        "kl_bound_nats_error": bound.standard_error,
        "kl_prior_nats": bound.prior_nats,
        "kl_ode_nats": ode.nats,
        "kl_ode_nats_error": ode.standard_error,
    }
    if not math.isnan(ode.step_error):  # a path of one step can't be halved
        nats["kl_ode_nats_step_error"] = ode.step_error
    return nats, bound
