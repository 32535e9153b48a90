"""Curves of a run: bandwidth, training loss, what each noise level adds to the bound, samplers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from pointillist.rendering import style

if TYPE_CHECKING:
    import pandas as pd

NEAR = 1.5
"""Times its floor up to which a sampler's distance counts as near."""

_ROUNDING = 1e-10
_BULK = 0.75  # share of the nats that the emphasised bins hold
_PANELS = {
    "exact": "exact denoiser: the solver's error alone",
    "trained": "trained denoiser: the network's error too",
}
_NEARLY = 0.01  # nats that nobody would miss
_MARKERS = "os^DvxP"
# Between two labels, as a fraction of the axis.
_GAP = 0.06
_DASHES = ("-", "--", "-.", ":")
Array = NDArray[np.float64]


def loss_curve(history: pd.DataFrame) -> Figure:
    """Draw the loss over training steps, log scale, and the exact denoiser's loss as its floor.

    Parameters
    ----------
    history : DataFrame
        Columns step, loss and loss_floor, one row or more. The floor is the exact denoiser's
        loss on the same batch; where the targets are exact it is 0, which is said in words. With
        kl_bound_nats, where it was taken, the certified bound is drawn beside them, and with
        steps_per_second it is said how long that took.
    """
    steps = history["step"].to_numpy(float)
    loss = _positive(history["loss"])
    floor = history["loss_floor"].to_numpy(float)
    exact = bool((floor <= _ROUNDING).all())
    floor = np.full_like(floor, np.nan) if exact else _positive(floor)
    smooth, smooth_floor = _smoothed(loss), _smoothed(floor)
    bound = _bounds(history)
    words = _floor_words(exact, smooth_floor) + _bound_reached(history)
    figure = style.sheet(1350, 610, _loss_finding(smooth, smooth_floor), words)
    axes = _loss_axes(figure, steps, np.concatenate([loss, floor, bound]))
    axes.plot(steps, loss, ".", color=style.GHOST, markersize=3, zorder=1)
    axes.plot(steps, smooth_floor, color=style.INK, linewidth=1.2, zorder=2)
    axes.plot(steps, smooth, color=style.ACCENT, linewidth=1.8, zorder=3)
    axes.plot(steps[-1:], smooth[-1:], "o", color=style.ACCENT, markersize=5, zorder=3)
    _label_ends(axes, smooth[-1], 0.0 if exact else smooth_floor[-1])
    if (taken := np.isfinite(bound)).any():
        colour, last = to_hex(style.PALETTE(0.15)), bound[taken][-1]
        axes.plot(steps[taken], bound[taken], "o-", color=colour, linewidth=1.2, markersize=4)
        height = _height(axes, last)
        if 0 <= height - _height(axes, smooth[-1]) < _GAP:
            height = _height(axes, smooth[-1]) + _GAP
        style.note(axes, (1.01, height), f"bound {last:.2g}", colour=colour, size=style.LABEL)
    return figure


def _bounds(history: pd.DataFrame) -> Array:
    """Return the bound at each row, (n,); nan where none was taken."""
    if "kl_bound_nats" not in history:
        return np.full(len(history), np.nan)
    return _positive(history["kl_bound_nats"])


def _bound_reached(history: pd.DataFrame) -> str:
    """Say what the bound came to, after how many steps, and in what time."""
    bound = _bounds(history)
    taken = np.flatnonzero(np.isfinite(bound))
    if not len(taken):
        return ""
    steps = history["step"].to_numpy(float)
    rates = history["steps_per_second"].to_numpy(float)
    seconds = (np.diff(steps, prepend=0.0) / rates)[: taken[-1] + 1].sum()
    return (
        f"; bound: {bound[taken[-1]]:.2g} nats after {steps[taken[-1]]:,.0f} steps, {seconds:.1f} s"
    )


