from __future__ import annotations

import io
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from pointillist.errors import PointillistError
from pointillist.rendering import style
from pointillist.rendering.figures import process_strip, samples_beside_truth, training_strip

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


def words(figure: Figure) -> list[str]:
    """All that is written, wherever it is."""
    return [text.get_text() for text in texts(figure)]


def texts(figure: Figure) -> list[Text]:
    """Everything that is written and seen: titles, labels, notes, legends; not ticks."""
    figure.canvas.draw()
    ticks = {
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for label in axis.get_ticklabels(which="both")
    }
    written = [t for t in figure.findobj(Text) if t.get_text() and t.get_visible()]
    return [t for t in written if id(t) not in ticks]


def assert_words_are_legible(figure: Figure) -> None:
    """No text leaves the sheet or touches another one."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
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
    figure.canvas.draw()
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
    figure = strip(heart, 4)
    figure.canvas.draw()
    forward, reverse = figure.axes[:4], figure.axes[4:]
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
    "half covered": ({"coverage": 0.25, "coverage_floor": 1.0}, "anchors covered, 4.00 times"),
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


def test_training_strip_is_legible(chain: Chain) -> None:
    steps = [20, 40, 60, 100, 140, 220, 300, 440, 9_600, 140_000, 960_000, 10_000_000]
    clouds = chain.states[-len(steps) :]
    figure = training_strip(clouds, steps, chain.truth, "Axes stretched: 4e+03 wide, 30 high.")
    assert_words_are_legible(figure)
    assert_axes_are_equal(figure, panels=len(steps))
    assert_fits_a_page(figure)


def test_few_snapshots_leave_no_empty_axes(heart: Chain) -> None:
    figure = training_strip(heart.states[-7:], range(1, 8), heart.truth)
    assert_words_are_legible(figure)
    drawn = [axes for axes in figure.axes if axes.collections]
    assert len(drawn) == 7


def strayed(cloud: np.ndarray, n: int) -> np.ndarray:
    moved = cloud.copy()
    moved[:n] = 15_000 * np.ptp(cloud, 0).max()
    return moved


def windows(figure: Figure) -> list[tuple[float, ...]]:
    return [(*axes.get_xlim(), *axes.get_ylim()) for axes in figure.axes if axes.collections]


def dots(axes: object) -> tuple[np.ndarray, np.ndarray]:
    """Places and colours of the points that were drawn last on some axes."""
    drawn = axes.collections[-1]  # type: ignore[attr-defined]
    return np.asarray(drawn.get_offsets()), drawn.get_facecolors()


def test_strays_change_neither_frame_nor_colours_and_are_counted(chain: Chain) -> None:
    """Of every figure of points: 6 of 400 samples lie 15,000 times the shape away."""
    n, last = chain.states.shape[1], chain.states[-1]
    chosen = [-1, -8, 0]
    many = [strayed(state, 6) for state in chain.states[chosen]]

    def figures(samples: np.ndarray, states: list[np.ndarray]) -> list[Figure]:
        ratios = chain.ratios[chosen]
        states = [*states[:-1], chain.states[0]]  # the noise is what it is
        return [
            samples_beside_truth(samples, chain.truth, METRICS),
            process_strip(chain.states[chosen], states, ratios, chain.truth),
            training_strip(states, [1, 20, 300], chain.truth),
        ]

    calm = figures(last, list(chain.states[chosen]))
    strays = figures(strayed(last, 6), many)
    for a, b in zip(calm, strays, strict=True):
        assert windows(a) == windows(b)
        assert_words_are_legible(b)
    assert f"samples, 6 of {n} points outside" in words(strays[0])
    assert any(f"6 of {n} points outside" in text for text in words(strays[1]))
    assert "1 steps, 6 outside" in words(strays[2])
    colours = [dots(figure.axes[0])[1][6:] for figure in (calm[0], strays[0])]
    np.testing.assert_array_equal(*colours)


def test_a_figure_of_points_has_larger_dots(heart: Chain) -> None:
    sizes = [
        samples_beside_truth(heart.states[-1], heart.truth, {}, "", times).axes[0].collections[-1]
        for times in (1.0, 2.0)
    ]
    usual, larger = (collection.get_sizes()[0] for collection in sizes)
    assert larger == pytest.approx(4 * usual)


def test_outside_is_said_in_the_singular_too() -> None:
    assert [style.outside_text(k) for k in (0, 1, 2_000)] == [
        "",
        "1 point outside",
        "2,000 points outside",
    ]
