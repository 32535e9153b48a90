"""Evaluate: hold the samples, and the network itself, against the exact truth."""

from __future__ import annotations

import pandas as pd

from pointillist import diffusion, models
from pointillist.diffusion.config import Evaluation


def measure_samples(
    samples: pd.DataFrame,
    reverse_chain: models.ReverseChain,
    denoiser: models.TrainedDenoiser,
    evaluation: Evaluation,
    seed: int,
    device: str,
) -> tuple[dict[str, float], pd.DataFrame]:
    """Measure how far the samples are from the truth, each figure beside what the truth itself scores.

    The network is measured without samples too: the divergences in nats, and what each noise level
    adds to the bound.
    """
    reverse_chain.require_model(denoiser, samples)
    start = reverse_chain.sampling.start
    metrics, bound = models.measures.measure(
        denoiser, samples.to_numpy(), start, evaluation, seed, device
    )
    return metrics, pd.DataFrame(diffusion.likelihood.risk_by_noise(bound))
