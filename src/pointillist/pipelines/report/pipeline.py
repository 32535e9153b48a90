"""Wiring of the report stage."""

from kedro.pipeline import Node, Pipeline

from pointillist.pipelines.report import nodes


def create_pipeline() -> Pipeline:
    """The newest model, chain, samples and metrics -> report_page."""
    return Pipeline(
        [
            Node(
                nodes.write_report,
                [
                    "denoiser",
                    "reverse_chain",
                    "samples",
                    "metrics",
                    "training_history",
                    "risk_by_noise",
                    "params:player",
                    "params:rendering",
                    "params:seed",
                    "params:device",
                ],
                "report_page",
                name="write_report",
            )
        ],
        namespace="report",
        prefix_datasets_with_namespace=False,
    )
