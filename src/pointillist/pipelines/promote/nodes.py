"""Promote: choose the best training of a shape and hand its model to the registry."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import pandas as pd

from pointillist import artifacts
from pointillist.datasets import Package
from pointillist.datasets.models import TrainedModel
from pointillist.errors import PointillistError
from pointillist.parameters import Promotion, Sampling

logger = logging.getLogger(__name__)


def choose_champion(
    training_runs: pd.DataFrame,
    trained_models: Mapping[str, TrainedModel],
    shape: str,
    sampling: Sampling,
    promotion: Promotion,
) -> Package:
    """Take the model with the best metric among the trainings whose model is still on disk."""
    metric = promotion.metric
    mine = training_runs[training_runs["shape"] == shape] if len(training_runs) else training_runs
    there = [f"{shape}/{version}" in trained_models for version in mine.get("version", [])]
    mine = mine[there] if len(mine) else mine
    if mine.empty or metric not in mine or mine[metric].isna().all():
        raise PointillistError(
            f"No training of {shape!r} in MLflow has the metric {metric!r} and its model on disk. "
            f"Train and evaluate one: kedro run --pipelines train,sample,evaluate --params shape={shape}"
        )
    ranked = mine.sort_values(metric, ascending=promotion.direction == "minimize")
    best = ranked.iloc[0]
    model = trained_models[f"{shape}/{best['version']}"].read()
    artifacts.checkpoint.unpack(model)
    logger.info(
        "Of %d trainings of %s, %s has the best %s: %.4g.",
        int(mine[metric].notna().sum()),
        shape,
        best["version"],
        metric,
        best[metric],
    )
    return Package(
        f"pointillist-{shape}",
        str(best["run_id"]),
        model,
        sampling.model_dump(mode="json"),
        {metric: float(best[metric])},
    )
