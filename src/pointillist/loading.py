"""A trained model in a script of one's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pointillist.errors import PointillistError
from pointillist.models import TrainedDenoiser

_NAME = "denoiser.safetensors"


def load(source: str | Path) -> TrainedDenoiser:
    """Load a trained model: ``load("denoiser.safetensors").sample(1000)`` are 1,000 points.

    Parameters
    ----------
    source
        A file; a folder of it, of its versions (the newest is taken) or of the shape in data/06_models;
        or a registered model, as in models:/pointillist-cat@champion, of the MLflow at
        MLFLOW_TRACKING_URI or of the project in the working directory.

    Raises
    ------
    PointillistError
        If there is none, it is damaged, or MLflow can't be reached.
    """
    if str(source).startswith("models:/"):
        from pointillist.tracking import datasets

        with datasets.downloaded(str(source), Path.cwd()) as (file, sampling):
            return replace(TrainedDenoiser.read(file), sampling=sampling)
    place = Path(source).expanduser()
    if place.is_file():
        return TrainedDenoiser.read(place)
    versions = [*place.glob(_NAME), *place.glob(f"*/{_NAME}"), *place.glob(f"{_NAME}/*/{_NAME}")]
    files = sorted((file for file in versions if file.is_file()), key=lambda file: file.parent.name)
    if not files:
        raise PointillistError(
            f"No trained model at {str(source)!r}. Give a {_NAME}, a folder of versions of it, or "
            "models:/NAME@ALIAS of a registered one."
        )
    return TrainedDenoiser.read(files[-1])
