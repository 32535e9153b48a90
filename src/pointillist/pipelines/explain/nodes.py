"""Explain: set what the network says beside what is right, everywhere on a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pointillist import artifacts, diffusion, rendering
from pointillist.datasets import Tensors
from pointillist.diffusion.config import Sampling, Schedule
from pointillist.progress import track
from pointillist.rendering.config import Rendering

if TYPE_CHECKING:
    import torch

_RATIOS = (1.0, 0.4, 0.16, 0.06, 0.02)
_SCORE_SIDE, _DENSITY_SIDE, _DENSITY_RATIO, _DENSITY_STEPS = 160, 110, 0.05, 40
_POINTS, _STEPS = 200, 60
_MOMENT_POINTS, _MOMENT_STEPS = 1500, 20


def draw_scores(denoiser: Tensors, seed: int, device: str) -> rendering.figures.Figure:
    """Draw the learned score beside the exact one, and the denoiser's error, at five noise levels."""
    where = diffusion.devices.resolve(device)
    model = artifacts.checkpoint.unpack(denoiser).to(where)
    places, window = _grid(model, _SCORE_SIDE, 0.35)
    found = diffusion.fields.fields(
        diffusion.devices.reached_from_cpu(model.denoiser, where),
        model.density,
        model.denoiser.path,
        _RATIOS,
        places,
        diffusion.devices.generator(seed, "draw_scores"),
    )
    stretch = _stretch(model)
    planes = [
        rendering.fields.Plane(
            field.noise_ratio,
            field.exact.numpy() * stretch,
            field.learned.numpy() * stretch,
            field.error.numpy(),
            field.log_density.numpy(),
            field.edge,
        )
        for field in track(found, "Fields", len(_RATIOS), unit="level")
    ]
    return rendering.fields.score_fields(planes, window, model.stretch)


def draw_density(denoiser: Tensors, device: str) -> rendering.figures.Figure:
    """Draw the density of the network's probability-flow ODE beside the true one."""
    where = diffusion.devices.resolve(device)
    model = artifacts.checkpoint.unpack(denoiser).to(where)
    places, window = _grid(model, _DENSITY_SIDE, 0.2)
    path = model.denoiser.path
    found = diffusion.fields.densities(
        diffusion.devices.reached_from_cpu(model.denoiser, where),
        model.density,
        diffusion.samplers.start_distribution(model.density, path, "moments"),
        diffusion.likelihood.even_levels(path, _DENSITY_STEPS, _DENSITY_RATIO),
        places,
    )
    return rendering.fields.ode_density(
        found.exact.numpy(),
        found.learned.numpy(),
        window,
        noise_ratio=found.noise_ratio,
        divergence=found.divergence,
        masses=found.masses,
        note=model.stretch,
    )


def draw_trajectories(denoiser: Tensors, seed: int) -> rendering.figures.Figure:
    """Draw the ways of points: the network's, the exact ones, and those of other schedules."""
    model = artifacts.checkpoint.unpack(denoiser)
    own, stretch = model.denoiser.path, _stretch(model)
    exact = diffusion.denoiser.exact_denoiser
    # Of a million points a part is enough for the eye, and for the ways of 200.
    some = model.density.anchors.new_tensor(model.normalizer.apply(model.some_points()))
    truth = diffusion.density.GaussianMixture(some, model.density.bandwidth)
    truth = truth if len(model.points) > len(some) else model.density
    paths = {
        "cosine": diffusion.schedules.make_path(Schedule(kind="cosine")),
        "rectified flow": diffusion.schedules.make_path(Schedule(kind="rectified_flow")),
    }
    panels: list[tuple[str, diffusion.denoiser.Denoise, diffusion.schedules.Path]] = [
        ("the network", model.denoiser, own),
        ("the exact denoiser", exact(truth, own), own),
        *((f"exact, {name}", exact(truth, path), path) for name, path in paths.items()),
    ]
    ways = []
    for name, denoise, path in panels:
        states = _ways(denoise, path, model, seed)
        ways.append(rendering.fields.Trajectories(name, states * stretch))
    truth = (model.some_points() - np.array(model.normalizer.center)) / model.picture_scale
    return rendering.fields.trajectories(ways, truth, model.stretch)


