"""Player: the newest chain, perhaps beside another sampler's from the same noise."""

from __future__ import annotations

from typing import Any

from pointillist import models, rendering
from pointillist.rendering.config import Player


def make_player(
    reverse_chain: models.ReverseChain,
    denoiser: models.TrainedDenoiser,
    player: Player,
    seed: int,
    device: str,
) -> tuple[str, Any]:
    """Make the page that plays the chain, and the figure with a slider for Kedro-Viz."""
    scenes = rendering.views.scenes(reverse_chain, denoiser, player, seed, device)
    subtitle = (
        "Points of the truth dissolve into noise; then the denoiser turns noise into the shape. Colours: "
        f"where a point is when clean, left to right. {reverse_chain.chain.x.shape[1]:,} points were "
        f"drawn. {denoiser.stretch}".rstrip()
    )
    title = f"{denoiser.shape}: from shape to noise and back"
    page = rendering.player.page(scenes, title, subtitle)
    return page, rendering.player.plotly_figure(scenes[0])
