"""Wiring of the sample stage."""

from kedro.pipeline import Node, Pipeline

from pointillist.pipelines.sample import nodes


def create_pipeline() -> Pipeline:
    """Denoiser -> reverse_chain + samples."""
    return Pipeline(
        [
            Node(
                nodes.run_reverse_chain,
                ["denoiser", "params:sampling", "params:seed", "params:device"],
                ["reverse_chain", "samples"],
                name="run_reverse_chain",
            )
        ],
        namespace="sample",
        prefix_datasets_with_namespace=False,
    )
