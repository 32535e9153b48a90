"""The figures of a run, all made with the tools of `style`; a title states what is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from pointillist.rendering import style
from pointillist.rendering.style import Points

if TYPE_CHECKING:
    import pandas as pd

METRIC_NAMES = {
    "off_manifold": "share off the shape",
    "nn95": "95th percentile distance",
    "tv": "total variation",
    "sw2": "sliced Wasserstein",
    "coverage": "anchors covered",
}
"""The metrics that are drawn, in this order, in words."""
HIGHER_IS_BETTER = {"coverage"}

LEFT, RIGHT = 0.04, 0.96
_ROUNDING = 1e-10
Array = NDArray[np.float64]


def loss_curve(history: pd.DataFrame) -> Figure:
    """Draw the loss over training steps, log scale, and the exact denoiser's loss as its floor.

    Parameters
    ----------
    history : DataFrame
        Columns step, loss and loss_floor, one row or more. The floor is the exact denoiser's
        loss on the same batch; where the targets are exact it is 0, which is said in words.
    """
    steps = history["step"].to_numpy(float)
    loss = _positive(history["loss"].to_numpy(float))
    floor = history["loss_floor"].to_numpy(float)
    exact = bool((floor <= _ROUNDING).all())
    floor = np.full_like(floor, np.nan) if exact else _positive(floor)
    smooth, smooth_floor = _smoothed(loss), _smoothed(floor)
    figure = style.new_figure(1350, 720)
    axes = style.plot_axes(figure, (0.085, 0.15, 0.755, 0.68))
    _scale_loss(axes, steps, np.concatenate([loss, floor]))
    axes.plot(steps, loss, ".", color=style.GHOST, markersize=3, zorder=1)
    axes.plot(steps, smooth_floor, color=style.INK, linewidth=1.2, zorder=2)
    axes.plot(steps, smooth, color=style.ACCENT, linewidth=1.8, zorder=3)
    axes.plot(steps[-1:], smooth[-1:], "o", color=style.ACCENT, markersize=5, zorder=3)
    _label_ends(axes, smooth[-1], 0.0 if exact else smooth_floor[-1])
    headline(figure, _loss_finding(smooth, smooth_floor), _floor_words(exact, smooth_floor))
    style.write(figure, 0.4625, 0.04, "training step", colour=style.FAINT_INK, ha="center")
    return figure


def loss_curves(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the smoothed losses of several trainings: by name, `histories` as in `loss_curve`."""
    figure = style.new_figure(1350, 640)
    axes = style.plot_axes(figure, (0.085, 0.16, 0.875, 0.62))
    steps = [history["step"].to_numpy(float) for history in histories.values()]
    losses = [_positive(history["loss"].to_numpy(float)) for history in histories.values()]
    _scale_loss(axes, np.concatenate(steps), np.concatenate(losses))
    dashes = ("-", "--", "-.", ":")
    for k, (name, at, loss) in enumerate(zip(histories, steps, losses, strict=True)):
        colour = style.PALETTE((k + 0.3) / len(histories))
        smooth = _smoothed(loss)
        label = f"{name}: {smooth[-1]:.2g}"
        axes.plot(at, smooth, dashes[k % 4], color=colour, linewidth=1.8, label=label)
    font = {"family": style.FONT, "size": style.SMALL}
    axes.legend(frameon=False, prop=font, labelcolor=style.FAINT_INK)
    headline(
        figure, "The loss of both trainings", "Each on its own weighting; smoothed. Log scale."
    )
    style.write(figure, 0.52, 0.04, "training step", colour=style.FAINT_INK, ha="center")
    return figure


