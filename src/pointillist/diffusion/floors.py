"""How each metric is called, which way is better, and how it is set beside its floor.

The floor is what a fresh draw of the truth scores. A metric that is well above 0 there is shown as a
multiple of it, turned so that above 1 is worse. One that is 0 in the mean (`mmd`), or starts at 1/2
(`c2st`), is shown as a difference, in standard errors of such a difference between two fresh draws.
A divergence in nats has the floor 0 and its own error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

BETTER = {"lower": "lower", "higher": "higher", "half": "nearer 1/2"}


@dataclass(frozen=True)
class Metric:
    """What a metric is called, and how it is read."""

    name: str
    words: str
    better: Literal["lower", "higher", "half"] = "lower"
    shown_as: Literal["multiple", "difference", "nats"] = "multiple"


METRICS = {
    metric.name: metric
    for metric in (
        Metric("off_manifold", "share off the shape"),
        Metric("nn95", "95th percentile distance"),
        Metric("tv", "total variation"),
        Metric("sw2", "sliced Wasserstein"),
        Metric("coverage", "anchors covered", "higher"),
        Metric("w2", "Wasserstein"),
        Metric("energy", "energy distance"),
        Metric("mmd", "maximum mean discrepancy", shown_as="difference"),
        Metric("c2st", "classifier's accuracy", "half", "difference"),
        Metric("memorised", "share that repeat a training point"),
        Metric("nll_held_out", "-log density of held-out points (nats)", shown_as="difference"),
        Metric("nll_fresh", "-log density of fresh draws (nats)", shown_as="difference"),
        Metric("kl_bound_nats", "KL of the reverse SDE, at most (nats)", shown_as="nats"),
        Metric("kl_ode_nats", "KL of the probability-flow ODE (nats)", shown_as="nats"),
    )
}
"""Every metric of `evaluate`, in the order in which tables show them."""


@dataclass(frozen=True)
class Reading:
    """A metric beside its floor."""

    metric: Metric
    value: float
    floor: float
    error: float | None
    """Standard error of `value` - `floor`; None where it isn't known."""

    @property
    def times_worse(self) -> float:
        """How many times worse than its floor it is, below 1 if better; nan if that says nothing."""
        if not math.isfinite(self.value) or not math.isfinite(self.floor):
            return math.nan
        higher = self.metric.better == "higher"
        worse, better = (self.floor, self.value) if higher else (self.value, self.floor)
        if worse == better:
            return 1.0
        return worse / better if better > 0 else math.inf

    @property
    def times_text(self) -> str:
        """`times_worse` with three digits: 1.11, 12.3, 1,278."""
        times = self.times_worse
        return f"{times:,.{2 if times < 9.995 else 1 if times < 99.95 else 0}f}"

    @property
    def excess(self) -> float:
        """How far it is on the worse side of its floor, in its own unit; below 0 if better."""
        return (
            (self.floor - self.value) if self.metric.better == "higher" else self.value - self.floor
        )

    @property
    def text(self) -> str:
        """The metric beside its floor: ``1.11 ×``, ``+0.8 s.e.`` or ``± 0.0002``."""
        if self.metric.shown_as == "nats":
            return "" if self.error is None else f"± {self.error:.2g}"
        if self.metric.shown_as == "multiple":
            return f"{self.times_text} ×" if math.isfinite(self.times_worse) else "-"
        return f"{self.excess / self.error:+.1f} s.e." if self.error else f"{self.excess:+.2g}"


def reading(name: str, metrics: Mapping[str, float]) -> Reading | None:
    """Return one of the `metrics` that `evaluate` saves beside its floor; None if it isn't there."""
    metric, value = METRICS[name], metrics.get(name)
    if metric.shown_as == "nats":
        error = metrics.get(f"{name}_error")
        if value is None or error is None:
            return None
        # What the draws and what the solver's steps leave open.
        return Reading(metric, value, 0.0, math.hypot(error, metrics.get(f"{name}_step_error", 0)))
    floor = metrics.get(f"{name}_floor")
    if value is None or floor is None:
        return None
    return Reading(metric, value, floor, metrics.get(f"{name}_floor_error"))


def readings(metrics: Mapping[str, float]) -> list[Reading]:
    """Return every metric that `metrics` holds beside its floor, in the order of `METRICS`."""
    return [found for name in METRICS if (found := reading(name, metrics)) is not None]


def best(several: Sequence[Reading]) -> list[bool]:
    """Tell which of several readings of one metric are the best, or within two standard errors of it.

    Different shapes have different floors: what is compared is the excess over one's own. None is
    the best if all are, or if no error is known.
    """
    excess = [r.excess for r in several]
    if any(r.error is None for r in several) or not all(map(math.isfinite, excess)):
        return [False] * len(several)
    least = min(range(len(several)), key=excess.__getitem__)
    spread = [2 * math.hypot(r.error or 0, several[least].error or 0) for r in several]
    near = [e - excess[least] <= s for e, s in zip(excess, spread, strict=True)]
    return [False] * len(several) if all(near) else near
