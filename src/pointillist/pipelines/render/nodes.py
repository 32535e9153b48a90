"""Render: the film of the reverse chain and the figures."""

from __future__ import annotations

import pandas as pd

from pointillist import diffusion, models, rendering
from pointillist.progress import track
from pointillist.rendering.config import Rendering

_STRIP_LEVELS = 7


def animate_chain(
    reverse_chain: models.ReverseChain, denoiser: models.TrainedDenoiser, rendering_: Rendering
) -> dict[str, bytes]:
    """Film the reverse chain: every dot wanders from noise to its place on the shape."""
    frames = rendering.animation.draw_frames(
        reverse_chain.view(denoiser),
        reverse_chain.noise_ratios,
        reverse_chain.chain.steps.numpy(),
        denoiser.ghosts(),
        n_frames=rendering_.frames,
        size=rendering_.size,
        points=rendering_.points,
        title=denoiser.shape,
        note=denoiser.stretch,
        look=rendering.style.look(rendering_.theme, rendering_.palette),
        trails=rendering_.trails,
    )
    tracked = track(frames, "Rendering", rendering_.frames, unit="frame")
    images = [frame.image for frame in tracked]
    return {
        suffix: rendering.animation.ENCODERS[suffix](
            images, fps=rendering_.fps, hold_seconds=rendering_.hold_seconds
        )
        for suffix in {"gif": None, **dict.fromkeys(rendering_.formats)}
    }


def draw_process(
    reverse_chain: models.ReverseChain, denoiser: models.TrainedDenoiser, seed: int
) -> rendering.figures.Figure:
    """Show both directions at the same noise levels: the shape dissolves, noise becomes the shape."""
    noise_ratios = reverse_chain.noise_ratios
    chosen = rendering.animation.spread_over_noise(noise_ratios, _STRIP_LEVELS)
    generator = diffusion.devices.generator(seed, "draw_process")
    return rendering.figures.process_strip(
        reverse_chain.forward_view(denoiser, chosen, generator),
        reverse_chain.view(denoiser)[chosen],
        noise_ratios[chosen],
        denoiser.ghosts(),
        denoiser.stretch,
    )


def draw_loss(training_history: pd.DataFrame) -> rendering.figures.Figure:
    """Plot the training loss beside its floor: what the exact denoiser scores."""
    return rendering.figures.loss_curve(training_history)


def draw_risk(risk_by_noise: pd.DataFrame, metrics: dict[str, float]) -> rendering.figures.Figure:
    """Show where the network errs: what each noise level adds to the certified bound."""
    return rendering.figures.risk_by_noise(risk_by_noise, metrics)


def draw_samples(
    samples: pd.DataFrame, denoiser: models.TrainedDenoiser, metrics: dict[str, float], seed: int
) -> rendering.figures.Figure:
    """Put the samples beside as many fresh draws of the truth, and each metric beside its floor."""
    generator = diffusion.devices.generator(seed, "draw_samples")
    truth, _ = denoiser.density.sample(len(samples), generator)
    return rendering.figures.samples_beside_truth(
        denoiser.pictured(samples.to_numpy()),
        denoiser.pictured(denoiser.original(truth)),
        metrics,
        denoiser.stretch,
    )
