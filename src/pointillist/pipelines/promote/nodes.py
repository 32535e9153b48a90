"""Promote: choose the best training of a shape and hand its model to the registry."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pointillist import models
from pointillist.datasets import Package
from pointillist.datasets.models import SavedModel
from pointillist.diffusion.config import Data, Sampling
from pointillist.errors import PointillistError
from pointillist.parameters import Promotion

logger = logging.getLogger(__name__)

# Two draws of one model differ by as much in a distance to the truth.
_ALIKE = 1.25
# Samples this many times their floor from the truth are not what a bound below so many nats promises.
_FAR, _GOOD_BOUND = 3.0, 0.1


def choose_champion(
    training_runs: pd.DataFrame,
    trained_models: Mapping[str, SavedModel],
    shape: str,
    sampling: Sampling,
    promotion: Promotion,
    data: Data,
) -> Package:
    """Take the model, and the sampler that it was evaluated with, that have the best metric.

    Metrics are against a training's own truth. So only those of one truth are ranked: that of `data` and,
    if the shape has changed, of its newest points. Values within a quarter of the best, or of
    their floor, can't be told apart: of such, the lowest bound wins.
    """
    rows = _evaluated(training_runs, trained_models, shape, promotion.metric)
    found = _readable(trained_models, shape, rows)
    alike = models.denoiser.of_one_truth(found, data)
    if not alike:
        others = f" ({len(found)} have, with another data.*)" if found else ""
        raise PointillistError(
            f"No training of {shape!r} in MLflow has the metric {promotion.metric!r} and its model on "
            f"disk{others}. Train and evaluate one: kedro run --pipelines train,sample,evaluate "
            f"--params shape={shape}"
        )
    if len(alike) < len(found):
        logger.info("%d trainings of another truth are left out.", len(found) - len(alike))
    best = _ranked(rows[rows["version"].isin(list(alike))], promotion).iloc[0]
    chosen = Sampling.model_validate(best["sampling"]) if best["sampling"] else sampling
    logger.info(
        "Of the %d evaluated trainings of %s, %s with %s in %d steps has the best %s: %.4g.",
        len(alike),
        shape,
        best["version"],
        chosen.sampler,
        chosen.steps,
        promotion.metric,
        best[promotion.metric],
    )
    _warn_of_disagreement(best)
    return Package(
        f"pointillist-{shape}",
        str(best["run_id"]),
        alike[best["version"]],
        chosen.model_dump(mode="json"),
        {promotion.metric: float(best[promotion.metric])},
    )


def _evaluated(
    runs: pd.DataFrame, trained: Mapping[str, SavedModel], shape: str, metric: str
) -> pd.DataFrame:
    """Return the evaluations of a shape that have the metric and whose model is on disk."""
    if metric not in runs:
        return pd.DataFrame({"version": []})
    on_disk = (runs["shape"] + "/" + runs["version"]).isin(list(trained))
    return runs[(runs["shape"] == shape) & runs[metric].notna() & on_disk]


def _readable(
    trained: Mapping[str, SavedModel], shape: str, rows: pd.DataFrame
) -> dict[str, models.TrainedDenoiser]:
    """Read the models of the evaluations by version; one that can't be read is left out and named."""
    found = {}
    for version in dict.fromkeys(rows["version"]):
        try:
            found[version] = trained[f"{shape}/{version}"].read()
        except PointillistError as error:
            logger.warning("%s is left out: %s", version, error)
    return found


def _ranked(rows: pd.DataFrame, promotion: Promotion) -> pd.DataFrame:
    """Return the rows, the best first; what is alike in the metric is ranked by the bound."""
    metric, minimize = promotion.metric, promotion.direction == "minimize"
    if not minimize or f"{metric}_floor" not in rows or "kl_bound_nats" not in rows:
        return rows.sort_values(metric, ascending=minimize, kind="stable")
    least = np.maximum(rows[metric].min(), rows[f"{metric}_floor"])
    alike = rows[metric] <= _ALIKE * least
    keyed = rows.assign(key=rows[metric].where(~alike, 0))
    return keyed.sort_values(["key", "kl_bound_nats"], kind="stable")


def _warn_of_disagreement(best: pd.Series[Any]) -> None:
    """Warn where the bound calls a model good and its samples are far from the truth."""
    ratio = best.get("sw2", 0) / best.get("sw2_floor", 1)
    bound = best.get("kl_bound_nats", 1)
    if ratio > _FAR and bound < _GOOD_BOUND:
        logger.warning(
            "Its samples are far from the truth (sw2 %.1f times its floor), though its bound is %.3g "
            "nats: the sampler errs, or a few points stray. See docs/metrics.md.",
            ratio,
            bound,
        )
