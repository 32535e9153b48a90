"""Report: everything there is to see of a run on one page."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from pointillist import models, rendering
from pointillist.groups import flatten
from pointillist.parameters import Parameters
from pointillist.pipelines.explain import nodes as explain
from pointillist.pipelines.player.nodes import scenes_of
from pointillist.pipelines.render import nodes as render
from pointillist.rendering.config import Player
from pointillist.version import __version__

_PACKAGES = ("torch", "numpy", "kedro", "mlflow")
# What null becomes when a network is fitted to its shape.
_FITTED = {"network.input_bandwidth", "network.bandwidth"}


def write_report(
    denoiser: models.TrainedDenoiser,
    reverse_chain: models.ReverseChain,
    samples: pd.DataFrame,
    metrics: dict[str, float],
    training_history: pd.DataFrame,
    risk_by_noise: pd.DataFrame,
    player: Player,
    seed: int,
    device: str,
) -> str:
    """Put film, metrics, differences, pictures and provenance on one page."""
    reverse_chain.require_model(denoiser, samples)
    model = denoiser
    picture = rendering.report.Picture
    differing = differences(model.parameters, reverse_chain.sampling.model_dump(mode="json"))
    return rendering.report.page(
        shape=model.shape,
        scenes=scenes_of(reverse_chain, model, player, seed, device),
        metrics=metrics,
        quality=[
            picture(
                render.draw_samples(samples, denoiser, metrics, seed),
                "Samples beside a fresh draw of the truth, each metric over its floor",
            ),
            picture(
                render.draw_risk(risk_by_noise, metrics),
                "What each range of noise levels adds to the bound",
            ),
            picture(render.draw_loss(training_history), "Training loss beside its floor"),
        ],
        knowledge=[
            picture(
                explain.draw_scores(denoiser, seed, device),
                "Exact and learned score at five noise levels, and the denoiser's error",
            ),
            picture(
                explain.draw_density(denoiser, device),
                "Density of the probability-flow ODE beside the true density",
            ),
            picture(
                explain.draw_trajectories(denoiser, seed),
                "The ways of 200 points from noise to shape",
            ),
        ],
        differing=differing,
        command=command(model.shape, model.parameters["seed"], differing),
        provenance=_provenance(model),
        note=model.stretch,
    )


def differences(trained: dict[str, Any], sampling: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the parameters of training and sampling that aren't the defaults: name, here, default."""
    groups = {name: value for name, value in trained.items() if name != "seed"}
    here = flatten(groups | {"sampling": sampling})
    defaults = flatten(Parameters().model_dump(mode="json"))
    return [
        (name, said(value), said(defaults[name]))
        for name, value in here.items()
        if name in defaults
        and value != defaults[name]
        and not (name in _FITTED and _is_fitted(name, value, here))
    ]


def _is_fitted(name: str, value: Any, here: dict[str, Any]) -> bool:
    """Tell what was found for a shape from what somebody set, as far as that can be told."""
    return name == "network.input_bandwidth" or value == here["data.bandwidth"]


def command(shape: str, seed: int, differing: list[tuple[str, str, str]]) -> str:
    """Return the command that makes such a run again; what has a comma stands in a file."""
    words = [f"shape={shape}", *([f"seed={seed}"] if seed else [])]
    words += [f"{name}={value}" for name, value, _ in differing if "," not in value]
    return f"kedro run --params {','.join(words)}"


def said(value: Any) -> str:
    """Return a value as one writes it on a command line."""
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


def _provenance(model: models.TrainedDenoiser) -> list[tuple[str, str]]:
    rows = [
        ("model", str(model.version)),
        ("digest of the model", model.digest[:16]),
        ("digest of the shape", model.shape_digest),
        ("points of the shape", f"{len(model.points):,}"),
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
