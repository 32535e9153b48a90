"""A model as it is handed to somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pointillist.models import TrainedDenoiser


@dataclass(frozen=True)
class Package:
    """What a registry needs to know of a model."""

    name: str
    run_id: str
    """Of the training, in MLflow."""
    model: TrainedDenoiser
    sampling: Mapping[str, Any]
    """The sampler that goes with it."""
    metrics: Mapping[str, float]
    """Why it was chosen."""
