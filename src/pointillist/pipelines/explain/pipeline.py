"""Wiring of the explain stage."""

from kedro.pipeline import Node, Pipeline

from pointillist.pipelines.explain import nodes


def create_pipeline() -> Pipeline:
    """Denoiser -> figures of scores, density and trajectories, and the film of training."""
    return Pipeline(
        [
            Node(
                nodes.draw_scores,
                ["denoiser", "params:seed", "params:device"],
                "scores_figure",
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
                "trajectories_figure",
                name="draw_trajectories",
            ),
            Node(
                nodes.film_training,
                ["training_snapshots", "denoiser", "params:rendering", "params:seed"],
                ["training_strip_figure", "training_film"],
                name="film_training",
            ),
        ],
        namespace="explain",
        prefix_datasets_with_namespace=False,
    )
