"""The weights of a denoiser at some steps of its training."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import torch

from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.optimizers import FlatWeights
from pointillist.errors import PointillistError
from pointillist.models.denoiser import TrainedDenoiser
from pointillist.models.stored import Stored
from pointillist.models.tensors import Tensors


@dataclass(frozen=True, kw_only=True)
class Snapshots(Stored):
    """Flat weights by step, in half precision: they are there to be seen."""

    kind: ClassVar[str] = "training_snapshots"
    made_by: ClassVar[str] = "train"

    weights_at: dict[int, torch.Tensor]
    """Averaged weights (P,) by step; the last step is the end of the training."""

    def to_tensors(self) -> Tensors:
        """Return the tensors and metadata of one safetensors file."""
        steps = sorted(self.weights_at)
        return Tensors(
            {
                "steps": torch.tensor(steps),
                "weights": torch.stack([self.weights_at[step] for step in steps]).half(),
            },
            {"kind": self.kind, "shape": self.shape, "package_version": self.package_version},
        )

    @classmethod
    def from_tensors(cls, file: Tensors) -> Self:
        """Make them of their file. Raises PointillistError if it holds something else."""
        cls.require_kind(file)
        try:
            return cls(
                weights_at=dict(
                    zip(file.tensors["steps"].tolist(), file.tensors["weights"], strict=True)
                ),
                shape=file.metadata["shape"],
                version=file.metadata.get("version"),
                digest=file.metadata.get("digest", ""),
                package_version=file.metadata["package_version"],
            )
        except (KeyError, ValueError) as error:
            raise cls.misfit(file, error) from None

    def denoisers(self, model: TrainedDenoiser) -> Iterator[tuple[int, Denoiser]]:
        """Yield step and denoiser at every snapshot; the last is the trained one itself.

        Raises
        ------
        PointillistError
            If they are those of another training than the `model`'s.
        """
        if self.version != model.version:
            raise PointillistError(
                f"The snapshots of the training of {self.shape!r} belong to another model than the one "
                f"loaded. Train again: kedro run --pipelines train --params shape={self.shape}\nOr load "
                f"theirs: --load-versions denoiser:{self.version}"
            )
        *steps, last = sorted(self.weights_at)
        for step in steps:
            denoiser = copy.deepcopy(model.denoiser)
            FlatWeights.of(denoiser).values.copy_(self.weights_at[step])
            yield step, denoiser.requires_grad_(False)
        yield last, model.denoiser
