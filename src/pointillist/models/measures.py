"""Every metric of a trained denoiser and its samples."""

from __future__ import annotations

import math

import numpy as np
import torch

from pointillist import diffusion
from pointillist.diffusion.config import Evaluation
from pointillist.models.denoiser import TrainedDenoiser


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
    return {**nats, **distances, "n_eval": float(len(compared))}, bound


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
    )
    ode = diffusion.likelihood.kl_ode(
        denoise,
        model.density,
        path,
        start,
        steps=evaluation.ode_steps,
        draws=evaluation.ode_draws,
        generator=generator,
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
