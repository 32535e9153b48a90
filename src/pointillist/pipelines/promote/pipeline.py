"""Wiring of the promotion."""

from kedro.pipeline import Node, Pipeline

from pointillist.pipelines.promote import nodes


def create_pipeline() -> Pipeline:
    """training_runs + trained_models -> champion."""
    return Pipeline(
        [
            Node(
                nodes.choose_champion,
                [
                    "training_runs",
                    "trained_models",
                    "params:shape",
                    "params:sampling",
                    "params:promotion",
                    "params:data",
                ],
                "champion",
                name="choose_champion",
            )
        ],
        namespace="promote",
        prefix_datasets_with_namespace=False,
    )
