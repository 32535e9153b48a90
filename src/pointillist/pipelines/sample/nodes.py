"""Sample: run the reverse chain from pure noise."""

from __future__ import annotations

import pandas as pd

from pointillist import models
from pointillist.diffusion.config import Sampling


def run_reverse_chain(
    denoiser: models.TrainedDenoiser, sampling: Sampling, seed: int, device: str
) -> tuple[models.ReverseChain, pd.DataFrame]:
    """Start from pure noise and follow the denoiser, step by step, until a shape stands there."""
    recorder = models.chain.run_chain(denoiser, sampling, seed, device)
    points = pd.DataFrame(denoiser.original(recorder.samples()), columns=["x", "y"])
    return models.ReverseChain.of(recorder.chain(), denoiser, points, sampling, seed), points
