r"""The reverse chain as a film: noise draws together into the shape.

The states are seen variance-preserving, ``y = (x_0 + r eps) / sqrt(1 + r^2)`` with the noise ratio
``r = sigma / alpha``, so that the cloud has the extent of the shape at every noise level. With
``r = tan(theta)`` this is ``y = cos(theta) x_0 + sin(theta) eps``: between two states the film
moves evenly in theta, and it slows down where the shape forms.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, cast

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from pointillist.errors import PointillistError
from pointillist.rendering import style
from pointillist.rendering.style import Points

CLEAREST, NOISIEST = 1e-3, 30.0
"""Noise ratios between which pictures differ to the eye; the film's clock stops outside."""

_INCHES = 4.8  # of the side of a picture: text and points keep their proportion at every size
_COLOURS = 64  # more cannot be told apart in small dots, and cost a fifth of the file
_EXACT = 12
_HOUSE = [
    np.round(255 * np.array(to_rgb(c))).astype(int)
    for c in (style.INK, style.FAINT_INK, style.ACCENT)
]
_CELL = 8  # levels of a colour channel


class Encoder(Protocol):
    """What turns frames into the bytes of a film."""

    def __call__(
        self, frames: Iterable[NDArray[np.uint8]], *, fps: float, hold_seconds: float
    ) -> bytes:
        """Encode `frames` (H, W, 3); the last is held."""


@dataclass(frozen=True)
class Frame:
    """One picture of the film; it reports progress."""

    step: int
    """Frames finished, this one included."""
    image: NDArray[np.uint8]
    """RGB, (size, size, 3)."""
    metrics: dict[str, float] = field(default_factory=dict)


def pace(noise_ratio: ArrayLike) -> NDArray[np.float64]:
    """Return the film's clock at a noise ratio; it falls from noise to clean and is bounded.

    Even in log(r), and seven times slower around r = 0.18, where the shape forms: there the clock
    runs through more values, so evenly spaced frames crowd.
    """
    decades = np.log10(np.clip(np.asarray(noise_ratio, float), CLEAREST, NOISIEST))
    return np.asarray(0.2 * decades + np.tanh((decades + 0.75) / 0.85))


def frame_ratios(first: float, last: float, n_frames: int) -> NDArray[np.float64]:
    """Return the noise ratios of `n_frames` frames from first to last, even on the clock."""
    table = np.geomspace(CLEAREST, NOISIEST, 4096)
    clock = np.linspace(pace(first), pace(last), n_frames)
    ratios = np.interp(clock, pace(table), table)
    ratios[0], ratios[-1] = first, last
    return ratios


def spread_over_noise(noise_ratios: ArrayLike, k: int) -> NDArray[np.intp]:
    """Return the indices of at most k states, even on the clock, from the clean to the noisiest.

    Parameters
    ----------
    noise_ratios : (F,)
        sigma/alpha of each state of a chain, falling. The last and the first are always chosen.
    k : int
        At least 2. Fewer are returned where no state is near.
    """
    clock = pace(noise_ratios)
    wanted = np.linspace(clock[-1], clock[0], k)
    nearest = np.abs(clock - wanted[1:-1, None]).argmin(1)
    return np.unique([0, *nearest, len(clock) - 1])[::-1]


def state_at(states: Points, noise_ratios: Points, ratio: float) -> Points:
    """Return the cloud (n, 2) at `ratio`, between the `states` (F, n, 2) on either side of it."""
    angles = np.arctan(noise_ratios)
    # np.interp wants rising abscissae; the chain's noise falls.
    place = np.interp(-np.arctan(ratio), -angles, np.arange(len(angles)))
    i = min(int(place), len(states) - 2)
    share = place - i
    return np.asarray((1 - share) * states[i] + share * states[i + 1])


def draw_frames(
    states: ArrayLike,
    noise_ratios: ArrayLike,
    truth: ArrayLike,
    *,
    n_frames: int,
    size: int,
    points: int,
    title: str,
    note: str = "",
) -> Iterator[Frame]:
    """Yield the `n_frames` pictures of a reverse chain; the last one shows the samples themselves.

    Parameters
    ----------
    states : (F, n, 2)
        The chain from noise to clean, seen variance-preserving.
    noise_ratios : (F,)
        sigma/alpha at each state, falling; the first may be infinite, the last may be 0.
    truth : (M, 2)
        Anchors, drawn faintly behind, in the same coordinates.
    n_frames : int
        Pictures of the film, at least 2.
    size : int
        Width and height of a picture in pixels.
    points : int
        At most this many points are drawn, evenly chosen among the n.
    title : str
        Written above the picture.
    note : str
        Written small below it.

    Raises
    ------
    ValueError
        If shapes don't fit or the noise doesn't fall.
    PointillistError
        If a coordinate isn't finite.
    """
    chain = style.as_points(states, "reverse chain", ndim=3)
    ratios = np.asarray(noise_ratios, float)
    anchors = style.as_points(truth, "shape")
    if len(chain) < 2 or n_frames < 2:
        raise ValueError("a film needs at least two states and two frames")
    if ratios.shape != (len(chain),) or not (np.diff(ratios) < 0).all() or ratios[-1] < 0:
        raise ValueError("noise_ratios must fall from state to state, one for each")
    n = chain.shape[1]
    chosen = np.linspace(0, n - 1, min(points, n)).round().astype(int)
    return _film(chain[:, chosen], ratios, anchors, n_frames, size, (title, note))


