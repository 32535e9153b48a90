from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from pointillist.rendering.comparison import sampler_curves

NAMES = ["heun", "euler", "ddim", "ddpm", "dpmpp_2m", "dpmpp_2m_sde", "sde"]
BUDGETS = [5, 10, 20, 50, 100]


def table(worst: float = 9.0, power: float = 1.0) -> pd.DataFrame:
    """Sampler k is (1 + k / 10) times worse than the first, which falls with the evaluations."""
    return pd.DataFrame(
        {
            "sampler": name,
            "denoiser": denoiser,
            "budget": budget,
            "nfe": budget,
            "sw2": 0.02 * (1 + worst * (1 + k / 10) * (5 / budget) ** power),
            "sw2_floor": 0.02,
        }
        for k, name in enumerate(NAMES)
        for denoiser in ("exact", "trained")
        for budget in BUDGETS
    )


def titles(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_title_names_the_sampler_that_comes_near_with_fewest_evaluations() -> None:
    said = "heun needs the fewest evaluations: 100 take it to 1.45 times the floor"
    assert said in titles(sampler_curves(table()))
    faster = table()
    quick = (faster["sampler"] == "sde") & (faster["budget"] == 10)
    faster.loc[quick, "sw2"] = 0.022
    said = "sde needs the fewest evaluations: 10 take it to 1.10 times the floor"
    assert said in titles(sampler_curves(faster))


def test_title_says_if_no_sampler_comes_near() -> None:
    assert "No sampler comes within 1.5 times the floor" in titles(sampler_curves(table(power=0.0)))


def test_curves_are_the_multiples_of_the_floor() -> None:
    exact, trained, _ = sampler_curves(table()).axes
    for axes in (exact, trained):
        drawn = [line for line in axes.lines if len(line.get_xdata()) == len(BUDGETS)]
        assert len(drawn) == len(NAMES)
        np.testing.assert_array_equal(drawn[-1].get_xdata(), BUDGETS)
        np.testing.assert_allclose(drawn[-1].get_ydata(), 1 + 9 * 5 / np.array(BUDGETS))


def test_samplers_are_told_apart_without_colour() -> None:
    *_, legend = sampler_curves(table()).axes
    assert (
        len({(line.get_marker(), line.get_linestyle()) for line in legend.lines}) == len(NAMES) + 1
    )


@pytest.mark.parametrize("worst", [0.0, 0.3, 9.0, 4000.0])
def test_words_are_legible(worst: float) -> None:
    figure = sampler_curves(table(worst))
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.texts]
    for axes in figure.axes[:2]:
        boxes += [t.get_window_extent() for t in axes.get_xticklabels() if t.get_text()]
    assert all(b.x0 >= 0 and b.x1 <= figure.bbox.width for b in boxes)
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_divergence_leaves_a_gap_and_no_error() -> None:
    broken = table()
    broken.loc[3, "sw2"] = np.inf
    broken.loc[4, "sw2"] = np.nan
    sampler_curves(broken).canvas.draw()
