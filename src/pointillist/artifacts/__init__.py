"""What the stages hand to each other on disk: the trained denoiser and the reverse chain."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from pointillist.artifacts import chain, checkpoint, snapshots, state

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=["chain", "checkpoint", "snapshots", "state"]
)
