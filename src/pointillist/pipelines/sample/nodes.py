"""Sample: run the reverse chain from pure noise."""

from __future__ import annotations

import pandas as pd

from pointillist.diffusion.config import Sampling
from pointillist.models import ReverseChain, TrainedDenoiser
from pointillist.models.chain import run_chain


def run_reverse_chain(
    denoiser: TrainedDenoiser, sampling: Sampling, seed: int, device: str
) -> tuple[ReverseChain, pd.DataFrame]:
    """Start from pure noise and follow the denoiser, step by step, until a shape stands there."""
    recorder = run_chain(denoiser, sampling, seed, device)
    points = pd.DataFrame(denoiser.original(recorder.samples()), columns=["x", "y"])
    return ReverseChain.of(recorder.chain(), denoiser, points, sampling, seed), points
