from __future__ import annotations

import io
import sys
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from pointillist.errors import PointillistError
from pointillist.rendering import animation, encoders, style
from pointillist.rendering.animation import (
    Film,
    _Canvas,
    draw_frames,
    frame_ratios,
    pace,
    spread_over_noise,
    state_at,
)
from pointillist.rendering.encoders import encode_gif

if TYPE_CHECKING:
    from conftest import Chain

GROUND = np.round(255 * np.array(to_rgb(style.PAPER)))


def canvas_of(states: np.ndarray, truth: np.ndarray, trails: int = 0) -> _Canvas:
    look = Film("", 480, trails=trails)
    return _Canvas(look, truth, noise=states[0], ends=states[-1])


def drawn(chain: Chain, look: Film, n_frames: int = 5, points: int = 300) -> list[animation.Frame]:
    steps = np.arange(len(chain.ratios))
    return list(
        draw_frames(
            chain.states, chain.ratios, steps, chain.truth, look, n_frames=n_frames, points=points
        )
    )


def film(
    chain: Chain, n_frames: int = 5, size: int = 240, points: int = 300, **manner: Any
) -> list[np.ndarray]:
    look = Film("a shape", size, **manner)
    return [frame.image for frame in drawn(chain, look, n_frames, points)]


def test_last_picture_shows_the_samples_where_they_are(chain: Chain) -> None:
    """Two dots on blank paper: the centre of each one's ink is its place on the axes."""
    left, right = chain.states[-1, :, 0].argmin(), chain.states[-1, :, 0].argmax()
    two = chain.states[:, [left, right]]
    canvas = canvas_of(two, chain.truth)
    (picture,) = [f for f in canvas.axes.collections if f is not canvas.points]
    picture.remove()
    (frame,) = canvas.film([two[-1]], [("", "")])
    ink = np.abs(frame.image[::-1] - GROUND).sum(-1)
    ink[:70] = 0  # the caption and the line below it
    for x, y in canvas.axes.transData.transform(two[-1]):
        rows, columns = np.mgrid[int(y) - 8 : int(y) + 9, int(x) - 8 : int(x) + 9]
        weights = ink[rows, columns]
        # Places are rounded to halves of a pixel, so they are off by a quarter at most.
        assert np.average(columns + 0.5, weights=weights) == pytest.approx(x, abs=0.35)
        assert np.average(rows + 0.5, weights=weights) == pytest.approx(y, abs=0.35)


def test_last_picture_is_the_final_state_not_an_interpolation(heart: Chain) -> None:
    shaken = heart.states.copy()
    shaken[-2] += 5
    calm, moved = film(heart), film(replace(heart, states=shaken))
    assert (calm[-1] == moved[-1]).all()


def test_same_input_gives_the_same_bytes(heart: Chain) -> None:
    first, second = (encode_gif(film(heart), fps=20, hold_seconds=1) for _ in range(2))
    assert first == second


def test_frames_count_their_steps_and_have_the_asked_size(heart: Chain) -> None:
    frames = drawn(heart, Film("♥ $x", 201), n_frames=4, points=50)
    assert [frame.step for frame in frames] == [1, 2, 3, 4]
    assert {frame.image.shape for frame in frames} == {(201, 201, 3)}
    assert frames[0].image.dtype == np.uint8


def test_whole_shape_and_all_samples_are_inside_the_picture(chain: Chain) -> None:
    canvas = canvas_of(chain.states, chain.truth)
    box = canvas.axes.get_window_extent()
    pixels = canvas.axes.transData.transform(np.concatenate([chain.truth, chain.states[-1]]))
    inside = (pixels >= box.min).all(1) & (pixels <= box.max).all(1)
    assert inside[: len(chain.truth)].all()
    assert inside.mean() > 0.98


def test_one_unit_is_as_long_in_x_as_in_y(chain: Chain) -> None:
    matrix = canvas_of(chain.states, chain.truth).axes.transData.transform
    origin, right, up = matrix([(0, 0), (1, 0), (0, 1)])
    assert right[0] - origin[0] == pytest.approx(up[1] - origin[1], rel=1e-6)


