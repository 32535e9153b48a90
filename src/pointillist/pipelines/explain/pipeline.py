"""Wiring of the explain stage."""

from kedro.pipeline import Node, Pipeline

from pointillist.pipelines.explain import nodes


def create_pipeline() -> Pipeline:
    """Denoiser -> score_figure, density_figure, trajectory_figure."""
    return Pipeline(
        [
            Node(
                nodes.draw_scores,
                ["denoiser", "params:seed", "params:device"],
                "score_figure",
                name="draw_scores",
            ),
            Node(
                nodes.draw_density,
                ["denoiser", "params:device"],
                "density_figure",
                name="draw_density",
            ),
            Node(
                nodes.draw_trajectories,
                ["denoiser", "params:seed"],
                "trajectory_figure",
                name="draw_trajectories",
            ),
        ],
        tags="explain",
    )
