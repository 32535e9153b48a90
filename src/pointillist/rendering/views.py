"""Pictures of a trained denoiser, its chain and its samples: what several pipelines draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pointillist import diffusion
from pointillist.diffusion.chains import Chain
from pointillist.diffusion.config import Sampling
from pointillist.models import ReverseChain, Snapshots, TrainedDenoiser
from pointillist.models.chain import moving, run_chain
from pointillist.rendering import animation, figures, player, style
from pointillist.rendering.config import Player, Rendering

_STRIP_LEVELS = 7
_SNAPSHOT_POINTS, _SNAPSHOT_STEPS = 1500, 20


def film_of(model: TrainedDenoiser, parameters: Rendering) -> animation.Film:
    """Return how films of a model look."""
    return animation.Film(
        title=model.shape,
        size=parameters.size,
        note=model.stretch,
        look=style.look(parameters.theme, parameters.palette),
        trails=parameters.trails,
        point_size=parameters.point_size,
    )


def chain_frames(
    chain: ReverseChain, model: TrainedDenoiser, parameters: Rendering
) -> Iterator[animation.Frame]:
    """Yield the frames of a reverse chain."""
    return animation.draw_frames(
        chain.view(model),
        chain.noise_ratios,
        chain.chain.steps.numpy(),
        model.ghosts(),
        film_of(model, parameters),
        n_frames=parameters.n_frames,
        points=parameters.points,
    )


def process(chain: ReverseChain, model: TrainedDenoiser, point_size: float, seed: int) -> Figure:
    """Draw the forward process above the reverse chain, at the same noise levels."""
    ratios = chain.noise_ratios
    chosen = animation.spread_over_noise(ratios, _STRIP_LEVELS)
    generator = diffusion.devices.generator(seed, "draw_process")
    forward = chain.forward_view(model, chosen, generator)
    reverse, truth = chain.view(model)[chosen], model.ghosts()
    return figures.process_strip(forward, reverse, ratios[chosen], truth, model.stretch, point_size)


def samples_beside_truth(
    samples: pd.DataFrame,
    model: TrainedDenoiser,
    metrics: Mapping[str, float],
    point_size: float,
    seed: int,
) -> Figure:
    """Draw samples beside as many fresh draws of the truth, and each metric beside its floor."""
    generator = diffusion.devices.generator(seed, "draw_samples")
    truth, _ = model.density.sample(len(samples), generator)
    return figures.samples_beside_truth(
        model.pictured(samples.to_numpy()),
        model.pictured(model.original(truth)),
        metrics,
        model.stretch,
        point_size,
    )


def snapshot_samples(
    snapshots: Snapshots, model: TrainedDenoiser, seed: int, sampling: Sampling | None = None
) -> tuple[list[int], np.ndarray]:
    """Return the steps of a training's K snapshots, and samples (K, n, 2) at each, as pictures have them.

    They are drawn as `sampling` says; None: by a few steps along the probability-flow ODE.
    """
    few = sampling or Sampling(
        sampler="dpmpp_2m", steps=_SNAPSHOT_STEPS, rho=20.0, sigma_max=3.0, sigma_min=0.004
    )
    few = few.model_copy(update={"n_samples": _SNAPSHOT_POINTS})
    steps, clouds = [], []
    for step, network in snapshots.denoisers(model):
        generator = diffusion.devices.generator(seed, "film_training")
        drawn = diffusion.chains.draw(network, model.density, few, generator)
        steps.append(step)
        clouds.append(model.pictured(model.original(drawn)))
    return steps, np.array(clouds)


def scenes(
    chain: ReverseChain, model: TrainedDenoiser, parameters: Player, seed: int, device: str
) -> list[player.Scene]:
    """Return the chain as a scene and, if `player.against` names a sampler, that sampler's beside it."""
    used = chain.sampling
    found = [scene(chain.chain, model, parameters.points, seed, used)]
    if parameters.against is not None and parameters.against != used.sampler:
        other = used.model_copy(update={"sampler": parameters.against})
        again = run_chain(model, other, chain.seed, device).chain()
        found.append(scene(again, model, parameters.points, seed, other))
    return found


def scene(
    chain: Chain,
    model: TrainedDenoiser,
    points: int,
    seed: int,
    sampling: Sampling,
    name: str = "",
) -> player.Scene:
    """Return at most so many `points` of a chain as a scene."""
    seen = moving(chain, model, points, diffusion.devices.generator(seed, "player"))
    steps = len(diffusion.chains.chain_levels(model.denoiser.path, sampling)) - 1
    return player.Scene(
        name or f"{sampling.sampler}, {steps} steps",
        seen.states,
        seen.noise_ratios,
        seen.clean,
        seen.noise,
        seen.truth,
        seen.center,
        seen.scale,
        steps,
    )
