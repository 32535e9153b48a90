from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pointillist.rendering.curves import (
    leave_one_out,
    loss_curve,
    loss_curves,
    risk_by_noise,
    sampler_curves,
)
from tests.rendering.test_figures import assert_fits_a_page, assert_words_are_legible, words

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


def test_title_names_the_sampler_that_comes_near_with_fewest_evaluations() -> None:
    said = "heun needs the fewest evaluations: 100 take it to 1.45 times the floor"
    assert said in words(sampler_curves(table()))
    faster = table()
    quick = (faster["sampler"] == "sde") & (faster["budget"] == 10)
    faster.loc[quick, "sw2"] = 0.022
    said = "sde needs the fewest evaluations: 10 take it to 1.10 times the floor"
    assert said in words(sampler_curves(faster))


def test_title_says_if_no_sampler_comes_near() -> None:
    assert "No sampler comes within 1.5 times the floor" in words(sampler_curves(table(power=0.0)))


def test_curves_are_the_multiples_of_the_floor() -> None:
    for axes in sampler_curves(table()).axes:
        drawn = [line for line in axes.lines if len(line.get_xdata()) == len(BUDGETS)]
        assert len(drawn) == len(NAMES)
        np.testing.assert_array_equal(drawn[-1].get_xdata(), BUDGETS)
        np.testing.assert_allclose(drawn[-1].get_ydata(), 1 + 9 * 5 / np.array(BUDGETS))


def test_samplers_are_told_apart_without_colour() -> None:
    legend = sampler_curves(table()).axes[1].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [*NAMES, "floor"]
    looks = {(line.get_marker(), line.get_linestyle()) for line in legend.get_lines()}
    assert len(looks) == len(NAMES) + 1


@pytest.mark.parametrize("worst", [0.0, 0.3, 9.0, 4000.0])
def test_words_are_legible(worst: float) -> None:
    assert_words_are_legible(sampler_curves(table(worst)))


def test_divergence_leaves_a_gap_and_no_error() -> None:
    broken = table()
    broken.loc[3, "sw2"] = np.inf
    broken.loc[4, "sw2"] = np.nan
    sampler_curves(broken).canvas.draw()


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


@pytest.mark.parametrize("one", HISTORIES)
def test_two_loss_curves_are_legible(one: str) -> None:
    names = ("2026-11-25T09.36.26.937Z", "cat 2026-11-25T09.36.26.938Z")
    figure = loss_curves(dict(zip(names, (HISTORIES[one], HISTORIES["exact"]), strict=True)))
    assert_words_are_legible(figure)


def choice(best: float, low: float, steep: float = 1.0) -> dict[str, object]:
    """A curve that falls away from `best` on both sides, on the left without end."""
    tried = np.sort(np.append(np.geomspace(low, 1.0, 16), best))
    logs = np.log(tried / best)
    nats = 3 - steep * (np.exp(-2 * logs) + 2 * logs - 1)
    return {"bandwidth": best, "tried": tried.tolist(), "likelihood": nats.tolist()}


CHOICES = {
    "usual": choice(0.0816, 0.006),
    "narrow": choice(0.00021, 0.0001),
    "wide": choice(0.93, 0.3),
    "flat": choice(0.2, 0.1, steep=1e-4),
    "steep": choice(0.02, 0.0001, steep=40.0),
}


@pytest.mark.parametrize("name", CHOICES)
def test_the_choice_of_a_bandwidth_is_legible(name: str) -> None:
    figure = leave_one_out(CHOICES[name])
    assert_words_are_legible(figure)
    assert_fits_a_page(figure)


@pytest.mark.parametrize("name", CHOICES)
def test_the_chosen_bandwidth_is_marked_at_the_top_of_its_curve(name: str) -> None:
    figure = leave_one_out(CHOICES[name])
    best = CHOICES[name]["bandwidth"]
    assert (
        f"The points are likeliest, each given the others, at a bandwidth of {best:.3g}"
        in words(figure)
    )
    (axes,) = figure.axes
    curve = next(line for line in axes.lines if len(line.get_xdata()) == 17)
    marks = [line.get_xydata().tolist() for line in axes.lines if len(line.get_xdata()) == 1]
    assert marks == [[[best, 0.0]]]
    assert curve.get_xdata()[np.argmax(curve.get_ydata())] == pytest.approx(best)
    # What is of interest is in the picture: the top, its right end, and the fall on the left.
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert left < best < right
    assert bottom < curve.get_ydata()[-1] < top


def test_the_subtitle_says_which_bandwidths_do_nearly_as_well() -> None:
    curve = {
        "bandwidth": 0.2,
        "tried": [0.05, 0.1, 0.2, 0.4, 0.8],
        "likelihood": [-9.0, -1.009, -1.0, -1.002, -1.3],
    }
    assert any(
        "between 0.1 and 0.4 within 0.01 nats" in text for text in words(leave_one_out(curve))
    )