def process_strip(
    forward: ArrayLike,
    reverse: ArrayLike,
    noise_ratios: ArrayLike,
    truth: ArrayLike,
    note: str = "",
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
    window = style.limits_of(
        anchors, *(style.limits_of(row[-1], margin=0, outliers=0.004).corners for row in rows)
    )
    width, head, gap, foot = 1500, 150, 44, 52
    side = (RIGHT - LEFT) * width / len(ratios)
    tall = round(side * float(np.clip(window.aspect, 0.4, 1.3)))
    height = head + 2 * tall + gap + foot
    figure = style.new_figure(width, height)
    bottoms = [foot + tall + gap, foot]
    for row, bottom in zip(rows, bottoms, strict=True):
        colours = style.colours_of(row[0])
        for column, cloud in enumerate(row):
            box = (
                LEFT + (column + 0.03) * side / width,
                bottom / height,
                0.94 * side / width,
                tall / height,
            )
            _shape_panel(figure, box, window, cloud, anchors, colours)
    for column, ratio in enumerate(ratios):
        x, y = LEFT + (column + 0.5) * side / width, (foot + tall + gap / 2) / height
        text = f"σ/α = {style.ratio_text(ratio)}"
        style.write(figure, x, y, text, colour=style.FAINT_INK, ha="center", va="center")
    _arrow(figure, 1 - (head - 22) / height, "forward: noise is added", rightwards=True)
    _arrow(figure, foot / 2 / height, "reverse: noise is taken away", rightwards=False)
    headline(
        figure,
        "Noise hides the shape; the denoiser paints it out of the noise",
        "In each column both rows should have the same density. "
        f"A point keeps one colour: where it is when clean, left to right. {note}".strip(),
    )
    return figure


def training_strip(
    clouds: ArrayLike, steps: Sequence[int], truth: ArrayLike, note: str = ""
) -> Figure:
    """Draw what a training paints from the same noise, a panel for each of K moments.

    Parameters
    ----------
    clouds : (K, n, 2)
        Samples at each moment.
    steps : (K,)
        Steps of training.
    truth : (M, 2)
        Anchors, drawn faintly behind, in the same coordinates.
    note : str
        Said below the title.
    """
    moments, anchors = style.as_points(clouds, "samples", 3), style.as_points(truth, "shape")
    window = style.limits_of(anchors, margin=0.12)
    across = min(6, len(moments))
    rows = -(-len(moments) // across)
    width, head, label = 1500, 112, 34
    side = (RIGHT - LEFT) * width / across
    tall = round(side * float(np.clip(window.aspect, 0.4, 1.3)))
    height = head + rows * (tall + label) + 10
    figure = style.new_figure(width, height)
    for k, (cloud, step) in enumerate(zip(moments, steps, strict=True)):
        left, top = LEFT + (k % across) * side / width, head + (k // across) * (tall + label)
        box = (left + 0.004, 1 - (top + tall) / height, side / width - 0.008, tall / height)
        _shape_panel(figure, box, window, cloud, anchors, style.colours_of(moments[-1]))
        style.write(
            figure,
            left + side / width / 2,
            1 - (top + tall + 0.55 * label) / height,
            f"{step:,} steps",
            colour=style.FAINT_INK,
            ha="center",
            va="center",
        )
    headline(
        figure,
        f"{len(moments)} moments of the training, from the same noise",
        f"Colours: where a point ends after the last step, left to right. {note}".rstrip(),
    )
    return figure


def samples_beside_truth(
    samples: ArrayLike, truth_samples: ArrayLike, metrics: Mapping[str, float], note: str = ""
) -> Figure:
    """Draw samples (n, 2) beside a fresh draw of the truth (m, 2), and each metric over its floor.

    Parameters
    ----------
    samples, truth_samples : (n, 2), (m, 2)
        In the same coordinates.
    metrics : mapping
        The names in `METRIC_NAMES`, each with ``<name>_floor``, and kl_bound_nats. What is
        missing is left out.
    note : str
        Said below the title.

    Raises
    ------
    PointillistError
        If a coordinate isn't finite.
    """
    clouds = {
        "samples": style.as_points(samples, "samples"),
        "a fresh draw of the truth": style.as_points(truth_samples, "draw of the truth"),
    }
    # A sample far out must not make the shape small; it is counted in the metrics.
    window = style.limits_of(*clouds.values(), outliers=0.001)
    width, head, foot, side = 1500, 130, 60, 0.29
    tall = round(side * width * float(np.clip(window.aspect, 0.85, 1.3)))
    height = head + tall + foot
    figure = style.new_figure(width, height)
    for k, (name, cloud) in enumerate(clouds.items()):
        box = (LEFT + k * (side + 0.01), foot / height, side, tall / height)
        _shape_panel(figure, box, window, cloud, None, style.colours_of(cloud))
        x, y = box[0] + side / 2, foot / 2 / height
        style.write(figure, x, y, name, colour=style.FAINT_INK, ha="center", va="center")
    ratios = {name: r for name in METRIC_NAMES if (r := _times_floor(metrics, name)) is not None}
    if ratios:
        box = (0.665, foot / height, RIGHT - 0.665, tall / height)
        _floor_bars(figure, box, metrics, ratios)
    title, subtitle = _metrics_finding(metrics, ratios)
    headline(figure, title, f"{subtitle}   {note}".rstrip())
    return figure


def risk_by_noise(risk: pd.DataFrame, metrics: Mapping[str, float]) -> Figure:
    """Draw what each range of noise levels adds to kl_bound_nats: where the network errs.

    Parameters
    ----------
    risk : DataFrame
        Columns noise_ratio_low, noise_ratio_high, nats and nats_error; bins of equal log width, rising.
    metrics : mapping
        kl_bound_nats, kl_bound_nats_error and kl_prior_nats.
    """
    low, high = (risk[f"noise_ratio_{end}"].to_numpy(float) for end in ("low", "high"))
    nats, error = risk["nats"].to_numpy(float), risk["nats_error"].to_numpy(float)
    first, last = _bulk(nats)
    # A network that diverged has no number to draw in some bins; the title says so.
    tops, spread = np.nan_to_num(nats, posinf=0.0), np.nan_to_num(error, posinf=0.0)
    figure = style.new_figure(1350, 720)
    axes = style.plot_axes(figure, (0.085, 0.15, 0.875, 0.66))
    _scale_risk(axes, low[0], high[-1], tops + spread)
    colours = [style.ACCENT if first <= k <= last else style.GHOST for k in range(len(nats))]
    # A sliver of paper keeps neighbours apart.
    inset = (high / low) ** 0.06
    left, right = low * inset, high / inset
    axes.bar(left, tops, right - left, align="edge", color=colours)
    ends = np.maximum(tops - spread, 0), tops + spread
    axes.vlines(np.sqrt(low * high), *ends, color=style.INK, linewidth=0.9)
    box = axes.get_position()
    where = f"nats in each range of noise levels (× {high[0] / low[0]:.2g})"
    _note(figure, box.x0 + 0.008, box.y1 + 0.012, where, style.FAINT_INK)
    headline(
        figure, _risk_finding(low[first], high[last], nats, first, last), _bound_words(metrics)
    )
    style.write(
        figure, (box.x0 + box.x1) / 2, 0.04, "noise ratio σ/α", colour=style.FAINT_INK, ha="center"
    )
    return figure


# --- parts ----------------------------------------------------------------------------------


def headline(figure: Figure, title: str, subtitle: str) -> None:
    """Write what is seen above a figure, and below it how to read it."""
    height = figure.get_size_inches()[1]
    heading = style.write(
        figure, LEFT, 1 - 0.28 / height, title, size=style.TITLE, weight="bold", va="center"
    )
    style.shrink(heading, RIGHT - LEFT)
    line = style.write(
        figure, LEFT, 1 - 0.51 / height, subtitle, colour=style.FAINT_INK, va="center"
    )
    style.shrink(line, RIGHT - LEFT)


def _shape_panel(
    figure: Figure,
    box: tuple[float, float, float, float],
    window: style.Limits,
    cloud: Points,
    anchors: Points | None,
    colours: Array,
) -> None:
    axes = style.picture(figure, box, window)
    width, height = figure.get_size_inches()
    side = float(min(box[2] * width, box[3] * height))
    if anchors is not None:
        style.paint_truth(axes, anchors, side)
    style.paint(axes, cloud, colours, size=style.dot_size(len(cloud), side))


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
    gap = 0.008
    ends = (extent.x1 + gap, RIGHT) if rightwards else (extent.x0 - gap, LEFT)
    arrow = FancyArrowPatch(
        (ends[0], y),
        (ends[1], y),
        transform=figure.transFigure,
        arrowstyle="-|>",
        mutation_scale=9,
        shrinkA=0,
        shrinkB=0,
        color=style.ACCENT,
        linewidth=0.9,
    )
    figure.add_artist(arrow)


# --- the loss -------------------------------------------------------------------------------


def _positive(values: Array) -> Array:
    """Return `values` with nan for what a log axis cannot hold."""
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def _smoothed(values: Array) -> Array:
    """Return the geometric mean over a 25th of the rows around each; nan stays out of it."""
    half = len(values) // 50
    known = np.isfinite(values)
    logs = np.pad(np.where(known, np.log(values), 0.0), half)
    kernel = np.ones(2 * half + 1)
    weight = np.convolve(np.pad(known.astype(float), half), kernel, "valid")
    total = np.convolve(logs, kernel, "valid")
    # Without a number nearby, or at the place itself, there is nothing to draw.
    return np.where(known, np.exp(total / np.where(weight > 0, weight, 1.0)), np.nan)


def _scale_loss(axes: Axes, steps: Array, values: Array) -> None:
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if len(known) else (0.1, 1.0)
    room = max(1.05, (high / low) ** 0.06)
    low, high = low / room, high * room
    axes.set_yscale("log")
    axes.set(xlim=(0, steps[-1] * 1.01), ylim=(low, high))
    decades = np.log10(high / low)
    digits = (1,) if decades > 1.7 else (1, 2, 5) if decades > 0.4 else range(1, 10)
    powers = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 1)
    ticks = [d * 10.0**p for p in powers for d in digits]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))


