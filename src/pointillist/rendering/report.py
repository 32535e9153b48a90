"""Pages: one run with film, metrics, figures and how to repeat it; several runs side by side."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from pointillist.diffusion.floors import BETTER, METRICS, Reading, best, reading, readings
from pointillist.rendering import player

_WIDEST = 3.0
"""Times worse than its floor at which a bar is full."""


@dataclass(frozen=True)
class Picture:
    """A figure, and what it shows for those who don't see it."""

    figure: Figure
    alt: str

    @property
    def source(self) -> str:
        """The picture itself as an address: PNG with a palette, which keeps pages small."""
        plain = io.BytesIO()
        self.figure.savefig(plain, format="png")
        small = io.BytesIO()
        Image.open(plain).convert("RGB").quantize(255).save(small, "PNG", optimize=True)
        return f"data:image/png;base64,{base64.b64encode(small.getvalue()).decode()}"


@dataclass(frozen=True)
class Again:
    """How to make a run again."""

    commands: Sequence[str]
    source: str = ""
    """A file that it reads."""
    origin_is_known: bool = True
    """Whether the model says where its points came from."""


def page(
    *,
    shape: str,
    scenes: Sequence[player.Scene],
    metrics: Mapping[str, float],
    quality: Sequence[Picture],
    knowledge: Sequence[Picture],
    differing: Sequence[tuple[str, str, str]],
    again: Again,
    provenance: Sequence[tuple[str, str]],
    note: str = "",
) -> str:
    """Return the report as one HTML file that asks the network for nothing.

    Parameters
    ----------
    shape : str
        Its name.
    scenes : sequence
        Chains for the player.
    metrics : mapping
        As `evaluate` saves them: each with ``<name>_floor``.
    quality, knowledge : sequences
        Figures of the two sections.
    differing : sequence
        Parameter, value here, default.
    again : Again
        How to make the run again.
    provenance : sequence
        Name and value of versions, digests and the like.
    note : str
        Said below the film.
    """
    return player.render(
        "report.html",
        scenes,
        title=shape,
        subtitle=_verdict(metrics),
        note=note,
        metrics=metric_rows(metrics),
        quality=quality,
        knowledge=knowledge,
        differing=differing,
        again=again,
        provenance=provenance,
    )


def comparison_page(
    *,
    names: Sequence[str],
    scenes: Sequence[player.Scene],
    metrics: Sequence[Mapping[str, float]],
    losses: Figure | None,
    differing: Sequence[tuple[str, Sequence[str]]],
    conditions: str,
    warnings: Sequence[str] = (),
) -> str:
    """Return several runs as one HTML file that asks the network for nothing.

    Parameters
    ----------
    names : sequence
        What the k runs are called, each beginning with its letter: "A: cat".
    scenes : sequence
        Their chains, from the same noise.
    metrics : sequence
        As `evaluate` saves them, from the same draws.
    losses : Figure or None
        All loss curves.
    differing : sequence
        Parameter, and its k values.
    conditions : str
        What was the same for all.
    warnings : sequence
        What a reader must know before comparing.
    """
    curves = None if losses is None else Picture(losses, "Training loss of each run")
    return player.render(
        "comparison.html",
        scenes,
        title=", ".join(names),
        subtitle=conditions,
        letters=[name.partition(":")[0] for name in names],
        metrics=compared(metrics),
        losses=curves,
        differing=differing,
        warnings=warnings,
    )


def compared(several: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """Return a row for each metric that all of `several` hold: its words, and a cell for each run."""
    rows = []
    for name in METRICS:
        found = [r for metrics in several if (r := reading(name, metrics)) is not None]
        if len(found) == len(several):
            cells = [
                _described(r) | {"best": is_best}
                for r, is_best in zip(found, best(found), strict=True)
            ]
            rows.append({"cells": cells, **_named(found[0])})
    return rows


def metric_rows(metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return words, figures and bar of every metric that stands beside its floor."""
    return [_named(r) | _described(r) | {"bar": _bar(r)} for r in readings(metrics)]


def _named(r: Reading) -> dict[str, Any]:
    return {"name": r.metric.name, "words": r.metric.words, "better": BETTER[r.metric.better]}


def _described(r: Reading) -> dict[str, Any]:
    return {"value": f"{r.value:.3g}", "floor": f"{r.floor:.3g}", "beside": r.text}


def _bar(r: Reading) -> dict[str, str] | None:
    """Return how far a bar goes and where the floor is, in percent; only multiples have one."""
    if r.metric.shown_as != "multiple" or math.isnan(r.times_worse):
        return None
    share = min(r.times_worse, _WIDEST) / _WIDEST
    return {"width": f"{100 * share:.1f}", "mark": f"{100 / _WIDEST:.1f}"}


def _verdict(metrics: Mapping[str, float]) -> str:
    said = []
    if (bound := metrics.get("kl_bound_nats")) is not None:
        said.append(f"KL(truth ‖ reverse SDE) ≤ {bound:.3g} nats.")
    if (sliced := reading("sw2", metrics)) is not None:
        said.append(
            f"Sliced Wasserstein distance to the truth: {sliced.times_text} times its floor."
        )
    return " ".join(said)