def test_words_fit_whatever_the_title(heart: Chain) -> None:
    title = "a very long name for a very small heart " * 4
    look = Film(title, 240)
    canvas = _Canvas(look, heart.truth, noise=heart.states[0], ends=heart.states[-1])
    canvas.remark("Axes stretched: 4e+03 wide, 30 high.", "1,234 of 10,000 points outside")
    list(canvas.film(heart.states[:1], [("noise σ/α = <0.001", "step 10000 of 10000")]))
    for text in canvas.figure.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= 240
        assert box.y0 >= 0
        assert box.y1 <= 240


@pytest.mark.parametrize("first", [0.9, 20.0, 1e4, np.inf])
@pytest.mark.parametrize("last", [0.0, 1e-5, 0.002])
@pytest.mark.parametrize("n_frames", [2, 3, 80])
def test_noise_falls_from_first_to_last(first: float, last: float, n_frames: int) -> None:
    ratios = frame_ratios(first, last, n_frames)
    assert len(ratios) == n_frames
    assert (ratios[0], ratios[-1]) == (first, last)
    assert (np.diff(ratios) < 0).all()


def test_frames_crowd_where_the_shape_forms() -> None:
    ratios = frame_ratios(20, 0.002, 80)
    forming = (ratios < 1) & (ratios > 0.01)
    assert forming.mean() > 0.6
    assert (np.diff(pace(np.geomspace(1e-3, 30, 500))) > 0).all()


@pytest.mark.parametrize("first", [80.0, np.inf])
@pytest.mark.parametrize("k", [2, 7, 40])
def test_states_for_a_strip_rise_in_noise_from_the_clean_one(first: float, k: int) -> None:
    ratios = np.array([first, *np.geomspace(50, 0.002, 24), 0.0])
    chosen = spread_over_noise(ratios, k)
    assert (chosen[0], chosen[-1]) == (25, 0)
    assert (np.diff(ratios[chosen]) > 0).all()
    assert len(chosen) <= k


def test_states_are_met_and_between_them_points_move_evenly_in_angle(heart: Chain) -> None:
    states = heart.states.astype(float)
    for k in (0, 3, len(states) - 1):
        assert np.allclose(state_at(states, heart.ratios, heart.ratios[k]), states[k], atol=1e-9)
    half = np.tan(np.arctan(heart.ratios[5:7]).mean())
    assert np.allclose(state_at(states, heart.ratios, half), states[5:7].mean(0))


def test_pure_noise_of_a_flow_is_a_valid_start(heart: Chain) -> None:
    """At t = 1 of rectified flow alpha is 0 and the noise ratio infinite."""
    ratios = heart.ratios.copy()
    ratios[0] = np.inf
    assert len(film(replace(heart, ratios=ratios))) == 5


@pytest.mark.parametrize("n", [1, 2])
def test_few_points_make_a_film(heart: Chain, n: int) -> None:
    assert len(film(replace(heart, states=heart.states[:, :n], truth=heart.truth[:1]))) == 5


def test_diverged_chain_is_refused_before_the_first_picture(heart: Chain) -> None:
    states = heart.states.copy()
    states[3, 7] = np.nan
    with pytest.raises(PointillistError, match="1 of 10000 points are not finite"):
        film(replace(heart, states=states))


@pytest.mark.parametrize(
    ("states", "ratios"),
    [
        (slice(None), slice(None, None, -1)),
        (slice(None), slice(1, None)),
        (slice(0, 1), slice(0, 1)),
    ],
    ids=["rising noise", "one ratio too few", "one state"],
)
def test_chain_that_is_none_is_refused(heart: Chain, states: slice, ratios: slice) -> None:
    with pytest.raises(ValueError, match=r"film|noise_ratios"):
        film(replace(heart, states=heart.states[states], ratios=heart.ratios[ratios]))


def test_gif_loops_forever_and_holds_its_last_frame(heart: Chain) -> None:
    gif = Image.open(io.BytesIO(encode_gif(film(heart), fps=20, hold_seconds=2.0)))
    durations = []
    for k in range(gif.n_frames):
        gif.seek(k)
        durations.append(gif.info["duration"])
    assert durations == [50, 50, 50, 50, 2050]
    assert gif.info["loop"] == 0
    assert gif.size == (240, 240)


def test_gif_shows_the_frames(heart: Chain) -> None:
    frames = film(heart, size=480)
    gif = Image.open(io.BytesIO(encode_gif(frames, fps=20, hold_seconds=0)))
    for k, frame in enumerate(frames):
        gif.seek(k)
        shown = np.asarray(gif.convert("RGB")).astype(int)
        # The paper is exact; 64 colours are near enough for the rest.
        blank = (frame == GROUND).all(-1)
        assert (shown[blank] == GROUND).all()
        assert np.abs(shown - frame)[~blank].mean() < 12


