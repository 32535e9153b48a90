"""Whether the model that a run loads was trained on the source of the run's shape.

The name doesn't tell: files are edited, and `text=cat` has the name of `shape=cat`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pointillist import command_line, shapes
from pointillist.errors import PointillistError
from pointillist.parameters import Parameters
from pointillist.shapes import digests
from pointillist.shapes.config import Source
from pointillist.shapes.points import split

if TYPE_CHECKING:
    import pandas as pd

    from pointillist.models import TrainedDenoiser


class Provenance:
    """What one run has seen of its shape's points and of the model of an earlier run."""

    def __init__(self, parameters: Parameters, folder: Path) -> None:
        """Take the run's parameters and the folder of own shapes."""
        self._parameters, self._folder = parameters, folder
        self._points = ""
        self._model: TrainedDenoiser | None = None

    def note_points(self, points: pd.DataFrame) -> None:
        """Take the shape's points. Raises PointillistError if the model was trained on others."""
        self._points = shapes.digest(split(points).table().to_numpy())
        self._compare()

    def note_model(self, model: TrainedDenoiser) -> None:
        """Take the model.

        Raises
        ------
        PointillistError
            If it was trained on another source than the run's. Where the model's file is gone or the
            run's can't be read, and where both are built-in shapes, nothing is raised.
        """
        if self._model is None:
            self._model = model
            if model.origin and (source := self._other_source(model)):
                raise self._refusal(source)
        self._compare()

    def _compare(self) -> None:
        if self._model and self._points not in ("", self._model.shape_digest):
            raise self._refusal("those of this run")

    def _other_source(self, model: TrainedDenoiser) -> str | None:
        """Return what the run's source is if the model's is another."""
        parameters, trained = self._parameters, model.origin
        try:
            found = shapes.find(
                parameters.shape, self._folder, parameters.shape_file, parameters.text
            )
        except PointillistError:
            return None
        is_own = found.kind in ("file", "word")
        about = found.about if is_own else f"the built-in {found.name}"
        if trained.get("text") != found.text:
            return about
        if is_own:
            return None if self._holds_points_of(model, found) else about
        # The name of a file that was given then, and is still there.
        given = trained.get("shape_file")
        return about if given and Path(given).is_file() else None

    def _holds_points_of(self, model: TrainedDenoiser, found: shapes.Origin) -> bool:
        """Tell whether a file is the one that the model was trained on, or gives the same points."""
        try:
            if found.path is None or digests.of_file(found.path) == model.origin.get("content"):
                return True
            material = shapes.read(found, self._parameters.max_megabytes)
            options = Source.model_validate(model.origin["source"])
        except (PointillistError, OSError, KeyError, ValidationError):
            return True
        try:
            points = material.place(options)
        except PointillistError:
            # The model's own source was placed with these options.
            return False
        placed = split(points)
        if placed.covariances is None:
            # What data.bandwidth=auto made of the points.
            placed = placed._replace(covariances=model.covariances)
        return shapes.digest(placed.table().to_numpy()) == model.shape_digest

    def _refusal(self, others: str) -> PointillistError:
        assert self._model is not None
        model, origin = self._model, self._model.origin
        given = {key: origin[key] for key in ("shape_file", "text") if origin.get(key)}
        trained = command_line.write(given) if given else "other points"
        return PointillistError(
            f"The denoiser of {model.shape!r} was trained on {trained}, not on {others}.\nMake it again: "
            f"kedro run --params {command_line.source(self._parameters)}, or take it as it is: --params "
            f"run={model.version}"
        )
