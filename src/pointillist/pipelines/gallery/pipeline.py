"""Wiring of the gallery stage."""

from kedro.pipeline import Node, Pipeline

from pointillist.pipelines.gallery import nodes


def create_pipeline() -> Pipeline:
    """raw_shapes + trained_models -> gallery_figure."""
    return Pipeline(
        [
            Node(nodes.place_all, "raw_shapes", "gallery_points", name="place_all"),
            Node(
                nodes.sample_all,
                ["trained_models", "params:sampling", "params:seed", "params:device"],
                "gallery_samples",
                name="sample_all",
            ),
            Node(
                nodes.draw_gallery,
                ["gallery_points", "gallery_samples"],
                "gallery_figure",
                name="draw_gallery",
            ),
        ],
        namespace="gallery",
        prefix_datasets_with_namespace=False,
    )
