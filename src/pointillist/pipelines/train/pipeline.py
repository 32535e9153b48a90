"""Wiring of the train stage."""

from kedro.pipeline import Node, Pipeline

from pointillist.pipelines.train import nodes


def create_pipeline() -> Pipeline:
    """shape_points + normalizer -> denoiser + training_history + training_snapshots."""
    return Pipeline(
        [
            Node(
                nodes.train_denoiser,
                [
                    "shape_points",
                    "normalizer",
                    "training_states",
                    "params:shape",
                    "params:seed",
                    "params:device",
                    "params:data",
                    "params:schedule",
                    "params:network",
                    "params:training",
                    "params:resume",
                ],
                ["denoiser", "training_history", "training_snapshots"],
                name="train_denoiser",
            ),
        ],
        namespace="train",
        prefix_datasets_with_namespace=False,
    )
