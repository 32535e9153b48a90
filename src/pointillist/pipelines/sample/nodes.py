"""Sample: run the reverse chain from pure noise."""

from __future__ import annotations

import pandas as pd

from pointillist import diffusion, models
from pointillist.diffusion.config import Sampling
from pointillist.progress import track


def run_reverse_chain(
    denoiser: models.TrainedDenoiser, sampling: Sampling, seed: int, device: str
) -> tuple[models.ReverseChain, pd.DataFrame]:
    """Start from pure noise and follow the denoiser, step by step, until a shape stands there."""
    recorder = run_chain(denoiser, sampling, seed, device)
    points = pd.DataFrame(denoiser.original(recorder.samples()), columns=["x", "y"])
    return models.ReverseChain.of(recorder.chain(), denoiser, points, sampling, seed), points


def run_chain(
    model: models.TrainedDenoiser, sampling: Sampling, seed: int, device: str
) -> diffusion.samplers.Recorder:
    """Run the chain of this seed: every sampler starts from the same noise."""
    where = diffusion.devices.resolve(device)
    model = model.to(where)
    path = model.denoiser.path
    start = diffusion.samplers.start_distribution(
        model.density, path, sampling.start, sampling.sigma_max
    )
    states = diffusion.samplers.sample(
        model.denoiser, path, start, sampling, diffusion.devices.generator(seed, "sample", where)
    )
    steps = len(diffusion.samplers.chain_levels(path, sampling)) - 1
    recorder = diffusion.samplers.Recorder(sampling.n_frames, steps)
    for state in track(states, "Sampling", diffusion.samplers.total_steps(path, sampling)):
        recorder.add(state)
    return recorder
