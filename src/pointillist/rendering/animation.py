r"""The reverse chain as a film: noise draws together into the shape.

The states are seen variance-preserving, ``y = (x_0 + r eps) / sqrt(1 + r^2)`` with the noise ratio
``r = sigma / alpha``, so that the cloud has the extent of the shape at every noise level. With
``r = tan(theta)`` this is ``y = cos(theta) x_0 + sin(theta) eps``: between two states the film
moves evenly in theta, and it slows down where the shape forms.
"""

from __future__ import annotations

import io
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import Colormap, to_rgb
from matplotlib.path import Path as MplPath
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
_LOOKS = (_LIGHT, _DARK) = (style.look("light"), style.look("dark"))
_CELL = 8  # levels of a colour channel
_TRAIL = 0.35  # opacity of a trail where it leaves its dot


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


def place_of(noise_ratios: Points, ratio: float) -> float:
    """Return where along the states of a chain its noise has fallen to `ratio`, from 0 to F - 1."""
    angles = np.arctan(noise_ratios)
    # np.interp wants rising abscissae; the chain's noise falls.
    return float(np.interp(-np.arctan(ratio), -angles, np.arange(len(angles))))


def state_at(states: Points, noise_ratios: Points, ratio: float) -> Points:
    """Return the cloud (n, 2) at `ratio`, between the `states` (F, n, 2) on either side of it."""
    place = place_of(noise_ratios, ratio)
    i = min(int(place), len(states) - 2)
    share = place - i
    return np.asarray((1 - share) * states[i] + share * states[i + 1])


def draw_frames(
    states: ArrayLike,
    noise_ratios: ArrayLike,
    steps: ArrayLike,
    truth: ArrayLike,
    *,
    n_frames: int,
    size: int,
    points: int,
    title: str,
    note: str = "",
    look: style.Look = _LIGHT,
    trails: int = 0,
) -> Iterator[Frame]:
    """Yield the `n_frames` pictures of a reverse chain; the last one shows the samples themselves.

    Parameters
    ----------
    states : (F, n, 2)
        The chain from noise to clean, seen variance-preserving.
    noise_ratios : (F,)
        sigma/alpha at each state, falling; the first may be infinite, the last may be 0.
    steps : (F,)
        Steps of the sampler that led to each state, rising from 0.
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
        Written small beside it.
    look : Look
        Paper, inks and colour map.
    trails : int
        Frames that the line behind a dot reaches back.

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
    passed = np.asarray(steps, int)
    if passed.shape != ratios.shape or not (np.diff(passed) > 0).all():
        raise ValueError("steps must rise from state to state, one for each")
    n = chain.shape[1]
    chosen = np.linspace(0, n - 1, min(points, n)).round().astype(int)
    chain = chain[:, chosen]
    seen = frame_ratios(ratios[0], ratios[-1], n_frames)
    captions = [
        (
            f"noise σ/α = {style.ratio_text(ratio)}",
            f"step {passed[round(place_of(ratios, ratio))]} of {passed[-1]}",
        )
        for ratio in seen
    ]
    clouds = (
        chain[-1] if k == n_frames - 1 else state_at(chain, ratios, ratio)
        for k, ratio in enumerate(seen)
    )
    easel = _Easel((chain[0], chain[-1]), anchors, size, captions, (title, note), look, trails)
    return easel.film(clouds)


def draw_training(
    clouds: ArrayLike,
    steps: Sequence[int],
    truth: ArrayLike,
    *,
    frames_between: int,
    size: int,
    title: str,
    note: str = "",
    look: style.Look = _LIGHT,
    trails: int = 0,
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
    size, title, note, look, trails
        As in `draw_frames`.
    """
    moments = style.as_points(clouds, "samples", ndim=3)
    anchors = style.as_points(truth, "shape")
    total = (len(moments) - 1) * frames_between
    captions = [
        (f"after {steps[k // frames_between]:,} steps of training", f"of {steps[-1]:,}")
        for k in range(total + 1)
    ]

    def between() -> Iterator[Points]:
        for k in range(total + 1):
            i, share = divmod(k / frames_between, 1)
            now, then = moments[int(i)], moments[min(int(i) + 1, len(moments) - 1)]
            # At rest at every moment: the eye compares moments, not what lies between.
            eased = share * share * (3 - 2 * share)
            yield (1 - eased) * now + eased * then

    ends = (moments[0], moments[-1])
    return _Easel(ends, anchors, size, captions, (title, note), look, trails).film(between())


