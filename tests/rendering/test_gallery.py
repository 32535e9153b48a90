from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from pointillist.rendering.gallery import contact_sheet


def clouds(n: int, size: int = 40) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {f"shape {k}": rng.normal(size=(size, 2)) * (1 + k) + k for k in range(n)}


def names(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts if text.get_text().startswith("shape")]


@pytest.mark.parametrize("n", [1, 2, 11, 13, 49])
def test_every_shape_has_its_panel_and_name(n: int) -> None:
    figure = contact_sheet(clouds(n), {})
    assert len(figure.axes) == n
    assert names(figure) == list(clouds(n))


def test_samples_stand_to_the_right_of_their_shape() -> None:
    figure = contact_sheet(clouds(3), {"shape 1": clouds(2)["shape 1"]})
    assert len(figure.axes) == 4
    truth, samples = figure.axes[1], figure.axes[2]
    assert samples.get_position().x0 == pytest.approx(truth.get_position().x1)
    assert samples.get_position().y0 == pytest.approx(truth.get_position().y0)
    assert samples.get_xlim() == truth.get_xlim()
    assert samples.get_ylim() == truth.get_ylim()


def test_a_model_whose_shape_is_gone_is_shown_too() -> None:
    figure = contact_sheet(clouds(1), {"shape 5": clouds(1)["shape 0"]})
    assert names(figure) == ["shape 0", "shape 5"]


def test_panels_do_not_overlap_and_stay_on_the_sheet() -> None:
    figure = contact_sheet(clouds(25), clouds(25))
    boxes = [axes.get_position() for axes in figure.axes]
    assert all(0 <= b.x0 < b.x1 <= 1 and 0 <= b.y0 < b.y1 <= 1 for b in boxes)
    lefts = sorted({(round(b.x0, 6), round(b.x1, 6)) for b in boxes})
    assert all(a[1] <= b[0] + 1e-6 for a, b in pairwise(lefts))


@pytest.mark.parametrize("n", [13, 25, 37, 49, 50])
def test_the_last_row_is_as_full_as_it_can_be(n: int) -> None:
    boxes = [axes.get_position() for axes in contact_sheet(clouds(n, 5), {}).axes]
    lowest = min(box.y0 for box in boxes)
    last = sum(box.y0 == pytest.approx(lowest) for box in boxes)
    across = len({round(box.x0, 6) for box in boxes})
    assert across - last == min(-n % columns for columns in range(8, 13))
