"""Wiring of the ingest stage."""

from kedro.pipeline import Node, Pipeline

from pointillist.pipelines.ingest import nodes


def create_pipeline() -> Pipeline:
    """raw_shape -> shape_points + normalizer."""
    return Pipeline(
        [
            Node(
                nodes.collect_points,
                [
                    "raw_shape",
                    "params:source",
                    "params:data",
                    "params:seed",
                    "params:shape_file",
                    "params:text",
                    "params:max_megabytes",
                ],
                "shape_points",
                name="collect_points",
            ),
            Node(
                nodes.fit_normalizer,
                ["shape_points", "params:data"],
                "normalizer",
                name="fit_normalizer",
            ),
        ],
        namespace="ingest",
        prefix_datasets_with_namespace=False,
    )