class _Easel:
    """A canvas whose background is drawn once; trails, points, caption and progress go on top."""

    _left, _right = 0.05, 0.95

    def __init__(
        self,
        ends: tuple[Points, Points],
        anchors: Points,
        size: int,
        captions: Sequence[tuple[str, str]],
        words: tuple[str, str],
        look: style.Look,
        trails: int,
    ) -> None:
        title, note = words
        first, last = ends
        self.captions = captions
        self.figure = style.new_figure(size, size, size / _INCHES, look.paper)
        # The samples and the shape are seen whole; of the noise, all but the furthest stragglers.
        inside = style.limits_of(anchors, last, margin=0.0, outliers=0.002)
        window = style.limits_of(
            anchors, inside.corners, style.limits_of(first, margin=0, outliers=0.02).corners
        )
        self.axes = style.picture(self.figure, (0.02, 0.12, 0.96, 0.79), window)
        dot = style.dot_size(len(last), _INCHES)
        style.paint_truth(self.axes, anchors, _INCHES, look.ghost)
        heading = style.write(
            self.figure,
            self._left,
            0.935,
            title,
            size=style.TITLE,
            weight="bold",
            va="center",
            colour=look.ink,
        )
        remark = style.write(
            self.figure,
            self._right,
            0.935,
            note,
            size=style.SMALL,
            ha="right",
            va="center",
            colour=look.faint_ink,
        )
        style.shrink(remark, 0.6)
        taken = remark.get_window_extent().width / self.figure.bbox.width if note else -0.03
        style.shrink(heading, self._right - self._left - taken - 0.03)
        style.rule(self.figure, (self._left, self._right), 0.045, look.hairline)
        colours = style.colours_of(last, look.palette)
        self.trails = _Trails(self.axes, last, look.palette, trails, 0.5 * dot**0.5)
        self.points = style.paint(self.axes, last, colours, size=dot)
        self.points.set_clip_on(False)
        self.left = style.write(self.figure, self._left, 0.07, "", colour=look.faint_ink)
        self.right = style.write(
            self.figure, self._right, 0.07, "", colour=look.faint_ink, ha="right"
        )
        self.progress = style.rule(self.figure, (self._left,) * 2, 0.045, look.accent)
        self.moving = (*self.trails.parts, self.points, self.left, self.right, self.progress)
        # Matplotlib has no annotations for the methods of its canvas.
        self.canvas = cast(Any, FigureCanvasAgg(self.figure))
        for artist in self.moving:
            artist.set_animated(True)
        self.canvas.draw()
        self.background = self.canvas.copy_from_bbox(self.figure.bbox)

    def film(self, clouds: Iterable[Points]) -> Iterator[Frame]:
        """Yield the picture of every cloud (n, 2), one for each caption."""
        for k, cloud in enumerate(clouds):
            done = k / max(1, len(self.captions) - 1)
            yield Frame(k + 1, self._draw(self._on_half_pixels(cloud), self.captions[k], done))

    def _draw(self, cloud: Points, captions: tuple[str, str], done: float) -> NDArray[np.uint8]:
        """Return the picture of `cloud` (n, 2), the share `done` of the film."""
        self.canvas.restore_region(self.background)
        self.trails.follow(cloud)
        self.points.set_offsets(cloud)
        self.left.set_text(captions[0])
        self.right.set_text(captions[1])
        self.progress.set_xdata([self._left, self._left + done * (self._right - self._left)])
        for artist in self.moving:
            self.figure.draw_artist(artist)
        return np.asarray(self.canvas.buffer_rgba())[..., :3].copy()

    def _on_half_pixels(self, cloud: Points) -> Points:
        # Dots then have four shapes instead of countless ones: a quarter off the size of the GIF.
        pixels = self.axes.transData.transform(cloud)
        return np.asarray(self.axes.transData.inverted().transform(np.round(2 * pixels) / 2))


class _Trails:
    """Lines behind the dots that fade with age.

    Lines of about one colour and one age are one path: a path for each dot and age takes six times
    as long to draw.
    """

    _COLOURS = 24

    def __init__(
        self, axes: Axes, places: Points, palette: Colormap, ages: int, width: float
    ) -> None:
        shade = np.minimum(style.shares_of(places) * self._COLOURS, self._COLOURS - 1).astype(int)
        self._groups = [np.flatnonzero(shade == k) for k in range(self._COLOURS)]
        self._passed: deque[Points] = deque(maxlen=ages + 1)
        self.parts: list[PathCollection] = []
        """From the oldest and faintest on."""
        for age in range(ages, 0, -1):
            colours = palette((np.arange(self._COLOURS) + 0.5) / self._COLOURS)
            colours[:, 3] = _TRAIL * (1 - (age - 1) / ages)
            part = PathCollection([], facecolors="none", edgecolors=colours, linewidths=width)
            part.set_clip_on(False)
            part.set_transform(axes.transData)
            axes.add_collection(part, autolim=False)
            self.parts.append(part)

    def follow(self, cloud: Points) -> None:
        """Let the lines end at `cloud` (n, 2)."""
        self._passed.append(cloud)
        moves = [np.stack(move, 1) for move in itertools.pairwise(self._passed)]
        for part, move in zip(self.parts[len(self.parts) - len(moves) :], moves, strict=True):
            part.set_paths([_lines(move[group]) for group in self._groups])


def _lines(segments: Points) -> MplPath:
    """Return separate lines (n, 2, 2) as one path."""
    codes = np.tile([MplPath.MOVETO, MplPath.LINETO], len(segments)).astype(MplPath.code_type)
    return MplPath(segments.reshape(-1, 2), codes)


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
    common = np.argsort(-counts, kind="stable")[:_EXACT]
    exact = [*colours[common].astype(int), *_house_colours(colours)]
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


def _house_colours(present: NDArray[np.uint8]) -> list[NDArray[np.int64]]:
    """Return the inks that are among the colours `present` (n, 3)."""
    there = set(map(tuple, present.tolist()))
    inks = [ink for look in _LOOKS for ink in (look.ink, look.faint_ink, look.accent)]
    rgb = [np.round(255 * np.array(to_rgb(ink))).astype(int) for ink in inks]
    return [colour for colour in rgb if tuple(colour.tolist()) in there]
