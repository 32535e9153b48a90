"""Render: the film of the reverse chain and the figures."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from pointillist import models, rendering
from pointillist.progress import track
from pointillist.rendering.config import Rendering


def animate_chain(
    reverse_chain: models.ReverseChain, denoiser: models.TrainedDenoiser, rendering_: Rendering
) -> dict[str, bytes]:
    """Film the reverse chain: every point moves from noise to where it ends on the shape."""
    formats = {"gif": None, **dict.fromkeys(rendering_.formats)}
    rendering.encoders.require(formats)
    frames = rendering.views.chain_frames(reverse_chain, denoiser, rendering_)
    images = [f.image for f in track(frames, "Rendering", rendering_.n_frames, unit="frame")]
    timing = {"fps": rendering_.fps, "hold_seconds": rendering_.hold_seconds}
    return {suffix: rendering.encoders.ENCODERS[suffix](images, **timing) for suffix in formats}


def draw_process(
    reverse_chain: models.ReverseChain,
    denoiser: models.TrainedDenoiser,
    rendering_: Rendering,
    seed: int,
) -> rendering.Figure:
    """Show both directions at the same noise levels: the shape dissolves, noise becomes the shape."""
    return rendering.views.process(reverse_chain, denoiser, rendering_.point_size, seed)


def draw_bandwidth(denoiser: models.TrainedDenoiser) -> Iterator[rendering.Figure]:
    """Plot the likelihood of which data.bandwidth=auto took the maximum; yield nothing if it was given.

    Kedro saves what a node yields, so a run without that choice has no such picture.
    """
    if denoiser.leave_one_out:
        yield rendering.curves.leave_one_out(denoiser.leave_one_out)


def draw_loss(training_history: pd.DataFrame) -> rendering.Figure:
    """Plot the training loss beside its floor: what the exact denoiser scores."""
    return rendering.curves.loss_curve(training_history)


def draw_risk(risk_by_noise: pd.DataFrame, metrics: dict[str, float]) -> rendering.Figure:
    """Show where the network errs: what each noise level adds to the certified bound."""
    return rendering.curves.risk_by_noise(risk_by_noise, metrics)


def draw_samples(
    samples: pd.DataFrame,
    denoiser: models.TrainedDenoiser,
    metrics: dict[str, float],
    rendering_: Rendering,
    seed: int,
) -> rendering.Figure:
    """Put the samples beside as many fresh draws of the truth, and each metric beside its floor."""
    return rendering.views.samples_beside_truth(
        samples, denoiser, metrics, rendering_.point_size, seed
    )
