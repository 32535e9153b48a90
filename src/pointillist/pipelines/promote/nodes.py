"""Promote: choose the best training of a shape and hand its model to the registry."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import pandas as pd

from pointillist.datasets import Package
from pointillist.datasets.models import SavedModel
from pointillist.diffusion.config import Data, Sampling
from pointillist.errors import PointillistError
from pointillist.models.denoiser import of_one_truth
from pointillist.parameters import Promotion

logger = logging.getLogger(__name__)


def choose_champion(
    training_runs: pd.DataFrame,
    trained_models: Mapping[str, SavedModel],
    shape: str,
    sampling: Sampling,
    promotion: Promotion,
    data: Data,
) -> Package:
    """Take the model with the best metric among the trainings whose model is still on disk.

    Metrics are against a training's own truth. So only those of one truth are ranked: that of `data` and,
    if the shape has changed, of its newest points.
    """
    metric = promotion.metric
    mine = training_runs[training_runs["shape"] == shape] if len(training_runs) else training_runs
    there = [f"{shape}/{version}" in trained_models for version in mine.get("version", [])]
    mine = mine[there] if len(mine) else mine
    mine = mine[mine[metric].notna()] if metric in mine else mine[:0]
    models = {}
    for version in mine.get("version", []):
        try:
            model = trained_models[f"{shape}/{version}"].read()
        except PointillistError as error:
            logger.warning("%s is left out: %s", version, error)
        else:
            models[version] = model
    alike = of_one_truth(models, data)
    if not alike:
        others = f" ({len(models)} have, with another data.*)" if models else ""
        raise PointillistError(
            f"No training of {shape!r} in MLflow has the metric {metric!r} and its model on disk"
            f"{others}. "
            f"Train and evaluate one: kedro run --pipelines train,sample,evaluate --params shape={shape}"
        )
    if len(alike) < len(models):
        logger.info("%d trainings of another truth are left out.", len(models) - len(alike))
    mine = mine[mine["version"].isin(list(alike))]
    ranked = mine.sort_values(metric, ascending=promotion.direction == "minimize")
    best = ranked.iloc[0]
    logger.info(
        "Of %d trainings of %s, %s has the best %s: %.4g.",
        len(mine),
        shape,
        best["version"],
        metric,
        best[metric],
    )
    return Package(
        f"pointillist-{shape}",
        str(best["run_id"]),
        alike[best["version"]],
        sampling.model_dump(mode="json"),
        {metric: float(best[metric])},
    )
