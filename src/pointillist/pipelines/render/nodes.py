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
        n_frames=rendering_.frames,
        size=rendering_.size,
        points=rendering_.points,
        title=model.shape,
        note=model.stretch,
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


def draw_process(reverse_chain: Tensors, denoiser: Tensors, seed: int) -> rendering.figures.Figure:
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
    )


def draw_loss(training_history: pd.DataFrame) -> rendering.figures.Figure:
    """Plot the training loss beside its floor: what the exact denoiser scores."""
    return rendering.figures.loss_curve(training_history)


def draw_risk(risk_by_noise: pd.DataFrame, metrics: dict[str, float]) -> rendering.figures.Figure:
    """Show where the network errs: what each noise level adds to the certified bound."""
    return rendering.figures.risk_by_noise(risk_by_noise, metrics)


def draw_samples(
    samples: pd.DataFrame, denoiser: Tensors, metrics: dict[str, float], seed: int
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
    )
