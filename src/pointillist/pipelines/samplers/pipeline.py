"""Wiring of the samplers stage."""

from kedro.pipeline import Node, Pipeline

from pointillist.pipelines.samplers import nodes


def create_pipeline() -> Pipeline:
    """Denoiser -> sampler_table -> samplers_figure."""
    return Pipeline(
        [
            Node(
                nodes.compare_samplers,
                ["denoiser", "params:samplers", "params:seed", "params:device"],
                "sampler_table",
                name="compare_samplers",
            ),
            Node(nodes.draw_samplers, "sampler_table", "samplers_figure", name="draw_samplers"),
        ],
        namespace="samplers",
        prefix_datasets_with_namespace=False,
    )
