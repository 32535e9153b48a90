"""Wiring of the render stage."""

from kedro.pipeline import Node, Pipeline

from pointillist.pipelines.render import nodes


def create_pipeline() -> Pipeline:
    """reverse_chain, samples, metrics, risk_by_noise and training_history -> animation and figures."""
    return Pipeline(
        [
            Node(
                nodes.animate_chain,
                ["reverse_chain", "denoiser", "params:rendering"],
                "animation",
                name="animate_chain",
            ),
            Node(
                nodes.draw_process,
                ["reverse_chain", "denoiser", "params:rendering", "params:seed"],
                "process_figure",
                name="draw_process",
            ),
            Node(nodes.draw_bandwidth, "denoiser", "bandwidth_figure", name="draw_bandwidth"),
            Node(nodes.draw_loss, "training_history", "loss_figure", name="draw_loss"),
            Node(nodes.draw_risk, ["risk_by_noise", "metrics"], "risk_figure", name="draw_risk"),
            Node(
                nodes.draw_samples,
                ["samples", "denoiser", "metrics", "params:rendering", "params:seed"],
                "samples_figure",
                name="draw_samples",
            ),
        ],
        namespace="render",
        prefix_datasets_with_namespace=False,
    )
