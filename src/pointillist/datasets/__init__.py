"""Kedro datasets of our own."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from pointillist.datasets.files import AnimationDataset, FigureDataset, HtmlDataset
    from pointillist.datasets.models import ModelsDataset
    from pointillist.datasets.packages import Package
    from pointillist.datasets.partitions import Partitions, PartitionsDataset
    from pointillist.datasets.shape import ShapeDataset, ShapesDataset
    from pointillist.datasets.states import TrainingStates, TrainingStatesDataset
    from pointillist.datasets.tables import CompleteCSVDataset, ParquetDataset
    from pointillist.datasets.versioned import AtomicDataset, ModelDataset, VersionedFile

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "files": ["AnimationDataset", "FigureDataset", "HtmlDataset"],
        "models": ["ModelsDataset"],
        "packages": ["Package"],
        "partitions": ["Partitions", "PartitionsDataset"],
        "shape": ["ShapeDataset", "ShapesDataset"],
        "states": ["TrainingStates", "TrainingStatesDataset"],
        "tables": ["CompleteCSVDataset", "ParquetDataset"],
        "versioned": ["AtomicDataset", "ModelDataset", "VersionedFile"],
    },
)

__all__ = [
    "AnimationDataset",
    "AtomicDataset",
    "CompleteCSVDataset",
    "FigureDataset",
    "HtmlDataset",
    "ModelDataset",
    "ModelsDataset",
    "Package",
    "ParquetDataset",
    "Partitions",
    "PartitionsDataset",
    "ShapeDataset",
    "ShapesDataset",
    "TrainingStates",
    "TrainingStatesDataset",
    "VersionedFile",
]
