"""Explain: set what the network says beside what is right, everywhere on a grid."""

from __future__ import annotations

from pointillist import models, rendering
from pointillist.progress import track
from pointillist.rendering.config import Rendering


def draw_scores(denoiser: models.TrainedDenoiser, seed: int, device: str) -> rendering.Figure:
    """Draw the learned score beside the exact one, and the denoiser's error, at five noise levels."""
    return rendering.explanations.scores(denoiser, seed, device)


def draw_density(denoiser: models.TrainedDenoiser, device: str) -> rendering.Figure:
    """Draw the density of the network's probability-flow ODE beside the true one."""
    return rendering.explanations.density(denoiser, device)


def draw_trajectories(denoiser: models.TrainedDenoiser, seed: int) -> rendering.Figure:
    """Draw trajectories of points: the network's, the exact ones, and those of other schedules."""
    return rendering.explanations.trajectories(denoiser, seed)


def film_training(
    training_snapshots: models.Snapshots,
    denoiser: models.TrainedDenoiser,
    rendering_: Rendering,
    seed: int,
) -> tuple[rendering.Figure, bytes]:
    """Show samples of the network from the same noise at some steps of its training."""
    steps, clouds = rendering.views.snapshot_samples(training_snapshots, denoiser, seed)
    between = max(1, round((rendering_.n_frames - 1) / max(1, len(steps) - 1)))
    film = rendering.views.film_of(denoiser, rendering_)
    frames = rendering.animation.draw_training(
        clouds, steps, denoiser.ghosts(), film, frames_between=between
    )
    tracked = track(frames, "Rendering", (len(steps) - 1) * between + 1, unit="frame")
    gif = rendering.encoders.encode_gif(
        (frame.image for frame in tracked),
        fps=rendering_.fps,
        hold_seconds=rendering_.hold_seconds,
    )
    strip = rendering.figures.training_strip(
        clouds, steps, denoiser.ghosts(), denoiser.stretch, rendering_.point_size
    )
    return strip, gif
