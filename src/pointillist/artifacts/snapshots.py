"""The weights of a denoiser at some moments of its training, as one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from pointillist import __version__
from pointillist.artifacts import checkpoint
from pointillist.datasets import Tensors
from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.optimizers import FlatWeights
from pointillist.errors import PointillistError


def pack(weights_at: Mapping[int, torch.Tensor], shape: str) -> Tensors:
    """Turn flat weights (P,) by step into one file, in half precision: they are there to be seen."""
    steps = sorted(weights_at)
    return Tensors(
        {
            "steps": torch.tensor(steps),
            "weights": torch.stack([weights_at[step] for step in steps]).half(),
        },
        {"kind": "training_snapshots", "shape": shape, "package_version": __version__},
    )


def denoisers(snapshots: Tensors, denoiser: Tensors) -> Iterator[tuple[int, Denoiser]]:
    """Yield step and denoiser at every moment; the last is the trained one itself.

    Raises
    ------
    PointillistError
        If the moments are those of another training.
    """
    if snapshots.metadata.get("version") != denoiser.metadata.get("version"):
        shape = denoiser.metadata["shape"]
        raise PointillistError(
            f"The moments of training of {shape!r} belong to another model than the one loaded. Train "
            f"again: kedro run --pipelines train --params shape={shape}\nOr load theirs: --load-versions "
            f"denoiser:{snapshots.metadata.get('version')}"
        )
    steps = snapshots.tensors["steps"].tolist()
    for step, weights in zip(steps[:-1], snapshots.tensors["weights"], strict=False):
        model = checkpoint.unpack(denoiser).denoiser
        flat = FlatWeights.of(model)
        flat.values.copy_(weights)
        yield step, model.requires_grad_(False)
    yield steps[-1], checkpoint.unpack(denoiser).denoiser
