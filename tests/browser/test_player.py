"""The player plays, is scrubbed by keyboard, and asks the network for nothing."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pointillist.rendering.player import Scene, page


def scene(name: str = "heun, 12 steps", seed: int = 0) -> Scene:
    """Points that draw together on a circle."""
    rng = np.random.default_rng(seed)
    ratios = np.append(np.geomspace(20, 0.01, 12), 0.0)
    angle = rng.uniform(0, 2 * np.pi, 300)
    clean, noise = np.stack((np.cos(angle), np.sin(angle)), -1), rng.normal(size=(300, 2))
    turns = np.arctan(ratios)[:, None, None]
    states = np.cos(turns) * clean + np.sin(turns) * noise
    return Scene(name, states, ratios, clean, noise, clean[:50], (10.0, 20.0), (2.0, 2.0), 12)


@pytest.fixture
def opened(watched, tmp_path):
    file = tmp_path / "player.html"
    file.write_text(page([scene(), scene("sde, 12 steps", 1)], "A <script>ring</script>", "Round"))
    watched.page.goto(file.as_uri())
    yield watched
    assert watched.errors == []
    assert watched.requests == [file.as_uri()]


def caption(watched) -> str:
    return watched.page.locator("output").inner_text()


def pixels(watched) -> bytes:
    return watched.page.locator("canvas").first.screenshot()


def test_it_plays_by_itself_and_points_move(opened):
    opened.page.wait_for_timeout(400)
    first = pixels(opened)
    opened.page.wait_for_timeout(700)
    assert pixels(opened) != first
    assert opened.page.locator("button").inner_text() == "Pause"


def test_points_outside_are_counted(opened):
    """Of the first scene, 7 points are moved far outside at the end."""
    count = opened.page.locator(".outside").first
    opened.page.locator("input[type=range]").focus()
    opened.page.keyboard.press("End")
    assert count.inner_text() == ""
    opened.page.evaluate(
        """() => {
          const scene = document.querySelector(".player").player.scenes[0];
          const last = 2 * scene.n * (scene.n_states - 1);
          for (let i = 0; i < 7; i++) scene.states[last + 2 * i] = 1e5;
        }"""
    )
    opened.page.keyboard.press("ArrowLeft")
    opened.page.keyboard.press("End")
    assert count.inner_text().strip() == "· 7 points outside"


def test_names_are_text_not_markup(opened):
    assert opened.page.locator("h1").inner_text() == "A <script>ring</script>"
    assert opened.page.locator("figcaption").all_inner_texts() == [
        "heun, 12 steps",
        "sde, 12 steps",
    ]


def test_it_is_played_and_scrubbed_by_keyboard(opened):
    keyboard = opened.page.keyboard
    opened.page.locator("input[type=range]").focus()
    keyboard.press("Home")
    assert caption(opened).startswith("forward: noise is added · σ/α = 0")
    start = pixels(opened)
    keyboard.press("End")
    assert caption(opened) == "reverse: noise is removed · σ/α = 0 · step 12 of 12"
    # The points end where they began.
    assert pixels(opened) == start
    keyboard.press("ArrowLeft")
    assert "step 12 of 12" in caption(opened)
    keyboard.press("Home")
    keyboard.press("PageDown")
    keyboard.press("PageDown")
    assert pixels(opened) != start
    keyboard.press("Space")
    opened.page.wait_for_timeout(500)
    moved = caption(opened)
    keyboard.press("Space")
    opened.page.wait_for_timeout(100)
    still = pixels(opened)
    opened.page.wait_for_timeout(400)
    assert pixels(opened) == still
    assert moved != "forward: noise is added · σ/α = 0"


def test_the_slider_scrubs_by_mouse(opened):
    slider = opened.page.locator("input[type=range]")
    box = slider.bounding_box()
    opened.page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    assert caption(opened).startswith("reverse")
    assert opened.page.locator("button").inner_text() == "Play"


def test_the_last_moment_shows_the_samples_where_they_are(opened):
    """Ink of the first canvas, against the points that the scene ends in."""
    opened.page.locator("input[type=range]").focus()
    opened.page.keyboard.press("End")
    inked = opened.page.evaluate(
        """() => {
          const canvas = document.querySelector("canvas");
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          const found = [];
          for (let i = 0; i < data.length; i += 4)
            if (data[i + 3] > 128) found.push([(i / 4) % canvas.width, Math.floor(i / 4 / canvas.width)]);
          return { found, side: canvas.width };
        }"""
    )
    found = np.array(inked["found"]) / inked["side"]
    centre = (found.min(0) + found.max(0)) / 2
    radius = np.hypot(*(found - centre).T)
    # A ring of dots and nothing else; as wide as high.
    assert radius.std() < 0.02 * radius.mean() + 0.004
    assert np.ptp(found[:, 0]) == pytest.approx(np.ptp(found[:, 1]), abs=0.01)


def test_pointing_at_a_dot_tells_where_it_is_and_where_it_ends(opened):
    opened.page.locator("input[type=range]").focus()
    opened.page.keyboard.press("End")
    box = opened.page.locator("canvas").first.bounding_box()
    tip = opened.page.locator(".tip").first
    for share in np.linspace(0, 1, 60):
        opened.page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        if tip.is_visible():
            break
    words = tip.inner_text()
    x, y = map(float, re.match(r"\((.+), (.+)\)\s+to", words).groups())
    assert np.hypot(x - 10, y - 20) == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_either_scheme(browser, tmp_path, scheme):
    file = tmp_path / "player.html"
    file.write_text(page([scene(), scene(seed=1)], "ring", "Round"))
    small = browser.new_page(viewport={"width": 360, "height": 640}, color_scheme=scheme)
    small.goto(file.as_uri())
    assert small.evaluate("document.documentElement.scrollWidth") <= 360
    paper = small.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper)[:3])) > 380) == (scheme == "light")
    small.close()


def test_who_wants_less_motion_gets_none(browser, tmp_path):
    file = tmp_path / "player.html"
    file.write_text(page([scene()], "ring", "Round"))
    calm = browser.new_page(reduced_motion="reduce")
    calm.goto(file.as_uri())
    assert calm.locator("button").inner_text() == "Play"
    calm.close()
