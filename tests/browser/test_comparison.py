"""The page of several runs plays all in step, fits a phone, and asks the network for nothing."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from pointillist.rendering import report
from tests.browser.test_player import scene

METRICS = {"sw2": 0.03, "sw2_floor": 0.02, "sw2_floor_error": 0.001}


@pytest.fixture
def opened(watched, tmp_path):
    file = tmp_path / "comparison.html"
    file.write_text(
        report.comparison_page(
            names=["A: one", "B: two", "C: three"],
            scenes=[scene("A: one"), scene("B: two", 1), scene("C: three", 2)],
            metrics=[METRICS, METRICS | {"sw2": 0.05}, METRICS | {"sw2": 0.05}],
            losses=Figure(figsize=(5, 3)),
            differing=[("training.steps", ["7", "<i>9</i>", "9"])],
            conditions="Alike.",
            warnings=["The shapes differ."],
        )
    )
    watched.page.goto(file.as_uri())
    yield watched
    assert watched.errors == []
    assert [url for url in watched.requests if not url.startswith("data:")] == [file.as_uri()]


def test_all_films_play_in_step(opened):
    canvases = opened.page.locator("canvas")
    assert canvases.count() == 3
    first = [canvases.nth(k).screenshot() for k in range(3)]
    opened.page.wait_for_timeout(900)
    assert all(canvases.nth(k).screenshot() != first[k] for k in range(3))


def test_the_better_stands_out_and_text_is_text(opened):
    assert opened.page.locator(".best").all_inner_texts() == ["0.03"]
    text = opened.page.inner_text("body")
    assert "<i>9</i>" in text
    assert "The shapes differ." in text


def test_it_fits_a_phone(opened):
    opened.page.set_viewport_size({"width": 360, "height": 640})
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 360
