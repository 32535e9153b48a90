"""Wiring of the export stage."""

from kedro.pipeline import Node, Pipeline

from pointillist.pipelines.export import nodes


def create_pipeline() -> Pipeline:
    """Samples -> samples_csv."""
    return Pipeline(
        [Node(nodes.export_samples, "samples", "samples_csv", name="export_samples")],
        namespace="export",
        prefix_datasets_with_namespace=False,
    )
