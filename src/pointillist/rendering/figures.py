"""Figures of points: forward and reverse process, a training, samples beside the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from numpy.typing import ArrayLike, NDArray

from pointillist.diffusion.floors import Reading, readings
from pointillist.rendering import style
from pointillist.rendering.style import LEFT, RIGHT, Points


def process_strip(
    forward: ArrayLike,
    reverse: ArrayLike,
    noise_ratios: ArrayLike,
    truth: ArrayLike,
    note: str = "",
    point_size: float = 1.0,
) -> Figure:
    """Draw the forward process above the reverse chain, each column at one noise level.

    Parameters
    ----------
    forward, reverse : (k, n, 2)
        Points at the k noise levels, seen variance-preserving.
    noise_ratios : (k,)
        sigma/alpha of each column, rising.
    truth : (M, 2)
        Anchors, drawn faintly behind, in the same coordinates.
    note : str
        Said below the title.
    point_size : float
        Diameter of the dots, as a multiple of the usual one.

    Raises
    ------
    ValueError
        If shapes don't fit or the noise doesn't rise.
    PointillistError
        If a coordinate isn't finite.
    """
    rows = [style.as_points(forward, "forward process", 3), style.as_points(reverse, "reverse", 3)]
    ratios, anchors = np.asarray(noise_ratios, float), style.as_points(truth, "shape")
    if {len(row) for row in rows} != {len(ratios)} or not (np.diff(ratios) > 0).all():
        raise ValueError("noise_ratios must rise, one for each state of forward and of reverse")
    window = style.frame_of(anchors, *(row[-1] for row in rows))
    lost = style.outside_text(window.outside(rows[1][0]), rows[1].shape[1])
    subtitle = _sentences(
        f"Reverse: {lost}." if lost else "",
        "In each column both rows should have the same density.",
        "A point keeps one colour: where it is when clean, left to right.",
        note,
    )
    title = "Noise hides the shape; the denoiser recovers it"
    panels = style.panels(2, len(ratios), window, title, subtitle, labels=1, free=40)
    for axes_of_row, row in zip(panels.axes, rows, strict=True):
        colours = style.colours_of(row[0], anchors)
        for axes, cloud in zip(axes_of_row, row, strict=True):
            _shape(panels, axes, cloud, anchors, colours, point_size)
    for axes, ratio in zip(panels.axes[0], ratios, strict=True):
        style.label(axes, f"σ/α = {style.ratio_text(ratio)}")
    height = panels.figure.bbox.height
    _arrow(panels.figure, 1 - 134 / height, "forward: noise is added", rightwards=True)
    _arrow(panels.figure, 30 / height, "reverse: noise is removed", rightwards=False)
    return panels.figure


def training_strip(
    clouds: ArrayLike,
    steps: Sequence[int],
    truth: ArrayLike,
    note: str = "",
    point_size: float = 1.0,
) -> Figure:
    """Draw samples from the same noise at K steps of a training, a panel each.

    Parameters
    ----------
    clouds : (K, n, 2)
        Samples at each.
    steps : (K,)
        Steps of training.
    truth, note, point_size
        As in `process_strip`.
    """
    snapshots, anchors = style.as_points(clouds, "samples", 3), style.as_points(truth, "shape")
    across = min(6, len(snapshots))
    panels = style.panels(
        -(-len(snapshots) // across),
        across,
        style.frame_of(anchors, margin=0.12),
        f"Samples at {len(snapshots)} steps of the training, from the same noise",
        _sentences("Colours: where a point ends after the last step, left to right.", note),
    )
    colours = style.colours_of(snapshots[-1], anchors)
    for axes, cloud, step in zip(panels.axes.flat, snapshots, steps, strict=False):
        _shape(panels, axes, cloud, anchors, colours, point_size)
        outside = panels.window.outside(cloud)
        style.label(axes, f"{step:,} steps" + (f", {outside:,} outside" if outside else ""))
    return panels.figure


def samples_beside_truth(
    samples: ArrayLike,
    truth_samples: ArrayLike,
    metrics: Mapping[str, float],
    note: str = "",
    point_size: float = 1.0,
) -> Figure:
    """Draw samples (n, 2) beside a fresh draw of the truth (m, 2), and each metric over its floor.

    Parameters
    ----------
    samples, truth_samples : (n, 2), (m, 2)
        In the same coordinates.
    metrics : mapping
        As `evaluate` saves them: by name, each with ``<name>_floor``, and kl_bound_nats. Those that
        are shown as multiples of their floors are drawn; what is missing is left out.
    note, point_size
        As in `process_strip`.

    Raises
    ------
    PointillistError
        If a coordinate isn't finite.
    """
    cloud = style.as_points(samples, "samples")
    truth = style.as_points(truth_samples, "draw of the truth")
    window = style.frame_of(truth).clipped(0.85, 1.3)
    lost = style.outside_text(window.outside(cloud), len(cloud))
    multiples = [r for r in readings(metrics) if r.metric.shown_as == "multiple"]
    drawn = [r for r in multiples if not np.isnan(r.times_worse)]
    title, subtitle = _metrics_finding(metrics, drawn)
    panels = style.panels(1, 3, window, title, _sentences(subtitle, note))
    left, right, bars = panels.axes[0]
    names = (f"samples, {lost}" if lost else "samples", "a fresh draw of the truth")
    for axes, points, name in zip((left, right), (cloud, truth), names, strict=True):
        size = style.dot_size(len(points), panels.side, point_size)
        style.paint(axes, points, style.colours_of(points, truth), size=size)
        style.label(axes, name)
    _floor_bars(bars, drawn)
    return panels.figure


# --- parts ----------------------------------------------------------------------------------


def _sentences(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _shape(
    panels: style.Panels,
    axes: Axes,
    cloud: Points,
    truth: Points,
    colours: NDArray[np.float64],
    point_size: float,
) -> None:
    """Draw a cloud (n, 2) on one of the panels, the truth (M, 2) faintly behind it."""
    style.paint_truth(axes, truth, panels.side)
    size = style.dot_size(len(cloud), panels.side, point_size)
    style.paint(axes, cloud, colours, size=size)


def _arrow(figure: Figure, y: float, text: str, *, rightwards: bool) -> None:
    label = style.write(
        figure,
        LEFT if rightwards else RIGHT,
        y,
        text,
        colour=style.ACCENT,
        ha="left" if rightwards else "right",
        va="center",
    )
    extent = label.get_window_extent().transformed(figure.transFigure.inverted())
    start = extent.x1 + 0.008 if rightwards else extent.x0 - 0.008
    arrow = FancyArrowPatch(
        (start, y),
        (RIGHT if rightwards else LEFT, y),
        transform=figure.transFigure,
        arrowstyle="-|>",
        mutation_scale=9,
        shrinkA=0,
        shrinkB=0,
        color=style.ACCENT,
        linewidth=0.9,
    )
    figure.add_artist(arrow)


# --- the metrics ----------------------------------------------------------------------------


def _metrics_finding(metrics: Mapping[str, float], drawn: Sequence[Reading]) -> tuple[str, str]:
    bound = metrics.get("kl_bound_nats")
    subtitle = "Floor: the same metric of a fresh draw of the truth."
    if bound is not None and np.isfinite(bound):
        subtitle = f"KL(truth ‖ reverse SDE) ≤ {bound:.3g} nats. {subtitle}"
    if not drawn:
        return "Samples beside the truth", subtitle
    worst = max(drawn, key=lambda r: r.times_worse)
    times, words = worst.times_worse, worst.metric.words
    if np.isinf(times):
        return f"Worst of the metrics: {words}, whose floor is 0", subtitle
    if times <= 1.005:
        title = "The samples are as good as a fresh draw of the truth in every metric shown"
        return title, subtitle
    if times < 2:
        return f"Every metric shown is within {times:.2f} times its floor", subtitle
    return f"Worst of the metrics: {words}, {worst.times_text} times its floor", subtitle


def _floor_bars(axes: Axes, drawn: Sequence[Reading]) -> None:
    """Draw a bar for each metric, from its floor on, on a log axis of times worse."""
    axes.set_axis_off()
    axes.set_aspect("auto")
    known = [r.times_worse for r in drawn if np.isfinite(r.times_worse) and r.times_worse > 0]
    low, high = min(0.85, *known, 1.0), max(2.0, *known, 1.0)
    low, high = low / (high / low) ** 0.04, high * (high / low) ** 0.04
    axes.set(xscale="log", xlim=(low, high), ylim=(-0.6, max(4, len(drawn) - 1) + 0.6))
    axes.invert_yaxis()
    for y, r in enumerate(drawn):
        length = float(np.clip(r.times_worse, low, high)) - 1
        axes.barh(y + 0.2, length, left=1, height=0.2, color=style.ACCENT)
        # Each bar has its own piece of the floor's line, which would cross the words between.
        axes.plot([1, 1], [y, y + 0.4], color=style.INK, linewidth=1.2)
        style.note(axes, (0, y - 0.2), r.metric.words, of_data="y", colour=style.INK)
        figures = f"{r.value:.3g}  (floor {r.floor:.3g})"
        style.note(axes, (1, y - 0.2), figures, of_data="y", ha="right")
    if drawn:
        below = len(drawn) - 0.35
        at_floor = float(np.log(1 / low) / np.log(high / low))
        style.note(axes, (at_floor, below), "floor", of_data="y", colour=style.INK, ha="center")
        style.note(axes, (1, below), "times worse  →", of_data="y", ha="right")
