"""Player: the newest chain, perhaps beside another sampler's from the same noise."""

from __future__ import annotations

from typing import Any

from pointillist import diffusion, models, rendering
from pointillist.diffusion.config import Sampling
from pointillist.pipelines.sample.nodes import run_chain
from pointillist.rendering.config import Player


def make_player(
    reverse_chain: models.ReverseChain,
    denoiser: models.TrainedDenoiser,
    player: Player,
    seed: int,
    device: str,
) -> tuple[str, Any]:
    """Make the page that plays the chain, and the figure with a slider for Kedro-Viz."""
    model = denoiser
    scenes = scenes_of(reverse_chain, model, player, seed, device)
    title = f"{model.shape}: from shape to noise and back"
    page = rendering.player.page(scenes, title, _subtitle(reverse_chain, model))
    return page, rendering.player.plotly_figure(scenes[0])


def scenes_of(
    chain: models.ReverseChain,
    model: models.TrainedDenoiser,
    player: Player,
    seed: int,
    device: str,
) -> list[rendering.player.Scene]:
    """Return the chain as a scene and, if `player.against` names a sampler, that sampler's beside it."""
    used = chain.sampling
    scenes = [scene_of(chain.chain, model, player.points, seed, used)]
    if player.against is not None and player.against != used.sampler:
        other = used.model_copy(update={"sampler": player.against})
        again = run_chain(model, other, chain.seed, device).chain()
        scenes.append(scene_of(again, model, player.points, seed, other))
    return scenes


def scene_of(
    chain: diffusion.samplers.Chain,
    model: models.TrainedDenoiser,
    points: int,
    seed: int,
    sampling: Sampling,
    name: str = "",
) -> rendering.player.Scene:
    """Return at most so many `points` of a chain as a scene."""
    generator = diffusion.devices.generator(seed, "player")
    moving = models.chain.moving(chain, model, points, generator)
    steps = len(diffusion.samplers.chain_levels(model.denoiser.path, sampling)) - 1
    return rendering.player.Scene(
        name or f"{sampling.sampler}, {steps} steps",
        moving.states,
        moving.noise_ratios,
        moving.clean,
        moving.noise,
        moving.truth,
        moving.center,
        moving.scale,
        steps,
    )


def _subtitle(chain: models.ReverseChain, model: models.TrainedDenoiser) -> str:
    n = chain.chain.x.shape[1]
    return (
        "Points of the truth dissolve into noise; then the denoiser turns noise into the shape. Colours: "
        f"where a point is when clean, left to right. {n:,} points were drawn. {model.stretch}".rstrip()
    )
