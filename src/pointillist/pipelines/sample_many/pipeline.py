"""Wiring of large sampling."""

from kedro.pipeline import Node, Pipeline

from pointillist.pipelines.sample_many import nodes


def create_pipeline() -> Pipeline:
    """Denoiser + many_place -> many_summary."""
    return Pipeline(
        [
            Node(
                nodes.sample_partitions,
                [
                    "denoiser",
                    "many_place",
                    "params:n",
                    "params:seed",
                    "params:device",
                    "params:sampling",
                    "params:many",
                ],
                "many_summary",
                name="sample_partitions",
            )
        ],
        namespace="sample_many",
        prefix_datasets_with_namespace=False,
    )
