"""Render: the film of the reverse chain and the figures."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from pointillist.models import ReverseChain, TrainedDenoiser
from pointillist.progress import track
from pointillist.rendering import curves, encoders, views
from pointillist.rendering.config import Rendering


def animate_chain(
    reverse_chain: ReverseChain, denoiser: TrainedDenoiser, rendering_: Rendering
) -> dict[str, bytes]:
    """Film the reverse chain: every point moves from noise to where it ends on the shape."""
    formats = {"gif": None, **dict.fromkeys(rendering_.formats)}
    encoders.require(formats)
    frames = views.chain_frames(reverse_chain, denoiser, rendering_)
    images = [f.image for f in track(frames, "Rendering", rendering_.n_frames, unit="frame")]
    timing = {"fps": rendering_.fps, "hold_seconds": rendering_.hold_seconds}
    return {suffix: encoders.ENCODERS[suffix](images, **timing) for suffix in formats}


def draw_process(
    reverse_chain: ReverseChain, denoiser: TrainedDenoiser, rendering_: Rendering, seed: int
) -> Figure:
    """Show both directions at the same noise levels: the shape dissolves, noise becomes the shape."""
    return views.process(reverse_chain, denoiser, rendering_.point_size, seed)


def draw_loss(training_history: pd.DataFrame) -> Figure:
    """Plot the training loss beside its floor: what the exact denoiser scores."""
    return curves.loss_curve(training_history)


def draw_risk(risk_by_noise: pd.DataFrame, metrics: dict[str, float]) -> Figure:
    """Show where the network errs: what each noise level adds to the certified bound."""
    return curves.risk_by_noise(risk_by_noise, metrics)


def draw_samples(
    samples: pd.DataFrame,
    denoiser: TrainedDenoiser,
    metrics: dict[str, float],
    rendering_: Rendering,
    seed: int,
) -> Figure:
    """Put the samples beside as many fresh draws of the truth, and each metric beside its floor."""
    return views.samples_beside_truth(samples, denoiser, metrics, rendering_.point_size, seed)
