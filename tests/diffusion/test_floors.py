"""How a metric is set beside its floor."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pointillist.diffusion.floors import BETTER, METRICS, Reading, best, reading, readings

FLOORS = {"sw2_floor": 0.02, "coverage_floor": 1.0, "mmd_floor": -1e-5, "c2st_floor": 0.5}
ERRORS = {"mmd_floor_error": 2e-5, "c2st_floor_error": 0.004}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("sw2", 0.03, "1.50 ×"),
        ("sw2", 0.01, "0.50 ×"),
        ("sw2", 0.246, "12.3 ×"),
        ("sw2", 25.56, "1,278 ×"),
        # More is better: too little of it is how many times worse.
        ("coverage", 0.5, "2.00 ×"),
        ("coverage", 1.0, "1.00 ×"),
        ("coverage", 0.0, "-"),
        # Unbiased, and 0 in the mean: -6 times a floor says nothing.
        ("mmd", 6e-5, "+3.5 s.e."),
        ("mmd", -5e-5, "-2.0 s.e."),
        ("c2st", 0.51, "+2.5 s.e."),
        ("sw2", float("nan"), "-"),
    ],
)
def test_a_metric_beside_its_floor(name: str, value: float, text: str) -> None:
    found = reading(name, {**FLOORS, **ERRORS, name: value})
    assert found is not None
    assert found.text == text


def test_without_the_error_of_a_floor_a_difference_is_shown_as_it_is() -> None:
    found = reading("mmd", {"mmd": 6e-5, **FLOORS})
    assert found is not None
    assert found.text == "+7e-05"


def test_the_error_of_a_divergence_holds_draws_and_steps() -> None:
    """3 and 4 in the fourth decimal place, of independent origin, are 5."""
    nats = {"kl_ode_nats": 0.2, "kl_ode_nats_error": 3e-4, "kl_ode_nats_step_error": 4e-4}
    (found,) = readings(nats)
    assert (found.floor, found.text) == (0.0, "± 0.0005")


def of(values: list[float], error: float | None = 0.001, name: str = "sw2") -> list[Reading]:
    return [Reading(METRICS[name], value, 0.02, error) for value in values]


@pytest.mark.parametrize(
    ("several", "expected"),
    [
        (of([0.04, 0.03]), [False, True]),
        (of([0.04, 0.04]), [False, False]),
        (of([0.030, 0.031, 0.04]), [True, True, False]),
        (of([0.9, 0.8], name="coverage"), [True, False]),
        (of([0.04, 0.03], error=None), [False, False]),
        (of([np.nan, 0.03]), [False, False]),
    ],
    ids=["clear", "equal", "two near", "more is better", "no error", "not finite"],
)
def test_the_best_are_within_two_standard_errors(
    several: list[Reading], expected: list[bool]
) -> None:
    assert best(several) == expected


def test_different_floors_are_taken_off_first() -> None:
    a, b = Reading(METRICS["sw2"], 0.05, 0.049, 0.001), Reading(METRICS["sw2"], 0.03, 0.01, 0.001)
    assert best([a, b]) == [True, False]


def test_the_page_of_metrics_lists_the_same_names_and_directions() -> None:
    page = (Path(__file__).parents[2] / "docs/metrics.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| `(\w+)` \| .* \| ([^|]+) \|$", page, re.MULTILINE)
    rows = {name: better.strip() for name, better in found}
    assert {name: BETTER[metric.better] for name, metric in METRICS.items()}.items() <= rows.items()
