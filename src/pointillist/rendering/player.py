"""An interactive film: forward and reverse process on one time line, as a page or a plotly figure.

Points are seen variance-preserving, ``y = cos(a) x_0 + sin(a) eps`` with ``tan(a) = sigma / alpha``, in
coordinates whose origin is the process's own. The page draws on a canvas, holds all it needs and asks the
network for nothing; its templates are in `templates/`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.colors import to_hex

from pointillist.rendering import animation, style
from pointillist.rendering.style import Points

_TEMPLATES = Path(__file__).parent / "templates"
_FORWARD, _REVERSE, _REST = 90, 130, 14
"""Frames of the time line: forward, in reverse, and at rest in between."""
_GREATEST = 32767


@dataclass(frozen=True)
class Scene:
    """One chain, and the points and noise of the forward process that leads to its start."""

    name: str
    states: Points
    """(F, n, 2) from noise to clean."""
    noise_ratios: Points
    """(F,) sigma / alpha of each state, falling."""
    clean: Points
    """(n, 2) points of the truth from which the forward process starts."""
    noise: Points
    """(n, 2) eps, in which it ends."""
    truth: Points
    """(M, 2) anchors, drawn faintly behind."""
    center: tuple[float, float]
    """The origin, in original coordinates."""
    scale: tuple[float, float]
    """One unit, in original coordinates."""
    steps: int
    """Steps of the sampler."""


@cache
def _environment() -> Environment:
    """Return jinja2's environment: everything that is written into a page is escaped."""
    loader = FileSystemLoader(_TEMPLATES)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)


def _asset(name: str) -> Markup:
    """Return a style sheet or script of ours, to be written into a page as it is."""
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))


def page(scenes: Sequence[Scene], title: str, subtitle: str) -> str:
    """Return the player as one HTML file.

    Parameters
    ----------
    scenes : sequence
        One or more chains; they play in step, side by side.
    title, subtitle : str
        Written above.

    Raises
    ------
    ValueError
        If there is no scene, or the noise of one doesn't fall.
    PointillistError
        If a coordinate isn't finite.
    """
    return render("page.html", scenes, title=title, subtitle=subtitle)


def render(template: str, scenes: Sequence[Scene], **words: Any) -> str:
    """Return a page that extends page.html: `words`, and the player of `scenes`.

    Raises as `page` does.
    """
    return (
        _environment()
        .get_template(template)
        .render(css=_asset("page.css"), js=_asset("player.js"), **_parts(scenes), **words)
    )


def _parts(scenes: Sequence[Scene]) -> dict[str, Any]:
    if not scenes:
        raise ValueError("a player needs at least one scene")
    frames, ratios = _time_line(scenes)
    data = {
        "palette": {
            theme: [to_hex(style.look(theme).palette(k)) for k in range(256)]
            for theme in ("light", "dark")
        },
        "frames": frames,
        "scenes": [_packed(scene, ratios) for scene in scenes],
    }
    # Inside a script element only "<" could end it; JSON says it in another way.
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return {"scene_names": [scene.name for scene in scenes], "data": Markup(text)}


def plotly_figure(scene: Scene, points: int = 500, frames: int = 40) -> Any:
    """Return the reverse chain as a plotly figure with a slider, small enough for Kedro-Viz."""
    import plotly.graph_objects as go

    states = style.as_points(scene.states, "reverse chain", 3)
    chosen = np.linspace(0, states.shape[1] - 1, min(points, states.shape[1])).round().astype(int)
    ratios = animation.frame_ratios(scene.noise_ratios[0], scene.noise_ratios[-1], frames)
    clouds = [
        animation.state_at(states[:, chosen], scene.noise_ratios, ratio) * scene.scale
        + scene.center
        for ratio in ratios
    ]
    truth = style.as_points(scene.truth, "shape")
    hues = [to_hex(colour) for colour in style.colours_of(states[-1, chosen], truth)]
    labels = [f"σ/α = {style.ratio_text(ratio)}" for ratio in ratios]

    def dots(cloud: Points) -> Any:
        at = np.round(cloud, 6)
        marker = {"color": hues, "size": 4}
        return go.Scatter(x=at[:, 0], y=at[:, 1], mode="markers", marker=marker)

    window = style.frame_of(truth * scene.scale + scene.center, clouds[0])
    return go.Figure(
        data=[dots(clouds[-1])],
        frames=[
            go.Frame(data=[dots(cloud)], name=label)
            for cloud, label in zip(clouds, labels, strict=True)
        ],
        layout=_plotly_layout(scene, window, labels),
    )