def _height(axes: Axes, value: float) -> float:
    """Return how high a value stands on a log axis, as a fraction of it."""
    low, high = np.log(axes.get_ylim())
    return float((np.log(value) - low) / (high - low))


def loss_curves(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the smoothed losses of several trainings: by name, `histories` as in `loss_curve`."""
    subtitle = "Each on its own weighting; smoothed. Log scale."
    figure = style.sheet(1350, 540, "Training losses", subtitle)
    steps = [history["step"].to_numpy(float) for history in histories.values()]
    losses = [_positive(history["loss"]) for history in histories.values()]
    axes = _loss_axes(figure, np.concatenate(steps), np.concatenate(losses))
    for k, (name, at, loss) in enumerate(zip(histories, steps, losses, strict=True)):
        smooth = _smoothed(loss)
        colour = style.PALETTE((k + 0.3) / len(histories))
        label = f"{name}: {smooth[-1]:.2g}"
        axes.plot(at, smooth, _DASHES[k % 4], color=colour, linewidth=1.8, label=label)
    _legend(axes)
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
    finding = _risk_finding(low[first], high[last], nats, first, last)
    figure = style.sheet(1350, 610, finding, _bound_words(metrics))
    axes = style.plain(figure.add_subplot())
    # In some bins a network that diverged has nothing to draw; the title says so.
    tops, spread = np.nan_to_num(nats, posinf=0.0), np.nan_to_num(error, posinf=0.0)
    axes.set(xscale="log", xlim=(low[0], high[-1]), ylim=(0, 1.05 * (tops + spread).max() or 1.0))
    powers = np.arange(np.ceil(np.log10(low[0]) - 1e-9), np.floor(np.log10(high[-1]) + 1e-9) + 1)
    _ticks(axes.xaxis, 10.0**powers)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.3g}"))
    colours = [style.ACCENT if first <= k <= last else style.GHOST for k in range(len(nats))]
    # A gap keeps neighbours apart.
    inset = (high / low) ** 0.06
    left, right = low * inset, high / inset
    axes.bar(left, tops, right - left, align="edge", color=colours)
    ends = np.maximum(tops - spread, 0), tops + spread
    axes.vlines(np.sqrt(low * high), *ends, color=style.INK, linewidth=0.9)
    style.note(
        axes,
        (0.008, 1.02),
        f"nats in each range of noise levels (× {high[0] / low[0]:.2g})",
        va="bottom",
    )
    style.label(axes, "noise ratio σ/α")
    return figure


def leave_one_out(curve: Mapping[str, Any]) -> Figure:
    """Draw the leave-one-out log-likelihood of points over the bandwidth, and where it is greatest.

    Parameters
    ----------
    curve : mapping
        `tried`, bandwidths (K,), rising; `likelihood`, its mean at each in nats, (K,); and `bandwidth`,
        where it is greatest: what `pointillist.diffusion.bandwidths.Choice` holds.
    """
    h, chosen = np.asarray(curve["tried"], float), float(curve["bandwidth"])
    nats = np.asarray(curve["likelihood"], float)
    below = nats - nats.max()
    figure = style.sheet(1350, 610, *_bandwidth_finding(h, below, chosen))
    axes = style.plain(figure.add_subplot())
    # It falls without end where dots are narrower than the gaps between them.
    depth = max(1.0, -1.15 * below[-1])
    shown = h[below > -depth]
    left = max(h[0], shown[0] / 1.5)
    axes.set(xscale="log", xlim=(left, h[-1]), ylim=(-depth, 0.06 * depth))
    digits = (1, 2, 3, 5, 7) if h[-1] < 6 * left else (1, 2, 5)
    _ticks(axes.xaxis, [d * 10.0**p for p in range(-5, 1) for d in digits])
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.3g}"))
    axes.axvline(chosen, color=style.INK, linewidth=1.2, zorder=1)
    axes.plot(h, below, color=style.ACCENT, linewidth=1.8, zorder=2)
    axes.plot(h, below, ".", color=style.ACCENT, markersize=5, zorder=2)
    axes.plot([chosen], [0.0], "o", color=style.INK, markersize=6, zorder=3)
    beside = {"offset": (6, 0)} if chosen**2 < left * h[-1] else {"offset": (-6, 0), "ha": "right"}
    words = f"chosen: {chosen:.3g}"
    style.note(axes, (chosen, 0.04), words, of_data="x", colour=style.INK, **beside)
    style.note(
        axes, (0.0, 1.02), "leave-one-out log-likelihood in nats, its greatest at 0", va="bottom"
    )
    style.label(axes, "data.bandwidth: standard deviation of the Gaussian at each point")
    return figure


def sampler_curves(table: pd.DataFrame) -> Figure:
    """Draw each sampler's sw2 over its floor against function evaluations, both on log axes.

    Parameters
    ----------
    table : DataFrame
        Columns sampler, denoiser (exact or trained), budget, nfe, sw2 and sw2_floor.
    """
    table = table.assign(times=table["sw2"] / table["sw2_floor"])
    names = list(table["sampler"].unique())
    figure = style.sheet(1500, 656, *_sampler_finding(table))
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, (denoiser, words) in zip(panels, _PANELS.items(), strict=True):
        style.plain(axes)
        axes.axhline(1, color=style.INK, linewidth=1.2, zorder=1, label="floor")
        style.note(axes, (0.5, 1.03), words, ha="center", va="bottom", colour=style.INK)
        style.label(axes, "function evaluations")
        # Where two coincide, as Euler and DDIM do, the dashed one lies above the solid one.
        for k in reversed(range(len(names))):
            rows = table[(table["sampler"] == names[k]) & (table["denoiser"] == denoiser)]
            if len(rows):
                axes.plot(rows["nfe"], rows["times"], label=names[k], **_line(k, len(names)))
    known = table["times"][np.isfinite(table["times"])]
    panels[0].set(
        xscale="log",
        yscale="log",
        xlim=(table["nfe"].min() / 1.15, table["nfe"].max() * 1.15),
        ylim=(min(0.85, known.min() / 1.05), max(2.0, known.max()) * 1.15),
    )
    for axes in panels:
        _ticks(axes.xaxis, sorted(table["budget"].unique()))
        _ticks(axes.yaxis, [d * 10.0**p for p in range(-1, 6) for d in (1, 2, 5)])
    style.label(panels[0], "times its floor", "y")
    _legend(panels[1], outside=True)
    return figure


# --- axes, ticks and legends ----------------------------------------------------------------


def _ticks(axis: Axis, values: Iterable[float]) -> None:
    """Put ticks at these values, and write them as they are."""
    axis.set_major_locator(FixedLocator(list(values)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _legend(axes: Axes, *, outside: bool = False) -> None:
    handles, labels = axes.get_legend_handles_labels()
    position: dict[str, Any] = {}
    if outside:
        # The curves in their order and the floor last; they were drawn the other way round.
        handles, labels = handles[::-1], labels[::-1]
        position = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
    font = {"family": style.FONT, "size": style.SMALL}
    axes.legend(handles, labels, frameon=False, prop=font, labelcolor=style.FAINT_INK, **position)


def _line(k: int, n: int) -> dict[str, Any]:
    """Return colour, marker and dashes of the k-th of n curves; any one tells it from the others."""
    return {
        "color": style.PALETTE(k / max(1, n - 1)),
        "marker": _MARKERS[k % len(_MARKERS)],
        "linestyle": _DASHES[k % 2],
        "linewidth": 1.4,
        "markersize": 5,
    }


# --- the loss -------------------------------------------------------------------------------


def _positive(values: Any) -> Array:
    """Return `values` with nan for what a log axis cannot hold."""
    numbers = np.asarray(values, float)
    return np.where(np.isfinite(numbers) & (numbers > 0), numbers, np.nan)


def _smoothed(values: Array) -> Array:
    """Return the geometric mean over a 25th of the rows around each; nan stays out of it."""
    half = len(values) // 50
    known = np.isfinite(values)
    logs = np.pad(np.where(known, np.log(values), 0.0), half)
    kernel = np.ones(2 * half + 1)
    weight = np.convolve(np.pad(known.astype(float), half), kernel, "valid")
    total = np.convolve(logs, kernel, "valid")
    # Where a row has no number, or none is nearby, there is nothing to draw.
    return np.where(known, np.exp(total / np.where(weight > 0, weight, 1.0)), np.nan)


def _loss_axes(figure: Figure, steps: Array, values: Array) -> Axes:
    axes = style.plain(figure.add_subplot())
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if len(known) else (0.1, 1.0)
    room = max(1.05, (high / low) ** 0.06)
    low, high = low / room, high * room
    axes.set(yscale="log", xlim=(0, steps.max() * 1.01), ylim=(low, high))
    decades = np.log10(high / low)
    digits = (1,) if decades > 1.7 else (1, 2, 5) if decades > 0.4 else range(1, 10)
    powers = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 1)
    _ticks(axes.yaxis, [d * 10.0**p for p in powers for d in digits])
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    style.label(axes, "training step")
    return axes


def _label_ends(axes: Axes, loss: float, floor: float) -> None:
    """Name each curve at its right end, in its colour; close ones are moved apart."""
    # A floor of 0 lies infinitely far down on a log axis.
    loss_y = _height(axes, loss)
    floor_y = _height(axes, floor) if floor > 0 else 0.0
    if np.isfinite(loss):
        apart = loss_y - floor_y
        if abs(apart) < _GAP:
            loss_y = floor_y + (_GAP if apart >= 0 else -_GAP)
        text = f"loss {loss:.3g}"
        style.note(axes, (1.01, loss_y), text, colour=style.ACCENT, size=style.LABEL)
    if np.isfinite(floor):
        text = f"floor {floor:.3g}" if floor > 0 else "floor 0  ↓"
        style.note(axes, (1.01, floor_y), text, colour=style.INK, size=style.LABEL)


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


def _bulk(nats: Array) -> tuple[int, int]:
    """Return first and last of the fewest neighbouring bins that hold three quarters of the nats."""
    reached = np.concatenate([[0.0], np.cumsum(nats)])
    for width in range(1, len(nats)):
        held = reached[width:] - reached[:-width]
        best = int(np.argmax(held))
        if held[best] >= _BULK * reached[-1]:
            return best, best + width - 1
    return 0, len(nats) - 1


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


# --- the bandwidth --------------------------------------------------------------------------


def _bandwidth_finding(h: Array, below: Array, chosen: float) -> tuple[str, str]:
    """Say which bandwidth is best, how many do nearly as well, and what the default dots would cost."""
    near = h[below >= -_NEARLY]
    words = "How likely each point is under the Gaussians at all others, on average"
    if len(near) > 1:
        words += f"; between {near[0]:.2g} and {near[-1]:.2g} within {_NEARLY:g} nats"
    return f"The points are likeliest, each given the others, at a bandwidth of {chosen:.3g}", words


# --- the samplers ---------------------------------------------------------------------------


def _sampler_finding(table: pd.DataFrame) -> tuple[str, str]:
    subtitle = (
        "Sliced Wasserstein distance to the truth, as multiple of what a fresh draw of it scores"
    )
    near = table[(table["denoiser"] == "trained") & (table["times"] <= NEAR)]
    if near.empty:
        return f"No sampler comes within {NEAR:g} times the floor", subtitle
    fewest = near[near["nfe"] == near["nfe"].min()]
    best = fewest.loc[fewest["times"].idxmin()]
    title = (
        f"{best['sampler']} needs the fewest evaluations: {best['nfe']} take it to "
        f"{best['times']:.2f} times the floor"
    )
    return title, subtitle
