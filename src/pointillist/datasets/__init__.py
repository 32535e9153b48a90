"""Kedro datasets of our own."""

from typing import TYPE_CHECKING

import lazy_loader

from pointillist.datasets.tensors import Tensors

if TYPE_CHECKING:
    from pointillist.datasets.files import GifDataset, TensorsDataset
    from pointillist.datasets.shape import ShapeDataset

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={"files": ["GifDataset", "TensorsDataset"], "shape": ["ShapeDataset"]},
)

__all__ = ["GifDataset", "ShapeDataset", "Tensors", "TensorsDataset"]
