from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from pointillist.rendering.gallery import contact_sheet
from tests.rendering.test_figures import assert_words_are_legible, dots, words


def clouds(n: int, size: int = 40) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {f"shape {k}": rng.normal(size=(size, 2)) * (1 + k) + k for k in range(n)}


def pairs(n: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {name: (cloud, cloud[::2]) for name, cloud in clouds(n).items()}


def names(figure: Figure) -> list[str]:
    return [text for text in words(figure) if text.startswith("shape")]


@pytest.mark.parametrize("n", [1, 2, 11, 13, 49])
def test_every_shape_has_its_panel_and_name(n: int) -> None:
    figure = contact_sheet(clouds(n), {})
    assert len(figure.axes) == n
    assert names(figure) == list(clouds(n))


def test_those_with_a_model_come_first_and_once() -> None:
    both = pairs(3)
    figure = contact_sheet(clouds(5), {name: both[name] for name in ("shape 2", "shape 0")})
    assert names(figure) == ["shape 2", "shape 0", "shape 1", "shape 3", "shape 4"]
    assert "5 shapes, 2 of them with a model" in words(figure)
    boxes = [axes.get_window_extent() for axes in figure.axes]
    assert min(box.y0 for box in boxes[:2]) > max(box.y1 for box in boxes[2:])


def test_a_model_whose_shape_is_no_file_shows_its_own_points() -> None:
    figure = contact_sheet(clouds(1), {"shape 5": pairs(1)["shape 0"]})
    assert names(figure) == ["shape 5", "shape 0"]
    truth, _ = pairs(1)["shape 0"]
    np.testing.assert_allclose(figure.axes[0].collections[0].get_offsets(), truth)


def test_samples_stand_to_the_right_of_their_shape_at_its_scale() -> None:
    truth, samples = pairs(1)["shape 0"]
    (axes,) = contact_sheet({}, {"shape 0": (truth, samples)}).axes
    shift = dots(axes)[0] - samples
    np.testing.assert_allclose(shift[:, 0], shift[0, 0])
    np.testing.assert_allclose(shift[:, 1], 0, atol=1e-12)
    assert dots(axes)[0][:, 0].min() > truth[:, 0].max()
    left, right = axes.get_xlim()
    assert shift[0, 0] == pytest.approx((right - left) / 2)


def test_samples_far_outside_are_counted_and_not_drawn_over_the_shape() -> None:
    truth = clouds(1)["shape 0"]
    samples = truth.copy()
    samples[:3] -= 15_000
    (calm,) = contact_sheet({}, {"shape": (truth, truth)}).axes
    figure = contact_sheet({}, {"shape": (truth, samples)})
    assert names(figure) == ["shape, 3 outside"]
    assert figure.axes[0].get_xlim() == calm.get_xlim()
    assert len(dots(figure.axes[0])[0]) == len(truth) - 3


@pytest.mark.parametrize(("singles", "with_model"), [(25, 25), (50, 3), (3, 11)])
def test_words_are_legible_and_panels_apart(singles: int, with_model: int) -> None:
    figure = contact_sheet(clouds(singles), pairs(with_model))
    assert_words_are_legible(figure)
    boxes = [axes.get_window_extent() for axes in figure.axes]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


@pytest.mark.parametrize("n", [13, 25, 37, 49, 50])
def test_the_last_row_is_as_full_as_it_can_be(n: int) -> None:
    figure = contact_sheet(clouds(n, 5), {})
    figure.canvas.draw()
    boxes = [axes.get_window_extent() for axes in figure.axes]
    lowest = min(box.y0 for box in boxes)
    last = sum(box.y0 == pytest.approx(lowest) for box in boxes)
    across = len({round(box.x0, 3) for box in boxes})
    assert across - last == min(-n % columns for columns in range(7, 11))
