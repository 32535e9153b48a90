"""What a trained denoiser knows, beside what is exact: scores, the ODE's density, trajectories."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure

from pointillist import diffusion
from pointillist.diffusion.config import Sampling, Schedule
from pointillist.models import TrainedDenoiser
from pointillist.progress import track
from pointillist.rendering import fields, style

_RATIOS = (1.0, 0.4, 0.16, 0.06, 0.02)
_SCORE_SIDE, _DENSITY_SIDE, _DENSITY_RATIO, _DENSITY_STEPS = 160, 110, 0.05, 40
_POINTS, _STEPS = 200, 60


def scores(model: TrainedDenoiser, seed: int, device: str) -> Figure:
    """Draw the learned score beside the exact one, and the denoiser's error, at five noise levels."""
    where = diffusion.devices.resolve(device)
    model = model.to(where)
    points, window = _grid(model, _SCORE_SIDE, 0.35)
    found = diffusion.fields.fields(
        diffusion.devices.reached_from_cpu(model.denoiser, where),
        model.density,
        model.denoiser.path,
        _RATIOS,
        points,
        diffusion.devices.generator(seed, "draw_scores"),
    )
    stretch = _stretch(model)
    planes = [
        fields.Plane(
            field.noise_ratio,
            field.exact.numpy() * stretch,
            field.learned.numpy() * stretch,
            field.error.numpy(),
            field.log_density.numpy(),
            field.edge,
        )
        for field in track(found, "Fields", len(_RATIOS), unit="level")
    ]
    return fields.score_fields(planes, window, model.stretch)


def density(model: TrainedDenoiser, device: str) -> Figure:
    """Draw the density of the network's probability-flow ODE beside the true one."""
    where = diffusion.devices.resolve(device)
    model = model.to(where)
    points, window = _grid(model, _DENSITY_SIDE, 0.2)
    path = model.denoiser.path
    found = diffusion.fields.densities(
        diffusion.devices.reached_from_cpu(model.denoiser, where),
        model.density,
        diffusion.chains.start_distribution(model.density, path, "moments"),
        diffusion.likelihood.even_levels(path, _DENSITY_STEPS, _DENSITY_RATIO),
        points,
    )
    return fields.ode_density(
        found.exact.numpy(),
        found.learned.numpy(),
        window,
        noise_ratio=found.noise_ratio,
        divergence=found.divergence,
        masses=found.masses,
        note=model.stretch,
    )


def trajectories(model: TrainedDenoiser, seed: int) -> Figure:
    """Draw trajectories of points: the network's, the exact ones, and those of other schedules."""
    own, stretch = model.denoiser.path, _stretch(model)
    exact = diffusion.denoiser.exact_denoiser
    # Of a million points a part is enough for the eye, and for 200 trajectories.
    some = model.density.anchors.new_tensor(model.normalizer.apply(model.some_points()))
    truth = diffusion.density.GaussianMixture(some, model.density.bandwidth)
    truth = truth if model.covariances is None and len(model.points) > len(some) else model.density
    paths = {
        "cosine": diffusion.schedules.make_path(Schedule(kind="cosine")),
        "rectified flow": diffusion.schedules.make_path(Schedule(kind="rectified_flow")),
    }
    panels: list[tuple[str, diffusion.denoiser.Denoise, diffusion.schedules.Path]] = [
        ("the network", model.denoiser, own),
        ("the exact denoiser", exact(truth, own), own),
        *((f"exact, {name}", exact(truth, path), path) for name, path in paths.items()),
    ]
    drawn = [
        fields.Trajectories(name, _states(denoise, path, model, seed) * stretch)
        for name, denoise, path in panels
    ]
    points = (model.some_points() - np.array(model.normalizer.center)) / model.picture_scale
    return fields.trajectories(drawn, points, model.stretch)


def _states(
    denoise: diffusion.denoiser.Denoise,
    path: diffusion.schedules.Path,
    model: TrainedDenoiser,
    seed: int,
) -> np.ndarray:
    """Return the states (steps + 1, n, 2) of Heun's method along a path, as the path has them.

    Where sigma grows beyond 1, as on Karras et al.'s path, they are seen variance-preserving.
    """
    sampling = Sampling(sampler="heun", steps=_STEPS, rho=20.0, n_samples=_POINTS)
    start = diffusion.chains.start_distribution(model.density, path, "moments")
    generator = diffusion.devices.generator(seed, "draw_trajectories")
    chain = diffusion.chains.reverse_chain(denoise, path, start, sampling, _POINTS, generator)
    states = list(chain)
    norms = [max(1.0, float(np.hypot(s.level.alpha, s.level.sigma))) for s in states]
    return np.array(
        [state.x.double().numpy() / norm for state, norm in zip(states, norms, strict=True)]
    )


def _grid(model: TrainedDenoiser, side: int, room: float) -> tuple[torch.Tensor, style.Limits]:
    """Return a grid of model coordinates around the shape, and its window as pictures have it."""
    anchors = model.density.anchors.new_tensor(model.normalizer.apply(model.some_points()))
    low, high = anchors.amin(0), anchors.amax(0)
    margin = room * float((high - low).max())
    low, high = low - margin, high + margin
    ends = [tuple(end.tolist()) for end in (low, high)]
    stretch = _stretch(model)
    left, bottom = (low.numpy() * stretch).tolist()
    right, top = (high.numpy() * stretch).tolist()
    points = diffusion.fields.grid((ends[0][0], ends[0][1]), (ends[1][0], ends[1][1]), side)
    return points, style.Limits(left, right, bottom, top)


def _stretch(model: TrainedDenoiser) -> np.ndarray:
    """Return the factors (2,) from model coordinates to the proportions of pictures."""
    return np.array(model.normalizer.scale) / model.picture_scale
