"""Explain: set what the network says beside what is right, everywhere on a grid."""

from __future__ import annotations

from matplotlib.figure import Figure

from pointillist import rendering
from pointillist.models import Snapshots, TrainedDenoiser
from pointillist.progress import track
from pointillist.rendering import explanations, views
from pointillist.rendering.config import Rendering


def draw_scores(denoiser: TrainedDenoiser, seed: int, device: str) -> Figure:
    """Draw the learned score beside the exact one, and the denoiser's error, at five noise levels."""
    return explanations.scores(denoiser, seed, device)


def draw_density(denoiser: TrainedDenoiser, device: str) -> Figure:
    """Draw the density of the network's probability-flow ODE beside the true one."""
    return explanations.density(denoiser, device)


def draw_trajectories(denoiser: TrainedDenoiser, seed: int) -> Figure:
    """Draw trajectories of points: the network's, the exact ones, and those of other schedules."""
    return explanations.trajectories(denoiser, seed)


def film_training(
    training_snapshots: Snapshots, denoiser: TrainedDenoiser, rendering_: Rendering, seed: int
) -> tuple[Figure, bytes]:
    """Show samples of the network from the same noise at some steps of its training."""
    steps, clouds = views.snapshot_samples(training_snapshots, denoiser, seed)
    between = max(1, round((rendering_.n_frames - 1) / max(1, len(steps) - 1)))
    film = views.film_of(denoiser, rendering_)
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