def _label_ends(axes: Axes, loss: float, floor: float) -> None:
    """Name each curve at its right end, in its colour; close ones are moved apart."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    box = axes.get_position()
    x, line = box.x1 + 0.012, 0.045

    def height(value: float) -> float:
        pixel = axes.transData.transform((0.0, value))
        return float(figure.transFigure.inverted().transform(pixel)[1])

    # A floor of 0 lies infinitely far down on a log axis.
    floor_y = height(floor) if floor > 0 else box.y0
    if np.isfinite(loss):
        loss_y = height(loss)
        apart = loss_y - floor_y
        shift = max(0.0, line - abs(apart)) * (1 if apart >= 0 else -1)
        text = f"loss {loss:.3g}"
        style.write(figure, x, loss_y + shift, text, colour=style.ACCENT, va="center")
    if np.isfinite(floor):
        text = f"floor {floor:.3g}" if floor > 0 else "floor 0  ↓"
        style.write(figure, x, floor_y, text, va="center")


def _loss_finding(loss: Array, floor: Array) -> str:
    last, least = loss[-1], floor[-1]
    if not np.isfinite(last):
        return "The loss ends at no positive number"
    if np.isfinite(least):
        times = last / least
        return f"The loss {'reaches' if times < 1.005 else f'ends at {times:.3g} times'} its floor"
    fall = loss[np.isfinite(loss)][0] / last
    return (
        f"The loss falls {fall:.3g} times, to {last:.2g}"
        if fall > 1.05
        else f"The loss is {last:.2g}"
    )


def _floor_words(exact: bool, floor: Array) -> str:
    if exact:
        return "floor: 0, the target is exact"
    known = np.isfinite(floor).any()
    return f"floor: {'the loss of the exact denoiser on the same batches' if known else 'unknown'}"


# --- the risk -------------------------------------------------------------------------------

_BULK = 0.75


def _bulk(nats: Array) -> tuple[int, int]:
    """Return first and last of the fewest neighbouring bins that hold three quarters of the nats."""
    reached = np.concatenate([[0.0], np.cumsum(nats)])
    for width in range(1, len(nats)):
        held = reached[width:] - reached[:-width]
        best = int(np.argmax(held))
        if held[best] >= _BULK * reached[-1]:
            return best, best + width - 1
    return 0, len(nats) - 1


def _scale_risk(axes: Axes, low: float, high: float, tops: Array) -> None:
    axes.set_xscale("log")
    axes.set(xlim=(low, high), ylim=(0, 1.05 * tops.max() or 1.0))
    powers = range(int(np.ceil(np.log10(low) - 1e-9)), int(np.floor(np.log10(high) + 1e-9)) + 1)
    axes.xaxis.set_major_locator(FixedLocator([10.0**p for p in powers]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.3g}"))


def _risk_finding(low: float, high: float, nats: Array, first: int, last: int) -> str:
    total = nats.sum()
    if not np.isfinite(total):
        return "The network's error is not finite"
    if total <= _ROUNDING:
        return "The network errs at no noise level"
    share = nats[first : last + 1].sum() / total
    if first == 0 and last == len(nats) - 1:
        return "The network errs at all noise levels alike"
    ends = f"{style.ratio_text(low)} and {style.ratio_text(high)}"
    return f"{share:.0%} of the network's error arises at σ/α between {ends}"


def _bound_words(metrics: Mapping[str, float]) -> str:
    bound, error = metrics["kl_bound_nats"], metrics["kl_bound_nats_error"]
    # Without the digits that are lost in the error.
    start = metrics["kl_prior_nats"] if abs(metrics["kl_prior_nats"]) > error / 100 else 0.0
    return (
        f"KL(truth ‖ samples of the SDE) ≤ {bound:.3g} ± {error:.1g} nats: the sum of the bars, and "
        f"{start:.2g} for the start.   floor: 0, the exact denoiser"
    )


# --- the metrics ----------------------------------------------------------------------------


def _times_floor(metrics: Mapping[str, float], name: str) -> float | None:
    """Return how many times worse than its floor a metric is; None if either is unknown."""
    value, floor = metrics.get(name), metrics.get(f"{name}_floor")
    if value is None or floor is None or not np.isfinite([value, floor]).all():
        return None
    worse, better = (floor, value) if name in HIGHER_IS_BETTER else (value, floor)
    if worse == better:
        return 1.0
    return worse / better if better > 0 else float("inf")


def _metrics_finding(metrics: Mapping[str, float], ratios: Mapping[str, float]) -> tuple[str, str]:
    bound = metrics.get("kl_bound_nats")
    subtitle = "floor: the same metric of a fresh draw of the truth"
    if bound is not None and np.isfinite(bound):
        subtitle = f"KL(truth ‖ reverse SDE) ≤ {bound:.3g} nats.   F{subtitle[1:]}"
    if not ratios:
        return "Samples beside the truth", subtitle
    worst = max(ratios, key=lambda name: ratios[name])
    ratio = ratios[worst]
    if np.isinf(ratio):
        return f"Worst of the metrics: {METRIC_NAMES[worst]}, whose floor is 0", subtitle
    if ratio <= 1.005:
        return (
            "The samples are as good as a fresh draw of the truth in every metric shown",
            subtitle,
        )
    if ratio < 2:
        return f"Every metric shown is within {ratio:.2f} times its floor", subtitle
    return f"Worst of the metrics: {METRIC_NAMES[worst]}, {ratio:.3g} times its floor", subtitle


def _floor_bars(
    figure: Figure,
    box: tuple[float, float, float, float],
    metrics: Mapping[str, float],
    ratios: Mapping[str, float],
) -> None:
    """Draw a bar for each metric, from its floor on, on a log axis of times worse."""
    axes = figure.add_axes(box, facecolor="none")
    axes.set_axis_off()
    known = [r for r in ratios.values() if np.isfinite(r) and r > 0] or [1.0]
    low, high = min(0.85, *known), max(2.0, *known)
    low, high = low / (high / low) ** 0.04, high * (high / low) ** 0.04
    axes.set_xscale("log")
    axes.set(xlim=(low, high), ylim=(0, 1))
    row = 0.96 / len(METRIC_NAMES)
    for k, (name, ratio) in enumerate(ratios.items()):
        y = 1 - (k + 0.62) * row
        axes.barh(
            y, float(np.clip(ratio, low, high)) - 1, left=1, height=0.2 * row, color=style.ACCENT
        )
        # Each bar has its own piece of the floor's line, which would cross the words between.
        axes.plot([1, 1], [y - 0.2 * row, y + 0.2 * row], color=style.INK, linewidth=1.2)
        above = box[1] + box[3] * (y + 0.38 * row)
        value, floor = metrics[name], metrics[f"{name}_floor"]
        _note(figure, box[0], above, METRIC_NAMES[name])
        _note(figure, RIGHT, above, f"{value:.3g}  (floor {floor:.3g})", style.FAINT_INK, "right")
    below = box[1] + box[3] * (1 - (len(ratios) + 0.05) * row)
    at_floor = figure.transFigure.inverted().transform(axes.transData.transform((1.0, 0.0)))[0]
    _note(figure, float(at_floor), below, "floor", ha="center")
    _note(figure, RIGHT, below, "times worse  →", style.FAINT_INK, "right")


def _note(
    figure: Figure,
    x: float,
    y: float,
    text: str,
    colour: str = style.INK,
    ha: Literal["left", "center", "right"] = "left",
) -> None:
    style.write(figure, x, y, text, size=style.SMALL, colour=colour, ha=ha, va="center")
