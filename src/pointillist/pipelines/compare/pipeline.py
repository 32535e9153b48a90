"""Wiring of the compare stage."""

from kedro.pipeline import Node, Pipeline

from pointillist.pipelines.compare import nodes


def create_pipeline() -> Pipeline:
    """Models -> comparison_page."""
    return Pipeline(
        [
            Node(
                nodes.compare_models,
                [
                    "trained_models",
                    "params:runs",
                    "params:sampling",
                    "params:evaluation",
                    "params:player",
                    "params:seed",
                    "params:device",
                ],
                "comparison_page",
                name="compare_models",
            )
        ],
        namespace="compare",
        prefix_datasets_with_namespace=False,
    )
