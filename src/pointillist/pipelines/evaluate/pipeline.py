"""Wiring of the evaluate stage."""

from kedro.pipeline import Node, Pipeline

from pointillist.pipelines.evaluate import nodes


def create_pipeline() -> Pipeline:
    """Samples + reverse_chain + denoiser -> metrics."""
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
                "metrics",
                name="measure_samples",
            )
        ],
        tags="evaluate",
    )
