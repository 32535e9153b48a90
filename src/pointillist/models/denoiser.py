"""A trained denoiser and everything that belongs to it.

Weights, configuration, normaliser and anchors stay together in one file, so that a new model is never
measured with an old shape, nor drawn in another's coordinates.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch

from pointillist import shapes
from pointillist.diffusion import chains, devices
from pointillist.diffusion.config import Data, Network, Sampling, Schedule, Training
from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.schedules import make_path
from pointillist.models.stored import Stored
from pointillist.models.tensors import Tensors
from pointillist.shapes.points import Components

_WEIGHTS = "denoiser."
_MOST_GHOSTS = 20_000
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class TrainedDenoiser(Stored):
    """What training leaves behind."""

    kind: ClassVar[str] = "denoiser"
    made_by: ClassVar[str] = "train"

    denoiser: Denoiser
    points: np.ndarray
    """The shape's points (N, 2), original coordinates, float64."""
    normalizer: shapes.Normalizer
    parameters: dict[str, Any]
    """The groups data, schedule, network and training, and the seed, as asked for; what was fitted to the
    shape is in `denoiser.network`."""
    weights: np.ndarray | None = None
    """How much each point counts (N,), float64; None: all alike."""
    covariances: np.ndarray | None = None
    """Those of the Gaussians at the points (N, 2, 2), original coordinates, float64, where the shape is a
    density of its own, or its bandwidth was chosen; None: each point is a dot of data.bandwidth."""
    held_out: Components = dataclasses.field(default_factory=lambda: Components(np.empty((0, 2))))
    """Points that were kept from training and truth, and their weights."""
    origin: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Where the points come from and what else a training depends on, as asked for: shape_file, text,
    max_megabytes, source and device, and `content`, the digest of the file that was read; empty in models
    of release 0.1.0."""
    leave_one_out: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What data.bandwidth=auto chose and saw, as `bandwidths.Choice` gives it; empty: it was given."""
    sampling: Sampling | None = None
    """The sampler that a registered model is served with; None: the default."""

    def sample(
        self, n: int, seed: int = 0, sampling: Sampling | None = None, device: str = "cpu"
    ) -> np.ndarray:
        """Draw n points (n, 2), original coordinates, float64, by the reverse chain.

        Raises
        ------
        PointillistError
            If the sampler or the device can't be used.
        """
        where = devices.resolve(device)
        # A sampler draws two at least.
        chosen = (sampling or self.sampling or Sampling()).model_copy(
            update={"n_samples": max(2, n)}
        )
        chains.warn_of_surprises(self.denoiser.path, chosen)
        generator = devices.generator(seed, "sample", where)
        drawn = chains.draw(self.to(where).denoiser, self.density, chosen, generator)
        return self.original(drawn)[:n]

    @cached_property
    def density(self) -> GaussianMixture:
        """The truth in model coordinates, float64, on the CPU."""
        data = Data.model_validate(self.parameters["data"])
        return make_density(self.components, self.normalizer, data)

    @cached_property
    def standardized_density(self) -> GaussianMixture:
        """The truth in standardised coordinates, in which metrics are taken, float64, on the CPU."""
        if self._standardizer == self.normalizer:
            return self.density
        data = Data.model_validate(self.parameters["data"])
        own = self.covariances
        if own is None:
            dot = np.diag((data.dot * np.array(self.normalizer.scale)) ** 2)
            own = np.tile(dot, (len(self.points), 1, 1))
        return make_density(self.components._replace(covariances=own), self._standardizer, data)

    @property
    def shape_digest(self) -> str:
        """Of the shape: its points, and their weights if there are any."""
        return shapes.digest(self.components.table().to_numpy())

    @property
    def components(self) -> Components:
        """What the shape is made of, original coordinates."""
        return Components(self.points, self.weights, self.covariances)

    def to(self, device: torch.device) -> TrainedDenoiser:
        """Return it with the network on `device`; the truth stays exact on the CPU."""
        if next(self.denoiser.parameters()).device == device:
            return self
        return dataclasses.replace(self, denoiser=copy.deepcopy(self.denoiser).to(device))

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
        return self._some_points

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
        return shapes.Normalizer.for_pictures(
            self.points if self.covariances is None else self._some_points
        )

    @cached_property
    def _some_points(self) -> np.ndarray:
        return self.components.shown(_MOST_GHOSTS)

    def standardize(self, points: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Take points (n, 2) from original to standardised coordinates, in which metrics are taken."""
        return torch.from_numpy(self._standardizer.apply(np.asarray(points)))

    @cached_property
    def _standardizer(self) -> shapes.Normalizer:
        return shapes.Normalizer.fit(
            self.points, weights=self.weights, covariances=self.covariances
        )

    def to_tensors(self) -> Tensors:
        """Return the tensors and metadata of one safetensors file."""
        tensors = {"points": torch.from_numpy(np.ascontiguousarray(self.points))}
        if self.weights is not None:
            tensors["weights"] = torch.from_numpy(np.ascontiguousarray(self.weights))
        if self.covariances is not None:
            tensors["covariances"] = torch.from_numpy(np.ascontiguousarray(self.covariances))
        for name, kept in (("points", self.held_out.points), ("weights", self.held_out.weights)):
            if kept is not None and len(kept):
                tensors[f"held_out.{name}"] = torch.from_numpy(np.ascontiguousarray(kept))
        network = _untied(self.denoiser.state_dict())
        tensors |= {_WEIGHTS + name: w.detach().cpu().contiguous() for name, w in network}
        return Tensors(
            tensors,
            {
                "kind": self.kind,
                "shape": self.shape,
                "shape_digest": self.shape_digest,
                "normalizer": self.normalizer.to_dict(),
                "parameters": self.parameters,
                "origin": self.origin,
                "leave_one_out": self.leave_one_out,
                "network": self.denoiser.network.model_dump(mode="json"),
                "package_version": self.package_version,
            },
        )

    @classmethod
    def from_tensors(cls, file: Tensors) -> Self:
        """Rebuild it from the tensors and metadata of its file.

        Raises
        ------
        PointillistError
            If the file is not a denoiser of this package, or its weights don't fit its configuration.
        """
        cls.require_kind(file)
        try:
            parameters = file.metadata["parameters"]
            Training.model_validate(_as_today(parameters["training"]))
            Data.model_validate(parameters["data"])
            optional = ("weights", "covariances", "held_out.points", "held_out.weights")
            weights, covariances, *held_out = (
                None if (found := file.tensors.get(name)) is None else found.numpy()
                for name in optional
            )
            return cls(
                denoiser=_denoiser(file, parameters),
                points=file.tensors["points"].numpy(),
                normalizer=shapes.Normalizer.from_dict(file.metadata["normalizer"]),
                parameters=parameters,
                weights=weights,
                covariances=covariances,
                held_out=Components(
                    np.empty((0, 2)) if held_out[0] is None else held_out[0], held_out[1]
                ),
                origin=file.metadata.get("origin", {}),
                leave_one_out=file.metadata.get("leave_one_out", {}),
                shape=file.metadata["shape"],
                version=file.metadata.get("version"),
                digest=file.metadata.get("digest", ""),
                package_version=file.metadata["package_version"],
            )
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise cls.misfit(file, error) from error


def _as_today(training: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a training, those of versions up to 0.2.0 among them."""
    # They could spread a batch more evenly than chance does.
    even = training.get("draws") in ("lattice", "stratified")
    return training | {"draws": "independent"} if even else training


def make_density(
    components: Components, normalizer: shapes.Normalizer, data: Data
) -> GaussianMixture:
    """Return the truth of `components` in model coordinates, float64.

    Where they are Gaussians, the mixture's bandwidth is their least deviation.
    """
    points, weights, covariances = components
    anchors = torch.from_numpy(normalizer.apply(points))
    shares = None if weights is None else torch.from_numpy(weights)
    if covariances is None:
        return GaussianMixture(anchors, data.dot, shares)
    spread = torch.from_numpy(covariances / np.outer(normalizer.scale, normalizer.scale))
    least = torch.linalg.eigvalsh(spread).min()
    beyond = spread - least * torch.eye(2, dtype=spread.dtype)
    if beyond.abs().max() < _ROUNDING * least:
        return GaussianMixture(anchors, math.sqrt(least), shares)
    return GaussianMixture(anchors, math.sqrt(least), shares, beyond)


def of_one_truth(models: Mapping[str, TrainedDenoiser], data: Data) -> dict[str, TrainedDenoiser]:
    """Return of the models by version those of `data` whose points are the newest such one's."""
    alike = {
        version: model
        for version, model in models.items()
        if Data.model_validate(model.parameters["data"]) == data
    }
    newest = alike[max(alike)].shape_digest if alike else None
    return {version: model for version, model in alike.items() if model.shape_digest == newest}


def _denoiser(file: Tensors, parameters: Mapping[str, Any]) -> Denoiser:
    """Build the network and give it the file's weights. Raises what pydantic and torch raise."""
    denoiser = Denoiser(
        # Release 0.1.0 kept the fitted network in place of the one that was asked for.
        # Its outputs were the quantities themselves.
        Network.model_validate(
            file.metadata.get("network", {"preconditioned": False, **parameters["network"]})
        ),
        make_path(Schedule.model_validate(parameters["schedule"])),
    )
    weights = {
        name.removeprefix(_WEIGHTS): w
        for name, w in file.tensors.items()
        if name.startswith(_WEIGHTS)
    }
    denoiser.load_state_dict(_retied(weights, denoiser), strict=True)
    return denoiser.eval().requires_grad_(False)


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
