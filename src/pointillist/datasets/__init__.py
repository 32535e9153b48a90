"""Kedro datasets of our own."""

from typing import TYPE_CHECKING

import lazy_loader

from pointillist.datasets.tensors import Tensors

if TYPE_CHECKING:
    from pointillist.datasets.documents import JSONDataset
    from pointillist.datasets.drawings import FigureDataset
    from pointillist.datasets.files import (
        AnimationDataset,
        GifDataset,
        HtmlDataset,
        TensorsDataset,
    )
    from pointillist.datasets.models import ModelsDataset
    from pointillist.datasets.packages import Package
    from pointillist.datasets.partitions import Partitions, PartitionsDataset
    from pointillist.datasets.plots import PlotlyDataset
    from pointillist.datasets.shape import ShapeDataset, ShapesDataset
    from pointillist.datasets.states import TrainingStates, TrainingStatesDataset
    from pointillist.datasets.tables import CSVDataset, ParquetDataset

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "documents": ["JSONDataset"],
        "drawings": ["FigureDataset"],
        "files": ["AnimationDataset", "GifDataset", "HtmlDataset", "TensorsDataset"],
        "models": ["ModelsDataset"],
        "packages": ["Package"],
        "partitions": ["Partitions", "PartitionsDataset"],
        "plots": ["PlotlyDataset"],
        "shape": ["ShapeDataset", "ShapesDataset"],
        "states": ["TrainingStates", "TrainingStatesDataset"],
        "tables": ["CSVDataset", "ParquetDataset"],
    },
)

__all__ = [
    "AnimationDataset",
    "CSVDataset",
    "FigureDataset",
    "GifDataset",
    "HtmlDataset",
    "JSONDataset",
    "ModelsDataset",
    "Package",
    "ParquetDataset",
    "Partitions",
    "PartitionsDataset",
    "PlotlyDataset",
    "ShapeDataset",
    "ShapesDataset",
    "Tensors",
    "TensorsDataset",
    "TrainingStates",
    "TrainingStatesDataset",
]
