"""Drawings of matplotlib, written whole or not at all."""

from kedro_datasets import matplotlib

from pointillist.datasets.whole import Whole


class FigureDataset(Whole, matplotlib.MatplotlibDataset):
    """A figure as PNG."""