def test_film_of_default_size_stays_small(heart: Chain) -> None:
    many = replace(heart, states=np.tile(heart.states, (1, 5, 1)))
    gif = encode_gif(film(many, n_frames=20, size=480, points=2000), fps=20, hold_seconds=2)
    assert len(gif) < 1.5e6 / 4


def test_still_frames_keep_their_number_and_time() -> None:
    still = np.full((120, 120, 3), 255, np.uint8)
    gif = Image.open(io.BytesIO(encode_gif([still] * 3, fps=10, hold_seconds=1)))
    total = 0
    for k in range(gif.n_frames):
        gif.seek(k)
        total += gif.info["duration"]
    assert total == 100 + 100 + 1100


def test_gif_needs_a_frame() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        encode_gif([], fps=20, hold_seconds=1)


def moving_square() -> list[np.ndarray]:
    frames = []
    for k in range(12):
        frame = np.full((60, 81, 3), 250, np.uint8)
        frame[20:40, 5 * k : 5 * k + 20] = (200, 30, 90)
        frames.append(frame)
    return frames


def test_webp_shows_the_same_film() -> None:
    frames = moving_square()
    film = Image.open(io.BytesIO(encoders.encode_webp(frames, fps=20, hold_seconds=1.0)))
    assert film.n_frames == len(frames)
    durations = []
    for k, frame in enumerate(frames):
        film.seek(k)
        shown = np.asarray(film.convert("RGB"), int)
        assert np.abs(shown - frame).mean() < 4
        durations.append(film.info["duration"])
    assert durations == [50] * 11 + [1050]


def test_mp4_shows_the_same_film_in_even_sides() -> None:
    reader = pytest.importorskip("imageio_ffmpeg").read_frames
    frames = moving_square()
    content = encoders.encode_mp4(frames, fps=20, hold_seconds=0.5)
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(content)
        file.flush()
        film = reader(file.name)
        about = next(film)
        shown = [np.frombuffer(picture, np.uint8).reshape(60, 80, 3) for picture in film]
    assert about["size"] == (80, 60)
    assert len(shown) == len(frames) + 10
    for picture, frame in zip(shown, frames, strict=False):
        assert np.abs(picture.astype(int) - frame[:, :80]).mean() < 8


def test_mp4_without_its_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(PointillistError, match=r"pointillist\[video\]"):
        encoders.encode_mp4(moving_square(), fps=20, hold_seconds=0.0)


@pytest.mark.parametrize("palette", ["dusk", "viridis", "cividis"])
def test_gif_on_dark_paper_shows_the_frames(heart: Chain, palette: str) -> None:
    look = style.look("dark", palette)
    frames = film(heart, size=480, look=look)
    paper = np.round(255 * np.array(to_rgb(look.paper)))
    gif = Image.open(io.BytesIO(encode_gif(frames, fps=20, hold_seconds=0)))
    for k, frame in enumerate(frames):
        gif.seek(k)
        shown = np.asarray(gif.convert("RGB")).astype(int)
        blank = (frame == paper).all(-1)
        assert blank.mean() > 0.5
        assert (shown[blank] == paper).all()
        assert np.abs(shown - frame)[~blank].mean() < 12


def test_trails_lie_behind_dots_that_move(heart: Chain) -> None:
    bare, trailed = film(heart, n_frames=20), film(heart, n_frames=20, trails=3)
    assert (bare[0] == trailed[0]).all()
    ink = [np.abs(frame - GROUND).sum() for frame in (bare[10], trailed[10])]
    assert ink[1] > 1.02 * ink[0]


def test_a_trail_goes_back_to_where_its_dot_was(heart: Chain) -> None:
    """Of one dot that moves straight on: ink between its places, and none beyond the trail."""
    states = np.array([[[0.0, 0.0]], [[8.0, 0.0]]])
    canvas = canvas_of(states, heart.truth, trails=2)
    captions = [("", "")] * 5
    places = [np.array([[x, 0.0]]) for x in (0.0, 2.0, 4.0, 6.0, 8.0)]
    last = list(canvas.film(places, captions))[-1].image[::-1]
    without = list(canvas_of(states, heart.truth).film(places[-1:], captions[:1]))[-1].image[::-1]
    for x, inked in ((3.0, False), (5.0, True), (7.0, True)):
        column, row = canvas.axes.transData.transform((x, 0.0)).astype(int)
        spot = np.s_[row - 2 : row + 2, column]
        assert (last[spot] != without[spot]).any() == inked