def _film(
    chain: Points,
    ratios: Points,
    anchors: Points,
    n_frames: int,
    size: int,
    words: tuple[str, str],
) -> Iterator[Frame]:
    easel = _Easel(chain, anchors, size, *words)
    for k, ratio in enumerate(frame_ratios(ratios[0], ratios[-1], n_frames)):
        cloud = chain[-1] if k == n_frames - 1 else state_at(chain, ratios, ratio)
        caption = f"noise σ/α = {style.ratio_text(ratio)}"
        yield Frame(k + 1, easel.draw(cloud, caption, k / (n_frames - 1)))


def draw_training(
    clouds: ArrayLike,
    steps: Sequence[int],
    truth: ArrayLike,
    *,
    frames_between: int,
    size: int,
    title: str,
    note: str = "",
) -> Iterator[Frame]:
    """Yield the pictures of a training: what it paints from the same noise, moment after moment.

    Parameters
    ----------
    clouds : (K, n, 2)
        Samples at K moments, from the same noise.
    steps : (K,)
        Steps of training at each.
    truth : (M, 2)
        Anchors, drawn faintly behind, in the same coordinates.
    frames_between : int
        Pictures from one moment to the next; points wander between their places.
    size, title, note
        As in `draw_frames`.
    """
    moments = style.as_points(clouds, "samples", ndim=3)
    anchors = style.as_points(truth, "shape")
    easel = _Easel(np.concatenate((moments[:1], moments[-1:])), anchors, size, title, note)
    total = (len(moments) - 1) * frames_between
    for k in range(total + 1):
        i, share = divmod(k / frames_between, 1)
        now, then = moments[int(i)], moments[min(int(i) + 1, len(moments) - 1)]
        # At rest at every moment: the eye compares moments, not what lies between.
        eased = share * share * (3 - 2 * share)
        caption = f"after {steps[int(i)]:,} steps of training"
        yield Frame(k + 1, easel.draw((1 - eased) * now + eased * then, caption, k / total))


class _Easel:
    """A canvas whose background is drawn once; points, caption and progress go on top."""

    _left, _right = 0.05, 0.95

    def __init__(
        self, chain: Points, anchors: Points, size: int, title: str, note: str = ""
    ) -> None:
        self.figure = style.new_figure(size, size, dpi=size / _INCHES)
        # The samples and the shape are seen whole; of the noise, all but the furthest stragglers.
        inside = style.limits_of(anchors, chain[-1], margin=0.0, outliers=0.002)
        window = style.limits_of(
            anchors, inside.corners, style.limits_of(chain[0], margin=0, outliers=0.02).corners
        )
        self.axes = style.picture(self.figure, (0.02, 0.12, 0.96, 0.79), window)
        dot = style.dot_size(chain.shape[1], _INCHES)
        style.paint_truth(self.axes, anchors, _INCHES)
        heading = style.write(
            self.figure, self._left, 0.935, title, size=style.TITLE, weight="bold", va="center"
        )
        style.shrink(heading, self._right - self._left)
        style.rule(self.figure, (self._left, self._right), 0.045, style.HAIRLINE)
        self.points = style.paint(self.axes, chain[-1], style.colours_of(chain[-1]), size=dot)
        self.points.set_clip_on(False)
        remark = style.write(
            self.figure,
            self._right,
            0.07,
            note,
            colour=style.FAINT_INK,
            size=style.SMALL,
            ha="right",
        )
        style.shrink(remark, 0.6)
        self.caption = style.write(self.figure, self._left, 0.07, "", colour=style.FAINT_INK)
        self.progress = style.rule(self.figure, (self._left,) * 2, 0.045, style.ACCENT)
        self.moving = (self.points, self.caption, self.progress)
        # Matplotlib has no annotations for the methods of its canvas.
        self.canvas = cast(Any, FigureCanvasAgg(self.figure))
        for artist in self.moving:
            artist.set_animated(True)
        self.canvas.draw()
        self.background = self.canvas.copy_from_bbox(self.figure.bbox)

    def draw(self, cloud: Points, caption: str, done: float) -> NDArray[np.uint8]:
        """Return the picture of `cloud` (n, 2), the share `done` of the film, with a `caption`."""
        self.canvas.restore_region(self.background)
        self.points.set_offsets(self._on_half_pixels(cloud))
        self.caption.set_text(caption)
        self.progress.set_xdata([self._left, self._left + done * (self._right - self._left)])
        for artist in self.moving:
            self.figure.draw_artist(artist)
        return np.asarray(self.canvas.buffer_rgba())[..., :3].copy()

    def _on_half_pixels(self, cloud: Points) -> Points:
        # Dots then have four shapes instead of countless ones: a quarter off the size of the GIF.
        pixels = self.axes.transData.transform(cloud)
        return np.asarray(self.axes.transData.inverted().transform(np.round(2 * pixels) / 2))


