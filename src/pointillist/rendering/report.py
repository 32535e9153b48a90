"""One run as one page: film, metrics beside their floors, what differs, what the network knows."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from pointillist.rendering import player
from pointillist.rendering.figures import HIGHER_IS_BETTER, METRIC_NAMES

_WORDS = METRIC_NAMES | {
    "energy": "energy distance",
    "mmd": "maximum mean discrepancy",
    "c2st": "classifier's accuracy",
    "w2": "Wasserstein",
}
_WIDEST = 3.0
"""Ratio at which a bar is full."""


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


def page(
    *,
    shape: str,
    scenes: Sequence[player.Scene],
    metrics: Mapping[str, float],
    quality: Sequence[Picture],
    knowledge: Sequence[Picture],
    differing: Sequence[tuple[str, str, str]],
    command: str,
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
    command : str
        What makes the run again.
    provenance : sequence
        Name and value of versions, digests and the like.
    note : str
        Said below the film.
    """
    return (
        player.environment()
        .get_template("report.html")
        .render(
            shape=shape,
            verdict=_verdict(metrics),
            note=note,
            metrics=metric_rows(metrics),
            nats=_nats(metrics),
            quality=quality,
            knowledge=knowledge,
            differing=differing,
            command=command,
            provenance=provenance,
            css=player.asset("page.css"),
            js=player.asset("player.js"),
            **player.parts(scenes),
        )
    )


def metric_rows(metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return name, words, figures and bar of every metric that has a floor."""
    rows = []
    for name, value in metrics.items():
        floor = metrics.get(f"{name}_floor")
        if floor is None:
            continue
        ratio = value / floor if floor else float("nan")
        # Where more is better, too little is what a bar must show.
        worse = (1 / ratio if ratio else _WIDEST) if name in HIGHER_IS_BETTER else ratio
        rows.append(
            {
                "name": name,
                "words": _WORDS.get(name, name),
                "value": f"{value:.4g}",
                "floor": f"{floor:.4g}",
                "ratio": f"{ratio:.2f}" if floor else "-",
                "width": f"{100 * min(worse, _WIDEST) / _WIDEST:.1f}" if floor else "0",
                "mark": f"{100 / _WIDEST:.1f}",
            }
        )
    return rows


def _verdict(metrics: Mapping[str, float]) -> str:
    bound = metrics.get("kl_bound_nats")
    said = "" if bound is None else f"KL(truth ‖ reverse SDE) ≤ {bound:.3g} nats. "
    ratio = metrics["sw2"] / metrics["sw2_floor"]
    return f"{said}Sliced Wasserstein distance to the truth: {ratio:.2f} times its floor."


def _nats(metrics: Mapping[str, float]) -> str:
    parts = [
        f"{words} {metrics[name]:.4f} ± {metrics[f'{name}_error']:.4f} nats."
        for name, words in (
            ("kl_bound_nats", "KL of the reverse SDE at most"),
            ("kl_ode_nats", "KL of the probability-flow ODE"),
        )
        if name in metrics
    ]
    return " ".join(parts)
