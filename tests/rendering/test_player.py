from __future__ import annotations

import base64
import dataclasses
import json
import re

import numpy as np
import pytest

from pointillist.errors import PointillistError
from pointillist.rendering import player

SCENE = player.Scene(
    "heun, 3 steps",
    np.random.default_rng(0).normal(size=(4, 50, 2)),
    np.array([20.0, 1.0, 0.1, 0.0]),
    np.random.default_rng(1).normal(size=(50, 2)),
    np.random.default_rng(2).normal(size=(50, 2)),
    np.random.default_rng(3).normal(size=(9, 2)),
    (0.0, 0.0),
    (1.0, 1.0),
    3,
)


def data_of(page: str) -> dict:
    return json.loads(re.search(r'type="application/json">(.+?)</script>', page, re.S)[1])


def test_the_page_holds_the_states_to_a_ten_thousandth():
    scene = data_of(player.page([SCENE], "t", "s"))["scenes"][0]
    whole = np.frombuffer(base64.b64decode(scene["states"]), "<i2").reshape(4, 50, 2)
    np.testing.assert_allclose(whole * scene["unit"], SCENE.states, atol=1e-3)
    assert scene["positions"][-1] == 3
    assert scene["positions"][0] == 3  # the clean end of the forward process


def test_the_time_line_goes_to_noise_and_back():
    frames = data_of(player.page([SCENE], "t", "s"))["frames"]
    ratios = [frame["ratio"] for frame in frames]
    forward = [frame["forward"] for frame in frames]
    turn = forward.index(False)
    assert ratios[0] == ratios[-1] == 0
    assert max(ratios) == 20
    assert not any(forward[turn:])
    assert (np.diff(ratios[:turn]) >= 0).all()
    assert (np.diff(ratios[turn:]) <= 0).all()


def test_equal_input_gives_equal_bytes_and_no_address():
    page = player.page([SCENE, SCENE], "t", "s")
    assert page == player.page([SCENE, SCENE], "t", "s")
    assert "http" not in page
    assert len(page) < 5e6


def test_everything_that_is_written_is_escaped():
    evil = dataclasses.replace(SCENE, name="</script><b>")
    page = player.page([evil], "<i>", "&<u>")
    assert "<b>" not in page
    assert "<i>" not in page
    assert "<u>" not in page


def test_scenes_are_checked():
    with pytest.raises(ValueError, match="at least one scene"):
        player.page([], "t", "s")
    rising = dataclasses.replace(SCENE, noise_ratios=SCENE.noise_ratios[::-1])
    with pytest.raises(ValueError, match="must fall"):
        player.page([rising], "t", "s")
    broken = dataclasses.replace(SCENE, states=SCENE.states * np.nan)
    with pytest.raises(PointillistError, match="not finite"):
        player.page([broken], "t", "s")


def test_the_plotly_figure_ends_in_the_samples_in_original_coordinates():
    moved = dataclasses.replace(SCENE, center=(100.0, 7.0), scale=(2.0, 2.0))
    figure = player.plotly_figure(moved, points=50)
    last = figure.frames[-1].data[0]
    np.testing.assert_allclose(last.x, SCENE.states[-1, :, 0] * 2 + 100, atol=1e-5)
    assert len(figure.layout.sliders[0].steps) == len(figure.frames)
    assert figure.layout.yaxis.scaleanchor == "x"


def test_states_far_outside_change_neither_window_nor_colours():
    states = SCENE.states.copy()
    states[-1, :6] = 15_000
    calm, strays = (
        data_of(player.page([dataclasses.replace(SCENE, states=s)], "t", "s"))["scenes"][0]
        for s in (SCENE.states, states)
    )
    assert calm["window"] == strays["window"]
    colours = [np.frombuffer(base64.b64decode(s["colours"]), np.uint8) for s in (calm, strays)]
    np.testing.assert_array_equal(colours[0][6:], colours[1][6:])
    ranges = [
        player.plotly_figure(dataclasses.replace(SCENE, states=s)).layout.xaxis.range
        for s in (SCENE.states, states)
    ]
    assert ranges[0] == ranges[1]
