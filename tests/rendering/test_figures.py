from __future__ import annotations

import io
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from pointillist.errors import PointillistError
from pointillist.rendering.figures import (
    loss_curve,
    loss_curves,
    process_strip,
    risk_by_noise,
    samples_beside_truth,
    training_strip,
)

if TYPE_CHECKING:
    from conftest import Chain

METRICS = {
    "off_manifold": 0.0171,
    "off_manifold_floor": 0.0112,
    "nn95": 0.0252,
    "nn95_floor": 0.0243,
    "coverage": 0.993,
    "coverage_floor": 1.0,
    "tv": 0.0583,
    "tv_floor": 0.0512,
    "sw2": 0.0312,
    "sw2_floor": 0.0262,
    "kl_bound_nats": 0.0121,
}


def history(loss: list[float], floor: list[float]) -> pd.DataFrame:
    steps = np.arange(1, len(loss) + 1) * 20
    return pd.DataFrame(
        {
            "step": steps,
            "loss": loss,
            "loss_floor": floor,
            "learning_rate": 0.02,
            "gradient_norm": 1.0,
            "steps_per_second": 250.0,
        }
    )


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def assert_words_are_legible(figure: Figure) -> None:
    """No text leaves the sheet or touches another one."""
    figure.canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in figure.texts]
    for axes in figure.axes:
        if axes.axison:
            ticks = [*axes.get_xticklabels(), *axes.get_yticklabels()]
            shown = [t for t in ticks if _is_drawn(t.get_position(), axes)]
            boxes += [(t.get_text(), t.get_window_extent()) for t in shown if t.get_text()]
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= figure.bbox.width, text
        assert box.y1 <= figure.bbox.height, text
    for (one, a), (other, b) in combinations(boxes, 2):
        assert not a.overlaps(b), f"{one!r} lies over {other!r}"


def _is_drawn(place: tuple[float, float], axes: object) -> bool:
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()  # type: ignore[attr-defined]
    return (left <= place[0] <= right) and (bottom <= place[1] <= top or place[1] == 0)


def assert_axes_are_equal(figure: Figure, panels: int) -> None:
    for axes in figure.axes[:panels]:
        origin, right, up = axes.transData.transform([(0, 0), (1, 0), (0, 1)])
        assert right[0] - origin[0] == pytest.approx(up[1] - origin[1], rel=1e-6)


def png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def assert_fits_a_page(figure: Figure) -> None:
    data = png(figure)
    assert 1200 <= Image.open(io.BytesIO(data)).size[0] <= 1600
    assert len(data) < 1e6


