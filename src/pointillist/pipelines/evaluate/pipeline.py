"""Wiring of the evaluate stage."""

from kedro.pipeline import Node, Pipeline

from pointillist.pipelines.evaluate import nodes


def create_pipeline() -> Pipeline:
    """Samples + reverse_chain + denoiser -> metrics and risk_by_noise."""
    return Pipeline(
        [
            Node(
                nodes.measure_samples,
                [
                    "samples",
                    "reverse_chain",
                    "denoiser",
                    "params:evaluation",
                    "params:seed",
                    "params:device",
                ],
                ["metrics", "risk_by_noise"],
                name="measure_samples",
            )
        ],
        namespace="evaluate",
        prefix_datasets_with_namespace=False,
    )