def test_captions_count_the_steps_of_the_sampler(heart: Chain) -> None:
    steps = np.arange(len(heart.ratios))
    once, twice = (
        list(
            draw_frames(
                heart.states,
                heart.ratios,
                by * steps,
                heart.truth,
                Film("", 480),
                n_frames=3,
                points=50,
            )
        )
        for by in (1, 2)
    )
    for a, b in zip(once, twice, strict=True):
        rows, columns = np.nonzero((a.image != b.image).any(-1))
        assert rows.min() > 0.9 * 480
        assert columns.min() > 0.7 * 480


def test_steps_that_do_not_rise_are_refused(heart: Chain) -> None:
    still = np.zeros(len(heart.ratios))
    with pytest.raises(ValueError, match="steps must rise"):
        draw_frames(
            heart.states, heart.ratios, still, heart.truth, Film("", 240), n_frames=3, points=9
        )


def with_strays(chain: Chain, n: int) -> Chain:
    """The chain, whose first `n` samples end far outside."""
    states = chain.states.copy()
    far = np.linspace(0, 1, len(states))[:, None, None] ** 2
    states[:, :n] += (far * 15_000 * np.ptp(chain.truth, 0).max()).astype(np.float32)
    return replace(chain, states=states)


def test_samples_far_outside_change_neither_frame_nor_colours(chain: Chain) -> None:
    calm, strays = film(chain, points=400), film(with_strays(chain, 6), points=400)
    # All but six of 400 points, and the count that is written, are as they were.
    assert (calm[-1] != strays[-1]).any(-1).mean() < 0.02


def test_the_film_says_how_many_samples_are_outside(
    heart: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(_Canvas, "remark", lambda _, *notes: said.append(notes))
    for n in (0, 1, 6):
        film(with_strays(heart, n), points=20, note="A note.")
    outside = ("", "1 of 400 points outside", "6 of 400 points outside")
    assert said == [("A note.", words) for words in outside]


def test_the_film_of_training_counts_the_points_outside_at_each_snapshot(heart: Chain) -> None:
    clouds = with_strays(heart, 6).states[[0, -2, -1]]
    written: list[tuple[str, str]] = []

    def film_(self: _Canvas, clouds: Any, captions: Any) -> Any:
        written.extend(captions)
        return iter(())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Canvas, "film", film_)
        animation.draw_training(clouds, [1, 20, 300], heart.truth, Film("", 240), frames_between=2)
    assert len(written) == 5
    assert written[-1] == ("after 300 of 300 training steps", "6 points outside")
    assert written[2][0] == "after 20 of 300 training steps"


@pytest.mark.parametrize("point_size", [0.5, 3.0])
def test_dots_are_as_many_times_wider(heart: Chain, point_size: float) -> None:
    """Ink of a lone dot on an empty picture."""

    def ink(point_size: float) -> float:
        one = heart.states[:, :1]
        look = Film("", 960, point_size=point_size)
        canvas = _Canvas(look, heart.truth, noise=heart.states[0], ends=one[-1])
        canvas.axes.collections[0].remove()
        with_dot, without = (
            next(iter(canvas.film([cloud], [("", "")]))).image.astype(int)
            for cloud in (one[-1], one[-1] + 1e6)
        )
        return float(np.abs(with_dot - without).sum())

    assert ink(point_size) == pytest.approx(point_size**2 * ink(1.0), rel=0.1)


@pytest.mark.parametrize(("fps", "n"), [(20, 80), (30, 180), (16, 31), (50, 100), (7, 21)])
def test_a_film_lasts_its_seconds(fps: int, n: int) -> None:
    frames = [np.full((8, 8, 3), 2 * k % 255, np.uint8) for k in range(n)]
    for encode in (encode_gif, encoders.encode_webp):
        film_ = Image.open(io.BytesIO(encode(frames, fps=fps, hold_seconds=1.0)))
        total = 0
        for k in range(film_.n_frames):
            film_.seek(k)
            film_.load()
            total += film_.info["duration"]
        assert total == pytest.approx(1000 * (n / fps + 1), abs=10)
