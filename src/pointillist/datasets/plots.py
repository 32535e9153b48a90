"""Drawings of plotly, written whole or not at all."""

from kedro_datasets import plotly

from pointillist.datasets.whole import Whole


class PlotlyDataset(Whole, plotly.JSONDataset):
    """A figure with its controls as JSON."""
