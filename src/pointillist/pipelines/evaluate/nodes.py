"""Evaluate: hold the samples, and the network itself, against the exact truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pointillist import artifacts, diffusion
from pointillist.datasets import Tensors
from pointillist.parameters import Evaluation

if TYPE_CHECKING:
    import torch


def measure_samples(
    samples: pd.DataFrame,
    reverse_chain: Tensors,
    denoiser: Tensors,
    evaluation: Evaluation,
    seed: int,
    device: str,
) -> dict[str, float]:
    """Measure how far the samples are from the truth, each figure beside what the truth itself scores."""
    artifacts.chain.require_same_model(reverse_chain, denoiser, samples)
    model = artifacts.checkpoint.unpack(denoiser).to(diffusion.devices.resolve(device))
    generator = diffusion.devices.generator(seed, "evaluate")
    compared = model.standardize(samples.to_numpy()[: evaluation.n_eval])
    anchors = model.standardize(model.points)

    def draw(n: int) -> torch.Tensor:
        return model.standardize(model.original(model.density.sample(n, generator)[0]))

    distances = diffusion.metrics.compare(
        compared,
        anchors,
        draw,
        floor_draws=evaluation.floor_draws,
        projections=evaluation.projections,
        generator=generator,
        exact_w2=evaluation.exact_w2,
    )
    path = model.denoiser.path
    start_rule = reverse_chain.metadata["sampling"]["start"]
    bound = diffusion.likelihood.kl_bound(
        model.denoiser,
        model.density,
        path,
        diffusion.samplers.start_distribution(model.density, path, start_rule),
        nodes=evaluation.noise_levels,
        draws=evaluation.risk_draws,
        generator=generator,
    )
    return {
        "kl_bound_nats": bound.nats,
        "kl_bound_nats_error": bound.standard_error,
        "kl_prior_nats": bound.prior_nats,
        **distances,
        "n_eval": float(len(compared)),
    }
