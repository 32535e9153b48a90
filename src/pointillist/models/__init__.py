"""What stages hand to each other, as objects and as safetensors files."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from pointillist.models import chain, denoiser, measures, snapshots, state, stored, tensors
    from pointillist.models.chain import ReverseChain
    from pointillist.models.denoiser import TrainedDenoiser
    from pointillist.models.snapshots import Snapshots
    from pointillist.models.stored import Stored

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submodules=["chain", "denoiser", "measures", "snapshots", "state", "stored", "tensors"],
    submod_attrs={
        "chain": ["ReverseChain"],
        "denoiser": ["TrainedDenoiser"],
        "snapshots": ["Snapshots"],
        "stored": ["Stored"],
    },
)

__all__ = ["ReverseChain", "Snapshots", "Stored", "TrainedDenoiser"]
