"""Every trained model on disk, by version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io.core import AbstractDataset, DatasetError

if TYPE_CHECKING:
    import pandas as pd

    from pointillist.models import TrainedDenoiser

_MODEL, _HISTORY = "denoiser.safetensors", "training_history.csv"


@dataclass(frozen=True)
class SavedModel:
    """One version of a shape's model, and the history of its training; read when asked for."""

    shape: str
    version: str
    path: Path

    def read(self) -> TrainedDenoiser:
        """Read the model. Raises PointillistError if it is damaged."""
        from pointillist.models import TrainedDenoiser

        return TrainedDenoiser.read(self.path)

    def history(self) -> pd.DataFrame | None:
        """Read the history of the training, if it is there."""
        import pandas as pd

        path = self.path.parents[2] / _HISTORY / self.version / _HISTORY
        return pd.read_csv(path) if path.is_file() else None


class ModelsDataset(AbstractDataset[None, Mapping[str, SavedModel]]):
    """The models of all shapes in a layer, by shape and version. Read only.

    Two shapes that are trained at the same millisecond have the same version.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Take the layer of models: one folder a shape."""
        self._folder = Path(filepath)
        self.metadata = metadata

    def load(self) -> Mapping[str, SavedModel]:
        """Return what there is as SHAPE/VERSION, oldest first."""
        found = [
            SavedModel(path.parents[2].name, path.parent.name, path)
            for path in self._folder.glob(f"*/{_MODEL}/*/{_MODEL}")
        ]
        found.sort(key=lambda model: model.version)
        return {f"{model.shape}/{model.version}": model for model in found}

    def save(self, data: None) -> None:  # noqa: ARG002 - Kedro's signature
        """Refuse: models are written by their training."""
        raise DatasetError("Models are read only here.")

    def _exists(self) -> bool:
        return self._folder.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._folder}
