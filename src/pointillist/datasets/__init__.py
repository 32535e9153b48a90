"""Kedro datasets of our own."""

from typing import TYPE_CHECKING

import lazy_loader

from pointillist.datasets.tensors import Tensors

if TYPE_CHECKING:
    from pointillist.datasets.files import (
        AnimationDataset,
        GifDataset,
        HtmlDataset,
        TensorsDataset,
    )
    from pointillist.datasets.models import ModelsDataset
    from pointillist.datasets.shape import ShapeDataset, ShapesDataset

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "files": ["AnimationDataset", "GifDataset", "HtmlDataset", "TensorsDataset"],
        "models": ["ModelsDataset"],
        "shape": ["ShapeDataset", "ShapesDataset"],
    },
)

__all__ = [
    "AnimationDataset",
    "GifDataset",
    "HtmlDataset",
    "ModelsDataset",
    "ShapeDataset",
    "ShapesDataset",
    "Tensors",
    "TensorsDataset",
]
