"""A trained denoiser and everything that belongs to it, as one file.

Weights, configuration, normaliser and anchors stay together, so that a new model is never measured
with an old shape, nor drawn in another's coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from pointillist import __version__, shapes
from pointillist.datasets import Tensors
from pointillist.diffusion.config import Data, Network, Schedule, Training
from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.schedules import make_path
from pointillist.errors import PointillistError

_WEIGHTS = "denoiser."
_MOST_GHOSTS = 20_000


@dataclass(frozen=True)
class Checkpoint:
    """What training leaves behind."""

    denoiser: Denoiser
    points: np.ndarray
    """The shape's points (N, 2), original coordinates, float64."""
    normalizer: shapes.Normalizer
    shape: str
    parameters: dict[str, Any]
    """The groups data, schedule, network and training, and the seed, as they were at training."""
    weights: np.ndarray | None = None
    """How much each point counts (N,), float64; None: all alike."""

    @cached_property
    def density(self) -> GaussianMixture:
        """The truth in model coordinates, float64, on the CPU."""
        data = Data.model_validate(self.parameters["data"])
        return make_density(self.points, self.normalizer, data, self.weights)

    @property
    def digest(self) -> str:
        """Of the shape: its points, and their weights if there are any."""
        if self.weights is None:
            return shapes.digest(self.points)
        return shapes.digest(np.column_stack((self.points, self.weights)))

    def to(self, device: torch.device) -> Checkpoint:
        """Move the network (not the truth, which stays exact on the CPU) to `device`."""
        self.denoiser.to(device)
        return self

    def original(self, points: np.ndarray | torch.Tensor) -> np.ndarray:
        """Take points (..., 2) from model coordinates to original ones."""
        return self.normalizer.invert(np.asarray(points, dtype=np.float64))

    def pictured(self, points: np.ndarray | torch.Tensor) -> np.ndarray:
        """Take points (..., 2) from original coordinates to those of pictures."""
        return self._for_pictures.apply(np.asarray(points))

    def ghosts(self) -> np.ndarray:
        """Return `some_points` in the coordinates of pictures."""
        return self.pictured(self.some_points())

    def some_points(self) -> np.ndarray:
        """Return the shape's points for the background of pictures, a part of them if they are many."""
        points = self.points
        if len(points) > _MOST_GHOSTS:
            shares = None if self.weights is None else self.weights / self.weights.sum()
            rng = np.random.default_rng(0)
            points = points[rng.choice(len(points), _MOST_GHOSTS, replace=False, p=shares)]
        return points

    @property
    def picture_scale(self) -> tuple[float, float]:
        """One unit of the coordinates of pictures, in original ones."""
        return self._for_pictures.scale

    @property
    def stretch(self) -> str:
        """What pictures of this shape must say of their axes, if anything."""
        width, height = self._for_pictures.scale
        if width == height:
            return ""
        return f"Axes stretched: {width:.2g} wide, {height:.2g} high."

    @cached_property
    def _for_pictures(self) -> shapes.Normalizer:
        return shapes.Normalizer.for_pictures(self.points)

    def standardize(self, points: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Take points (n, 2) from original to standardised coordinates, in which metrics are taken."""
        return torch.from_numpy(self._standardizer.apply(np.asarray(points)))

    @cached_property
    def _standardizer(self) -> shapes.Normalizer:
        return shapes.Normalizer.fit(self.points, weights=self.weights)


def make_density(
    points: np.ndarray,
    normalizer: shapes.Normalizer,
    data: Data,
    weights: np.ndarray | None = None,
) -> GaussianMixture:
    """Return the truth of `points` (N, 2, original coordinates) in model coordinates, float64."""
    shares = None if weights is None else torch.from_numpy(weights)
    return GaussianMixture(torch.from_numpy(normalizer.apply(points)), data.bandwidth, shares)


def pack(checkpoint: Checkpoint) -> Tensors:
    """Turn a checkpoint into the tensors and metadata of one safetensors file."""
    weights = checkpoint.denoiser.state_dict()
    return Tensors(
        tensors={
            "points": torch.from_numpy(np.ascontiguousarray(checkpoint.points)),
            **(
                {"weights": torch.from_numpy(np.ascontiguousarray(checkpoint.weights))}
                if checkpoint.weights is not None
                else {}
            ),
            **{_WEIGHTS + name: w.detach().cpu().contiguous() for name, w in _untied(weights)},
        },
        metadata={
            "kind": "denoiser",
            "shape": checkpoint.shape,
            "shape_digest": checkpoint.digest,
            "normalizer": checkpoint.normalizer.to_dict(),
            "parameters": checkpoint.parameters,
            "package_version": __version__,
        },
    )


def of_one_truth(files: Mapping[str, Tensors], data: Data) -> dict[str, Tensors]:
    """Return of the checkpoints by version those of `data` whose points are the newest such one's."""
    alike = {
        version: file
        for version, file in files.items()
        if Data.model_validate(file.metadata["parameters"]["data"]) == data
    }
    newest = alike[max(alike)].metadata["shape_digest"] if alike else None
    return {v: file for v, file in alike.items() if file.metadata["shape_digest"] == newest}


def unpack(file: Tensors) -> Checkpoint:
    """Rebuild the checkpoint from the tensors and metadata of its file.

    Raises
    ------
    PointillistError
        If the file is not a denoiser of this package, or its weights don't fit its configuration.
    """
    if file.metadata.get("kind") != "denoiser":
        raise PointillistError(
            f"This file is not a trained denoiser but {file.metadata.get('kind')!r}. Point the "
            "catalog entry 'denoiser' at one that the train pipeline wrote."
        )
    try:
        parameters = file.metadata["parameters"]
        denoiser = Denoiser(
            Network.model_validate(parameters["network"]),
            make_path(Schedule.model_validate(parameters["schedule"])),
        )
        Training.model_validate(parameters["training"])
        weights = {
            name.removeprefix(_WEIGHTS): w
            for name, w in file.tensors.items()
            if name.startswith(_WEIGHTS)
        }
        denoiser.load_state_dict(_retied(weights, denoiser), strict=True)
        Data.model_validate(parameters["data"])
        points = file.tensors["points"].numpy()
        counted = file.tensors.get("weights")
        normalizer = shapes.Normalizer.from_dict(file.metadata["normalizer"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise PointillistError(
            f"The checkpoint, written by version {file.metadata.get('package_version')}, does not "
            f"fit version {__version__} ({str(error).splitlines()[0]}). Train the shape again: kedro "
            f"run --pipelines train --params shape={file.metadata.get('shape')}"
        ) from error
    denoiser.eval().requires_grad_(False)
    return Checkpoint(
        denoiser,
        points,
        normalizer,
        file.metadata["shape"],
        parameters,
        None if counted is None else counted.numpy(),
    )


def _untied(weights: dict[str, torch.Tensor]) -> list[tuple[str, torch.Tensor]]:
    """Return weights that share memory (tied layers) once only, since safetensors refuses aliases."""
    first_of = {w.data_ptr(): name for name, w in reversed(weights.items())}
    return [(name, w) for name, w in weights.items() if first_of[w.data_ptr()] == name]


def _retied(weights: dict[str, torch.Tensor], denoiser: Denoiser) -> dict[str, torch.Tensor]:
    """Give every tied layer the weights of the first again."""
    if not denoiser.network.tied:
        return weights
    return weights | {
        f"hidden.{i}.{part}": weights[f"hidden.0.{part}"]
        for i in range(denoiser.network.depth)
        for part in ("weight", "bias")
    }
