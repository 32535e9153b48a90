"""Report: everything there is to see of a run on one page."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from pointillist import models, rendering
from pointillist.pipelines.report.again import again, differences
from pointillist.rendering.config import Player, Rendering
from pointillist.version import __version__

_PACKAGES = ("torch", "numpy", "kedro", "mlflow")


def write_report(
    denoiser: models.TrainedDenoiser,
    reverse_chain: models.ReverseChain,
    samples: pd.DataFrame,
    metrics: dict[str, float],
    training_history: pd.DataFrame,
    risk_by_noise: pd.DataFrame,
    player: Player,
    rendering_: Rendering,
    seed: int,
    device: str,
) -> str:
    """Put film, metrics, differences, pictures and provenance on one page."""
    reverse_chain.require_model(denoiser, samples)
    return rendering.report.page(
        shape=denoiser.shape,
        scenes=rendering.views.scenes(reverse_chain, denoiser, player, seed, device),
        metrics=metrics,
        quality=[
            rendering.report.Picture(
                rendering.views.samples_beside_truth(
                    samples, denoiser, metrics, rendering_.point_size, seed
                ),
                "Samples beside a fresh draw of the truth, each metric over its floor",
            ),
            rendering.report.Picture(
                rendering.curves.risk_by_noise(risk_by_noise, metrics),
                "What each range of noise levels adds to the bound",
            ),
            rendering.report.Picture(
                rendering.curves.loss_curve(training_history), "Training loss beside its floor"
            ),
            *_choice(denoiser),
        ],
        knowledge=_knowledge(denoiser, seed, device),
        differing=differences(denoiser, reverse_chain.sampling),
        again=again(denoiser, reverse_chain),
        provenance=_provenance(denoiser),
        note=denoiser.stretch,
    )


def _choice(model: models.TrainedDenoiser) -> list[rendering.report.Picture]:
    """Return the picture of how the bandwidth was chosen, if it was."""
    if not (found := model.leave_one_out):
        return []
    what = "Leave-one-out likelihood of the points over the bandwidth, and the one chosen"
    return [rendering.report.Picture(rendering.curves.leave_one_out(found), what)]


def _knowledge(
    model: models.TrainedDenoiser, seed: int, device: str
) -> list[rendering.report.Picture]:
    return [
        rendering.report.Picture(
            rendering.explanations.scores(model, seed, device),
            "Exact and learned score at five noise levels, and the denoiser's error",
        ),
        rendering.report.Picture(
            rendering.explanations.density(model, device),
            "Density of the probability-flow ODE beside the true density",
        ),
        rendering.report.Picture(
            rendering.explanations.trajectories(model, seed),
            "Trajectories of 200 points from noise to shape",
        ),
    ]


def _provenance(model: models.TrainedDenoiser) -> list[tuple[str, str]]:
    what = "points" if model.covariances is None else "Gaussians"
    rows = [
        ("model", str(model.version)),
        ("digest of the model", model.digest[:16]),
        ("digest of the shape", model.shape_digest),
        (f"{what} of the shape", f"{len(model.points):,}"),
        ("pointillist", __version__),
        ("python", platform.python_version()),
        *((name, version(name)) for name in _PACKAGES),
    ]
    if commit := _commit():
        rows.insert(4, ("commit", commit))
    return rows


def _commit() -> str | None:
    """Return the commit of the code that runs, if it is in a repository, and whether it was changed."""
    folder = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
