"""The report shows all its pictures, plays, fits a phone, and asks the network for nothing."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from pointillist.rendering import report
from tests.browser.test_player import scene

METRICS = {
    "sw2": 0.03,
    "sw2_floor": 0.02,
    "coverage": 0.9,
    "coverage_floor": 1.0,
    "kl_bound_nats": 0.01,
    "kl_bound_nats_error": 0.001,
}


@pytest.fixture
def opened(watched, tmp_path):
    file = tmp_path / "report.html"
    picture = report.Picture(Figure(figsize=(5, 3)), "An empty sheet")
    file.write_text(
        report.page(
            shape="a <b>shape</b>",
            scenes=[scene()],
            metrics=METRICS,
            quality=[picture, picture],
            knowledge=[picture],
            differing=[("training.steps", "7", "1100")],
            again=report.Again(["kedro run --params shape=x"]),
            provenance=[("torch", "2.13.0")],
        )
    )
    watched.page.goto(file.as_uri())
    yield watched
    assert watched.errors == []
    assert [url for url in watched.requests if not url.startswith("data:")] == [file.as_uri()]


def test_everything_is_on_the_page(opened):
    assert opened.page.locator("h1").inner_text() == "a <b>shape</b>"
    text = opened.page.inner_text("body")
    for said in (
        "1.50 times its floor",
        "training.steps",
        "kedro run --params shape=x",
        "2.13.0",
    ):
        assert said in text
    pictures = opened.page.locator("img")
    assert pictures.count() == 3
    assert opened.page.evaluate(
        "[...document.images].every((i) => i.complete && i.naturalWidth > 400)"
    )


def test_bars_show_how_much_worse_than_the_floor(opened):
    widths = opened.page.evaluate(
        "[...document.querySelectorAll('.fill')].map((e) => e.clientWidth / e.parentElement.clientWidth)"
    )
    # 1.5 times the floor, and 0.9 of a floor where more is better; a full bar is 3 times.
    assert widths == pytest.approx([0.5, 1 / 0.9 / 3], abs=0.01)


def test_the_film_plays(opened):
    canvas = opened.page.locator("canvas")
    first = canvas.screenshot()
    opened.page.wait_for_timeout(900)
    assert canvas.screenshot() != first


def test_it_fits_a_phone(opened):
    opened.page.set_viewport_size({"width": 360, "height": 640})
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 360
