"""Wiring of the player stage."""

from kedro.pipeline import Node, Pipeline

from pointillist.pipelines.player import nodes


def create_pipeline() -> Pipeline:
    """Denoiser + reverse_chain -> player_page + player_plot."""
    return Pipeline(
        [
            Node(
                nodes.make_player,
                ["reverse_chain", "denoiser", "params:player", "params:seed", "params:device"],
                ["player_page", "player_plot"],
                name="make_player",
            )
        ],
        namespace="player",
        prefix_datasets_with_namespace=False,
    )
