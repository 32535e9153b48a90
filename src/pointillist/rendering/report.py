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
    return player.render(
        "report.html",
        scenes,
        title=shape,
        subtitle=_verdict(metrics),
        note=note,
        metrics=metric_rows(metrics),
        nats=_nats(metrics),
        quality=quality,
        knowledge=knowledge,
        differing=differing,
        command=command,
        provenance=provenance,
    )


def comparison_page(
    *,
    names: tuple[str, str],
    scenes: Sequence[player.Scene],
    metrics: tuple[Mapping[str, float], Mapping[str, float]],
    losses: Figure | None,
    differing: Sequence[tuple[str, str, str]],
    conditions: str,
) -> str:
    """Return two runs as one HTML file that asks the network for nothing.

    Parameters
    ----------
    names : pair
        What the two are called.
    scenes : sequence
        Their chains, from the same noise.
    metrics : pair
        As `evaluate` saves them, from the same draws.
    losses : Figure or None
        Both loss curves.
    differing : sequence
        Parameter, first's, second's.
    conditions : str
        What was the same for both.
    """
    curves = None if losses is None else Picture(losses, "Training loss of both runs")
    return player.render(
        "comparison.html",
        scenes,
        title=f"{names[0]} and {names[1]}",
        subtitle=conditions,
        metrics=compared(*metrics),
        losses=curves,
        differing=differing,
    )


def compared(a: Mapping[str, float], b: Mapping[str, float]) -> list[dict[str, str]]:
    """Return name, words, both values, difference, floors and the better of every common metric."""
    rows = []
    for name in a:
        if name not in b or not (f"{name}_floor" in a or f"{name}_error" in a):
            continue
        floors = [m.get(f"{name}_floor") for m in (a, b)]
        rows.append(
            {
                "name": name,
                "words": _WORDS.get(name, ""),
                "a": f"{a[name]:.4g}",
                "b": f"{b[name]:.4g}",
                "difference": f"{b[name] - a[name]:+.2g}",
                "floor_a": "0" if floors[0] is None else f"{floors[0]:.4g}",
                "floor_b": "0" if floors[1] is None else f"{floors[1]:.4g}",
                "better": _better(name, a, b),
            }
        )
    return rows


def _better(name: str, a: Mapping[str, float], b: Mapping[str, float]) -> str:
    """Return A or B, or nothing where the two are as good as equal."""
    if (error := a.get(f"{name}_error")) is not None:
        spread = 2 * (error**2 + b[f"{name}_error"] ** 2) ** 0.5
        if abs(a[name] - b[name]) <= spread:
            return ""
        return "A" if a[name] < b[name] else "B"
    floors = [m[f"{name}_floor"] for m in (a, b)]
    if min(floors) <= 0:
        # Estimates without bias are below 0 as often as above: their ratio says nothing.
        return ""
    ratios = [m[name] / floor for m, floor in zip((a, b), floors, strict=True)]
    if abs(ratios[0] - ratios[1]) <= 0.1:
        return ""
    return "A" if (ratios[0] < ratios[1]) != (name in HIGHER_IS_BETTER) else "B"


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
