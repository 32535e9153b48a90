"""Render: the film of the reverse chain and the figures."""

from __future__ import annotations

import pandas as pd

from pointillist import artifacts, diffusion, rendering
from pointillist.datasets import Tensors
from pointillist.progress import track
from pointillist.rendering.config import Rendering

_STRIP_LEVELS = 7


def animate_chain(
    reverse_chain: Tensors, denoiser: Tensors, rendering_: Rendering
) -> dict[str, bytes]:
    """Film the reverse chain: every dot wanders from noise to its place on the shape."""
    model = artifacts.checkpoint.unpack(denoiser)
    states, noise_ratios = artifacts.chain.view(reverse_chain, model)
    frames = rendering.animation.draw_frames(
        states,
        noise_ratios,
        artifacts.chain.unpack(reverse_chain).steps.numpy(),
        model.ghosts(),
        rendering.animation.film_of(rendering_, model.shape, model.stretch),
        n_frames=rendering_.n_frames,
        points=rendering_.points,
    )
    tracked = track(frames, "Rendering", rendering_.n_frames, unit="frame")
    images = [frame.image for frame in tracked]
    return {
        suffix: rendering.encoders.ENCODERS[suffix](
            images, fps=rendering_.fps, hold_seconds=rendering_.hold_seconds
        )
        for suffix in {"gif": None, **dict.fromkeys(rendering_.formats)}
    }


def draw_process(
    reverse_chain: Tensors, denoiser: Tensors, rendering_: Rendering, seed: int
) -> rendering.figures.Figure:
    """Show both directions at the same noise levels: the shape dissolves, noise becomes the shape."""
    model = artifacts.checkpoint.unpack(denoiser)
    states, noise_ratios = artifacts.chain.view(reverse_chain, model)
    chosen = rendering.animation.spread_over_noise(noise_ratios, _STRIP_LEVELS)
    generator = diffusion.devices.generator(seed, "draw_process")
    forward = artifacts.chain.forward_view(reverse_chain, model, chosen, generator)
    return rendering.figures.process_strip(
        forward,
        states[chosen],
        noise_ratios[chosen],
        model.ghosts(),
        model.stretch,
        rendering_.point_size,
    )


def draw_loss(training_history: pd.DataFrame) -> rendering.figures.Figure:
    """Plot the training loss beside its floor: what the exact denoiser scores."""
    return rendering.curves.loss_curve(training_history)


def draw_risk(risk_by_noise: pd.DataFrame, metrics: dict[str, float]) -> rendering.figures.Figure:
    """Show where the network errs: what each noise level adds to the certified bound."""
    return rendering.curves.risk_by_noise(risk_by_noise, metrics)


def draw_samples(
    samples: pd.DataFrame,
    denoiser: Tensors,
    metrics: dict[str, float],
    rendering_: Rendering,
    seed: int,
) -> rendering.figures.Figure:
    """Put the samples beside as many fresh draws of the truth, and each metric beside its floor."""
    model = artifacts.checkpoint.unpack(denoiser)
    generator = diffusion.devices.generator(seed, "draw_samples")
    truth, _ = model.density.sample(len(samples), generator)
    return rendering.figures.samples_beside_truth(
        model.pictured(samples.to_numpy()),
        model.pictured(model.original(truth)),
        metrics,
        model.stretch,
        rendering_.point_size,
    )
