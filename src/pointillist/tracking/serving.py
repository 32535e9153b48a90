"""A registered model, as `mlflow.pyfunc.load_model` and `mlflow models serve` find it: by this name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointillist.diffusion.config import Sampling
from pointillist.errors import PointillistError
from pointillist.models import TrainedDenoiser
from pointillist.parameters import validate

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

EXAMPLE = {"n": [5]}
_DEFAULT_N = 1000
_MOST, _MOST_STEPS, _MOST_VISITS = 1_000_000, 1000, 80_000_000
"""Bounds of n, of steps and of their product: a request is answered in a minute or two."""


def signature(sampling: Mapping[str, Any]) -> ModelSignature:
    """Return what a model takes and gives: how many points, and seed, steps and sampler as parameters."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    return ModelSignature(
        inputs=Schema([ColSpec("long", "n", required=False)]),
        outputs=Schema([ColSpec("double", "x"), ColSpec("double", "y")]),
        params=ParamSchema(
            [
                ParamSpec("n", "long", _DEFAULT_N),
                ParamSpec("seed", "long", 0),
                ParamSpec("steps", "long", sampling["steps"]),
                ParamSpec("sampler", "string", sampling["sampler"]),
            ]
        ),
    )


class ServedModel:
    """A denoiser with its sampler."""

    def __init__(self, model: TrainedDenoiser, sampling: Sampling) -> None:
        self._model, self._sampling = model, sampling

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Return points x, y in the coordinates of the shape.

        Parameters
        ----------
        model_input
            A table whose column n says how many points, summed over its rows; or nothing.
        params
            n (if the table does not say), seed, steps and sampler.

        Raises
        ------
        MlflowException
            If a value is out of bounds; a server answers 400 then.
        """
        import pandas as pd

        given = dict(params or {})
        try:
            n = _points_wanted(model_input, given.get("n", _DEFAULT_N))
            seed, steps = int(given.get("seed", 0)), int(given.get("steps", self._sampling.steps))
            if steps > _MOST_STEPS or n * steps > _MOST_VISITS:
                raise PointillistError(
                    f"Parameter 'steps': at most {_MOST_STEPS:,}, and n times steps at most "
                    f"{_MOST_VISITS:,} (got {steps} for {n} points)."
                )
            wanted = {
                **self._sampling.model_dump(),
                # A sampler draws two at least.
                "n_samples": max(2, n),
                "steps": steps,
                "sampler": str(given.get("sampler", self._sampling.sampler)),
            }
            checked = validate({"seed": seed, "sampling": wanted})
        except PointillistError as error:
            raise _bad_request(str(error)) from None
        drawn = self._model.sample(n, seed, checked.sampling)
        return pd.DataFrame(drawn, columns=["x", "y"])


def _points_wanted(model_input: Any, otherwise: Any) -> int:
    """Return the sum of the table's column n, or what is wanted `otherwise` if it doesn't say."""
    column = getattr(model_input, "get", lambda _: None)("n")
    said = [] if column is None else [v for v in list(column) if v is not None and v == v]
    values = said or [otherwise]
    for value in values:
        if not 1 <= value <= _MOST or value != int(value):
            raise PointillistError(
                f"Parameter 'n': a whole number of points from 1 to {_MOST:,} (got {value})."
            )
    if (n := sum(int(value) for value in values)) > _MOST:
        raise PointillistError(f"Parameter 'n': at most {_MOST:,} points in a request (got {n:,}).")
    return n


def _bad_request(message: str) -> Exception:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import BAD_REQUEST

    return MlflowException(message, error_code=BAD_REQUEST)


def _load_pyfunc(data_path: str) -> ServedModel:
    """Return the model of a folder; the name is MLflow's."""
    from pointillist.tracking.datasets import MODEL, SAMPLING

    folder = Path(data_path)
    sampling = Sampling.model_validate(json.loads((folder / SAMPLING).read_text()))
    return ServedModel(TrainedDenoiser.read(folder / MODEL), sampling)