def encode_gif(frames: Iterable[NDArray[np.uint8]], *, fps: float, hold_seconds: float) -> bytes:
    """Return a GIF of `frames` (H, W, 3) that loops forever and holds its last frame.

    All frames share one palette, so that no colour flickers. GIF counts in hundredths of a second:
    durations are rounded to them, and none is below 0.02 s, which browsers slow down to 0.1 s.

    Raises
    ------
    ValueError
        If there is no frame.
    """
    pictures = [Image.fromarray(frame) for frame in frames]
    if not pictures:
        raise ValueError("an animation needs at least one frame")
    palette = _palette(pictures)
    first, *rest = (p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures)
    ticks = max(2, round(100 / fps))
    held = ticks + round(100 * hold_seconds)
    durations = [10 * ticks] * len(rest) + [10 * held]
    file = io.BytesIO()
    first.save(
        file, "GIF", save_all=True, append_images=rest, loop=0, duration=durations, optimize=True
    )
    return file.getvalue()


def encode_webp(frames: Iterable[NDArray[np.uint8]], *, fps: float, hold_seconds: float) -> bytes:
    """Return an animated WebP of `frames` (H, W, 3), as `encode_gif` does."""
    first, *rest = (Image.fromarray(frame) for frame in frames)
    ticks = round(1000 / fps)
    durations = [ticks] * len(rest) + [ticks + round(1000 * hold_seconds)]
    file = io.BytesIO()
    first.save(
        file,
        "WEBP",
        save_all=True,
        append_images=rest,
        loop=0,
        duration=durations,
        quality=80,
        method=2,
    )
    return file.getvalue()


def encode_mp4(frames: Iterable[NDArray[np.uint8]], *, fps: float, hold_seconds: float) -> bytes:
    """Return an MP4 (H.264) of `frames` (H, W, 3); its last frame is repeated for `hold_seconds`.

    Raises
    ------
    PointillistError
        If imageio-ffmpeg, the extra video, isn't installed.
    """
    try:
        from imageio_ffmpeg import write_frames
    except ImportError:
        raise PointillistError(
            "MP4 needs imageio-ffmpeg: pip install --constraint requirements.lock 'pointillist[video]' "
            "(or --editable '.[video]')."
        ) from None
    pictures = list(frames)
    height, width = (side - side % 2 for side in pictures[0].shape[:2])
    pictures += [pictures[-1]] * round(fps * hold_seconds)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        writer = write_frames(
            str(path), (width, height), fps=fps, codec="libx264", macro_block_size=2, quality=8
        )
        writer.send(None)
        for picture in pictures:
            writer.send(np.ascontiguousarray(picture[:height, :width]))
        writer.close()
        return path.read_bytes()


ENCODERS: dict[str, Encoder] = {"gif": encode_gif, "webp": encode_webp, "mp4": encode_mp4}
"""What makes the bytes of a film, by suffix."""


def _palette(pictures: list[Image.Image]) -> Image.Image:
    """Return an image whose palette suits the first, the middle and the last picture."""
    some = [pictures[0], pictures[len(pictures) // 2], pictures[-1]]
    pixels = np.concatenate([np.asarray(p, np.uint32).reshape(-1, 3) for p in some])
    codes, counts = np.unique(
        pixels @ np.array([1 << 16, 1 << 8, 1], np.uint32), return_counts=True
    )
    colours = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], -1).astype(np.uint8)
    # Paper and ink stay exact. The rest counts by its root: mixtures are many, and each is rare.
    exact = [*colours[np.argsort(-counts, kind="stable")[:_EXACT]].astype(int), *_HOUSE]
    crowd = np.repeat(colours, np.sqrt(counts).astype(int), axis=0)
    mixed = Image.fromarray(crowd[None]).quantize(_COLOURS).getpalette() or []
    kept: list[NDArray[np.int64]] = []
    for colour in [*exact, *np.array(mixed, int).reshape(-1, 3)]:
        # Pillow looks colours up in cells, in which a neighbour would take the place of paper.
        if all(np.abs(colour - other).max() >= _CELL for other in kept):
            kept.append(colour)
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.concatenate(kept[:_COLOURS]).tolist())
    return palette