def film_training(
    training_snapshots: Tensors, denoiser: Tensors, rendering_: Rendering, seed: int
) -> tuple[rendering.figures.Figure, bytes]:
    """Show what the network painted from the same noise at some moments of its training."""
    model = artifacts.checkpoint.unpack(denoiser)
    steps, clouds = moments_of(training_snapshots, denoiser, model, seed)
    between = max(1, round((rendering_.n_frames - 1) / max(1, len(steps) - 1)))
    frames = rendering.animation.draw_training(
        clouds,
        steps,
        model.ghosts(),
        rendering.animation.film_of(rendering_, model.shape, model.stretch),
        frames_between=between,
    )
    total = (len(steps) - 1) * between + 1
    tracked = track(frames, "Rendering", total, unit="frame")
    film = rendering.encoders.encode_gif(
        (frame.image for frame in tracked),
        fps=rendering_.fps,
        hold_seconds=rendering_.hold_seconds,
    )
    strip = rendering.figures.training_strip(
        clouds, steps, model.ghosts(), model.stretch, rendering_.point_size
    )
    return strip, film


def moments_of(
    training_snapshots: Tensors,
    denoiser: Tensors,
    model: artifacts.checkpoint.Checkpoint,
    seed: int,
    sampling: Sampling | None = None,
) -> tuple[list[int], np.ndarray]:
    """Return the steps of the kept moments, and samples (K, n, 2) at each, in pictures' coordinates.

    They are drawn as `sampling` says, or else by a few steps along the flow.
    """
    few = Sampling(
        sampler="dpmpp_2m",
        steps=_MOMENT_STEPS,
        rho=20.0,
        sigma_max=3.0,
        sigma_min=0.004,
        n_samples=_MOMENT_POINTS,
    )
    if sampling is not None:
        few = sampling.model_copy(update={"n_samples": _MOMENT_POINTS})
    steps, clouds = [], []
    for step, network in artifacts.snapshots.denoisers(training_snapshots, denoiser):
        generator = diffusion.devices.generator(seed, "film_training")
        drawn = diffusion.samplers.draw(network, model.density, few, generator)
        steps.append(step)
        clouds.append(model.pictured(model.original(drawn)))
    return steps, np.array(clouds)


def _ways(
    denoise: diffusion.denoiser.Denoise,
    path: diffusion.schedules.Path,
    model: artifacts.checkpoint.Checkpoint,
    seed: int,
) -> np.ndarray:
    """Return the states (steps + 1, n, 2) of Heun's method along a path, as the path has them.

    Where sigma grows beyond 1, as on Karras et al.'s path, they are seen variance-preserving.
    """
    sampling = Sampling(sampler="heun", steps=_STEPS, rho=20.0, n_samples=_POINTS)
    start = diffusion.samplers.start_distribution(model.density, path, "moments")
    generator = diffusion.devices.generator(seed, "draw_trajectories")
    chain = diffusion.samplers.reverse_chain(denoise, path, start, sampling, _POINTS, generator)
    states = list(chain)
    norms = [max(1.0, float(np.hypot(s.level.alpha, s.level.sigma))) for s in states]
    return np.array(
        [state.x.double().numpy() / norm for state, norm in zip(states, norms, strict=True)]
    )


def _grid(
    model: artifacts.checkpoint.Checkpoint, side: int, room: float
) -> tuple[torch.Tensor, rendering.style.Limits]:
    """Return a grid of model coordinates around the shape, and its window as pictures have it."""
    anchors = model.density.anchors
    low, high = anchors.amin(0), anchors.amax(0)
    margin = room * float((high - low).max())
    low, high = low - margin, high + margin
    ends = [tuple(end.tolist()) for end in (low, high)]
    stretch = _stretch(model)
    left, bottom = (low.numpy() * stretch).tolist()
    right, top = (high.numpy() * stretch).tolist()
    places = diffusion.fields.grid((ends[0][0], ends[0][1]), (ends[1][0], ends[1][1]), side)
    return places, rendering.style.Limits(left, right, bottom, top)


def _stretch(model: artifacts.checkpoint.Checkpoint) -> np.ndarray:
    """Return the factors (2,) from model coordinates to the proportions of pictures."""
    return np.array(model.normalizer.scale) / model.picture_scale