HISTORIES = {
    "exact": history(list(0.2 * 0.97 ** np.arange(150)), [0.0] * 150),
    "exact up to rounding": history(list(0.2 * 0.97 ** np.arange(150)), [1e-14] * 150),
    "sampled": history(list(0.2 + 0.3 * 0.9 ** np.arange(150)), [0.2] * 150),
    "one row": history([0.2], [0.0]),
    "one row, at its floor": history([0.2], [0.2]),
    "below its floor": history([0.3, 0.2, 0.19], [0.2, 0.2, 0.2]),
    "flat": history([0.2] * 9, [0.0] * 9),
    "zero": history([0.1, 0.0], [0.0, 0.0]),
    "diverged": history([0.1, np.inf, np.nan], [0.1, 0.1, 0.1]),
    "nothing to draw": history([np.nan], [np.nan]),
    "wide range": history([1e6, 1e-9], [1e-10, 1e-10]),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_loss_curve_is_legible(name: str) -> None:
    figure = loss_curve(HISTORIES[name])
    assert_words_are_legible(figure)
    assert_fits_a_page(figure)


def test_loss_curve_says_how_far_above_its_floor_it_ends() -> None:
    figure = loss_curve(history([0.9, 0.6, 0.3], [0.2, 0.2, 0.2]))
    assert "The loss ends at 1.5 times its floor" in words(figure)


@pytest.mark.parametrize("name", ["exact", "exact up to rounding"])
def test_floor_of_an_exact_target_is_told_in_words(name: str) -> None:
    assert "floor: 0, the target is exact" in words(loss_curve(HISTORIES[name]))


def test_unknown_floor_is_not_called_exact() -> None:
    assert "floor: unknown" in words(loss_curve(HISTORIES["nothing to draw"]))


def test_diverged_loss_does_not_make_a_target_exact() -> None:
    figure = loss_curve(history([1.0, 1e9], [0.2, 0.2]))
    assert "floor: 0, the target is exact" not in words(figure)


def test_loss_axis_is_logarithmic_and_holds_all_points() -> None:
    data = HISTORIES["exact"]
    (axes,) = loss_curve(data).axes
    assert axes.get_yscale() == "log"
    low, high = axes.get_ylim()
    assert low < data["loss"].min()
    assert high > data["loss"].max()


def strip(chain: Chain, columns: int = 5) -> Figure:
    chosen = np.linspace(len(chain.states) - 1, 0, columns).astype(int)
    reverse = chain.states[chosen]
    return process_strip(reverse[:, ::-1], reverse, chain.ratios[chosen], chain.truth)


@pytest.mark.parametrize("columns", [2, 5, 8])
def test_process_strip_is_legible(chain: Chain, columns: int) -> None:
    figure = strip(chain, columns)
    assert_words_are_legible(figure)
    assert_axes_are_equal(figure, 2 * columns)
    assert_fits_a_page(figure)


def test_every_panel_of_the_strip_shows_the_same_window(heart: Chain) -> None:
    windows = {(*axes.get_xlim(), *axes.get_ylim()) for axes in strip(heart).axes}
    assert len(np.unique(np.round(list(windows), 6), axis=0)) == 1


def test_forward_is_above_reverse_in_the_column_of_its_noise(heart: Chain) -> None:
    forward, reverse = strip(heart, 4).axes[:4], strip(heart, 4).axes[4:]
    for above, below in zip(forward, reverse, strict=True):
        assert above.get_position().x0 == pytest.approx(below.get_position().x0)
        assert above.get_position().y0 > below.get_position().y1


def test_strip_refuses_falling_noise(heart: Chain) -> None:
    with pytest.raises(ValueError, match="must rise"):
        process_strip(heart.states, heart.states, heart.ratios, heart.truth)


def beside(chain: Chain, metrics: dict[str, float]) -> Figure:
    return samples_beside_truth(chain.states[-1], chain.truth, metrics)


def test_samples_beside_truth_is_legible(chain: Chain) -> None:
    figure = beside(chain, METRICS)
    assert_words_are_legible(figure)
    assert_axes_are_equal(figure, 2)
    assert_fits_a_page(figure)


AWKWARD = {
    "no metrics": ({}, "Samples beside the truth"),
    "zero floor": (METRICS | {"off_manifold_floor": 0.0}, "whose floor is 0"),
    "all zero": ({"tv": 0.0, "tv_floor": 0.0}, "as good as a fresh draw"),
    "far off": (METRICS | {"off_manifold": 0.78}, "share off the shape, 69.6 times its floor"),
    "nothing covered": (METRICS | {"coverage": 0.0}, "anchors covered, whose floor is 0"),
    "half covered": ({"coverage": 0.25, "coverage_floor": 1.0}, "anchors covered, 4 times"),
    "not a number": (METRICS | {"sw2": float("nan")}, "shown is within 1.53 times"),
    "better than a draw": ({"tv": 0.02, "tv_floor": 0.05}, "as good as a fresh draw"),
    "tiny": (METRICS | {"nn95": 1.234e-7, "nn95_floor": 1.111e-7}, "shown is within 1.53 times"),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_title_states_the_worst_metric(heart: Chain, name: str) -> None:
    metrics, finding = AWKWARD[name]
    figure = beside(heart, metrics)
    assert any(finding in text for text in words(figure)), words(figure)
    assert_words_are_legible(figure)


def test_one_sample_is_drawn(heart: Chain) -> None:
    png(samples_beside_truth(heart.states[-1][:1], heart.truth[:1], METRICS))


def test_samples_that_diverged_are_refused(heart: Chain) -> None:
    samples = heart.states[-1].copy()
    samples[0, 0] = np.inf
    with pytest.raises(PointillistError, match="samples: 1 of 400 points are not finite"):
        samples_beside_truth(samples, heart.truth, METRICS)


def test_same_input_gives_the_same_png(heart: Chain) -> None:
    assert png(beside(heart, METRICS)) == png(beside(heart, METRICS))


BOUND = {"kl_bound_nats": 0.0403, "kl_bound_nats_error": 0.0008, "kl_prior_nats": -8e-8}


def risk(nats: list[float], low: float = 0.002, high: float = 20.0) -> pd.DataFrame:
    edges = np.geomspace(low, high, len(nats) + 1)
    return pd.DataFrame(
        {
            "noise_ratio_low": edges[:-1],
            "noise_ratio_high": edges[1:],
            "nats": nats,
            "nats_error": 0.1 * np.asarray(nats),
        }
    )


HUMP = list(np.exp(-0.5 * ((np.arange(16) - 5.5) / 1.5) ** 2))
RISKS = {
    "hump": (risk(HUMP), "83% of the network's error arises at σ/α between 0.020 and 0.20"),
    "one level": (risk([0.0] * 7 + [2e-7] + [0.0] * 8), "100% of the network's error arises"),
    "first bin": (risk([5.0] + [1e-3] * 15), "between 0.0020 and 0.0036"),
    "even": (risk([0.1, 0.1]), "The network errs at all noise levels alike"),
    "one bin": (risk([0.1]), "The network errs at all noise levels alike"),
    "exact": (risk([0.0] * 16), "The network errs at no noise level"),
    "diverged": (risk([0.1, np.nan, np.inf]), "The network's error is not finite"),
    "wide": (risk([1e4] + [1e3] * 30, 1e-5, 1e4), "of the network's error arises"),
}


@pytest.mark.parametrize("name", RISKS)
def test_title_states_the_noise_levels_that_hold_most_of_the_error(name: str) -> None:
    data, finding = RISKS[name]
    figure = risk_by_noise(data, BOUND)
    assert any(finding in text for text in words(figure)), words(figure)
    assert_words_are_legible(figure)
    assert_fits_a_page(figure)


def test_bars_span_their_bins_and_reach_their_nats() -> None:
    data = risk(HUMP)
    (axes,) = risk_by_noise(data, BOUND).axes
    assert axes.get_xscale() == "log"
    for (_, row), bar in zip(data.iterrows(), axes.patches, strict=True):
        assert bar.get_height() == pytest.approx(row["nats"])
        assert row["noise_ratio_low"] <= bar.get_x()
        assert bar.get_x() + bar.get_width() <= row["noise_ratio_high"]


@pytest.mark.parametrize(
    ("prior", "words_"), [(-8e-8, "and 0 for the start"), (0.31, "and 0.31 for the start")]
)
def test_subtitle_names_the_part_of_the_start(prior: float, words_: str) -> None:
    figure = risk_by_noise(risk(HUMP), BOUND | {"kl_prior_nats": prior})
    assert any(words_ in text for text in words(figure))


def test_training_strip_is_legible(chain: Chain) -> None:
    steps = [20, 40, 60, 100, 140, 220, 300, 440, 9_600, 140_000, 960_000, 10_000_000]
    clouds = chain.states[-len(steps) :]
    figure = training_strip(clouds, steps, chain.truth, "Axes stretched: 4e+03 wide, 30 high.")
    assert_words_are_legible(figure)
    assert_axes_are_equal(figure, panels=len(steps))
    assert_fits_a_page(figure)


@pytest.mark.parametrize("one", HISTORIES)
def test_two_loss_curves_are_legible(one: str) -> None:
    names = ("2026-11-25T09.36.26.937Z", "cat 2026-11-25T09.36.26.938Z")
    figure = loss_curves(dict(zip(names, (HISTORIES[one], HISTORIES["exact"]), strict=True)))
    assert_words_are_legible(figure)