def _plotly_layout(scene: Scene, window: style.Limits, labels: Sequence[str]) -> dict[str, Any]:
    """Return bare axes that show `window`, a button that plays, and a slider through `labels`."""
    play = {"frame": {"duration": 60, "redraw": False}, "transition": {"duration": 0}}
    still = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}}
    button = {"label": "Play", "method": "animate", "args": [None, play]}
    return {
        "title": {"text": scene.name},
        "paper_bgcolor": style.PAPER,
        "plot_bgcolor": style.PAPER,
        "showlegend": False,
        "xaxis": {"range": [window.left, window.right], "visible": False},
        "yaxis": {
            "range": [window.bottom, window.top],
            "visible": False,
            "scaleanchor": "x" if scene.scale[0] == scene.scale[1] else None,
        },
        "updatemenus": [{"type": "buttons", "buttons": [button]}],
        "sliders": [
            {
                "active": len(labels) - 1,
                "steps": [
                    {"label": label, "method": "animate", "args": [[label], still]}
                    for label in labels
                ],
            }
        ],
    }


def _time_line(scenes: Sequence[Scene]) -> tuple[list[dict[str, Any]], Points]:
    """Return the frames of the page, and the noise ratio at each."""
    for scene in scenes:
        if not (np.diff(scene.noise_ratios) < 0).all():
            raise ValueError("noise_ratios must fall from state to state")
    noisiest = max(float(scene.noise_ratios[0]) for scene in scenes)
    clearest = min(float(scene.noise_ratios[-1]) for scene in scenes)
    up = animation.frame_ratios(0.0, noisiest, _FORWARD)
    down = animation.frame_ratios(noisiest, clearest, _REVERSE)
    ratios = np.concatenate((up, np.full(_REST, noisiest), down))
    frames = [
        {
            "forward": k < _FORWARD + _REST // 2,
            "ratio": round(float(ratio), 6),
            "angle": round(float(np.arctan(ratio)), 6),
        }
        for k, ratio in enumerate(ratios)
    ]
    return frames, ratios


def _packed(scene: Scene, ratios: Points) -> dict[str, Any]:
    states = style.as_points(scene.states, "reverse chain", 3)
    clean, noise = style.as_points(scene.clean, "truth"), style.as_points(scene.noise, "noise")
    truth = style.as_points(scene.truth, "shape")
    window = style.frame_of(truth, noise).reshaped(1.0)
    half = (window.right - window.left) / 2
    middle = ((window.left + window.right) / 2, (window.bottom + window.top) / 2)
    # Points far outside the picture stay outside it.
    furthest = 4 * half + float(np.abs(middle).max())
    unit = furthest / _GREATEST
    positions = animation.position_of(scene.noise_ratios, ratios)
    return {
        "n": states.shape[1],
        "n_states": len(states),
        "steps": scene.steps,
        "stride": scene.steps / (len(states) - 1),
        "unit": unit,
        "window": half,
        "middle": middle,
        "states": _integers(states, unit),
        "clean": _integers(clean, unit),
        "noise": _integers(noise, unit),
        "truth": _integers(truth, unit),
        "positions": np.round(positions, 4).tolist(),
        "colours": _text(style.shares_of(states[-1], truth)),
        "colours_forward": _text(style.shares_of(clean, truth)),
        "original": {"center": scene.center, "scale": scene.scale},
    }


def _integers(points: Points, unit: float) -> str:
    whole = np.clip(np.round(points / unit), -_GREATEST, _GREATEST).astype("<i2")
    return base64.b64encode(whole.tobytes()).decode()


def _text(shares: Points) -> str:
    return base64.b64encode(np.round(255 * shares).astype(np.uint8).tobytes()).decode()
