r"""The reverse chain as a film: noise draws together into the shape.

The states are seen variance-preserving, ``y = (x_0 + r eps) / sqrt(1 + r^2)`` with the noise ratio
``r = sigma / alpha``, so that the cloud has the extent of the shape at every noise level. With
``r = tan(theta)`` this is ``y = cos(theta) x_0 + sin(theta) eps``: between two states the film
moves evenly in theta, and it slows down where the shape forms.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import Colormap
from matplotlib.path import Path as MplPath
from numpy.typing import ArrayLike, NDArray

from pointillist.rendering import style
from pointillist.rendering.style import Points

CLEAREST, NOISIEST = 1e-3, 30.0
"""Noise ratios between which pictures differ to the eye; the film's clock stops outside."""

_INCHES = 4.8  # of the side of a picture: text and points keep their proportion at every size
_TRAIL = 0.35  # opacity of a trail where it leaves its dot


@dataclass(frozen=True)
class Film:
    """How a film looks."""

    title: str
    """Written above the picture."""
    size: int
    """Width and height of a picture, px."""
    note: str = ""
    """Written small beside the title."""
    look: style.Look = field(default_factory=style.look)
    trails: int = 0
    """Frames that the line behind a dot reaches back."""
    point_size: float = 1.0
    """Diameter of the dots, as a multiple of the usual one."""


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


def position_of(noise_ratios: Points, ratio: ArrayLike) -> NDArray[np.float64]:
    """Return where along the F states of a chain its noise has fallen to `ratio`, from 0 to F - 1."""
    angles = np.arctan(noise_ratios)
    # np.interp wants rising abscissae; the chain's noise falls.
    return np.asarray(np.interp(-np.arctan(ratio), -angles, np.arange(len(angles))))


def state_at(states: Points, noise_ratios: Points, ratio: float) -> Points:
    """Return the cloud (n, 2) at `ratio`, between the `states` (F, n, 2) on either side of it."""
    position = float(position_of(noise_ratios, ratio))
    i = min(int(position), len(states) - 2)
    share = position - i
    return np.asarray((1 - share) * states[i] + share * states[i + 1])


def draw_frames(
    states: ArrayLike,
    noise_ratios: ArrayLike,
    steps: ArrayLike,
    truth: ArrayLike,
    film: Film,
    *,
    n_frames: int,
    points: int,
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
    film : Film
        How it looks.
    n_frames : int
        Pictures of the film, at least 2.
    points : int
        At most this many points are drawn, evenly chosen among the n.

    Raises
    ------
    ValueError
        If shapes don't fit or the noise doesn't fall.
    PointillistError
        If a coordinate isn't finite.
    """
    chain = style.as_points(states, "reverse chain", ndim=3)
    ratios, anchors = np.asarray(noise_ratios, float), style.as_points(truth, "shape")
    if len(chain) < 2 or n_frames < 2:
        raise ValueError("a film needs at least two states and two frames")
    if ratios.shape != (len(chain),) or not (np.diff(ratios) < 0).all() or ratios[-1] < 0:
        raise ValueError("noise_ratios must fall from state to state, one for each")
    passed = np.asarray(steps, int)
    if passed.shape != ratios.shape or not (np.diff(passed) > 0).all():
        raise ValueError("steps must rise from state to state, one for each")
    n = chain.shape[1]
    chosen = np.linspace(0, n - 1, min(points, n)).round().astype(int)
    seen = frame_ratios(ratios[0], ratios[-1], n_frames)
    reached = passed[position_of(ratios, seen).round().astype(int)]
    captions = [
        (f"noise σ/α = {style.ratio_text(ratio)}", f"step {step} of {passed[-1]}")
        for ratio, step in zip(seen, reached, strict=True)
    ]
    shown = chain[:, chosen]
    clouds = (
        shown[-1] if k == n_frames - 1 else state_at(shown, ratios, ratio)
        for k, ratio in enumerate(seen)
    )
    canvas = _Canvas(film, anchors, noise=chain[0], ends=shown[-1])
    canvas.remark(film.note, style.outside_text(canvas.outside(chain[-1]), n))
    return canvas.film(clouds, captions)


def draw_training(
    clouds: ArrayLike, steps: Sequence[int], truth: ArrayLike, film: Film, *, frames_between: int
) -> Iterator[Frame]:
    """Yield the pictures of a training: its samples from the same noise, at one step after another.

    Parameters
    ----------
    clouds : (K, n, 2)
        Samples at K steps, from the same noise.
    steps : (K,)
        Steps of training at each.
    truth : (M, 2)
        Anchors, drawn faintly behind, in the same coordinates.
    film : Film
        How it looks.
    frames_between : int
        Pictures from one cloud to the next.
    """
    snapshots = style.as_points(clouds, "samples", ndim=3)
    anchors = style.as_points(truth, "shape")
    canvas = _Canvas(film, anchors, noise=snapshots[0], ends=snapshots[-1])
    canvas.remark(film.note)
    total = (len(snapshots) - 1) * frames_between
    captions = [
        (
            f"after {steps[k // frames_between]:,} of {steps[-1]:,} training steps",
            style.outside_text(canvas.outside(snapshots[k // frames_between])),
        )
        for k in range(total + 1)
    ]

    def between() -> Iterator[Points]:
        for k in range(total + 1):
            i, share = divmod(k / frames_between, 1)
            now, then = snapshots[int(i)], snapshots[min(int(i) + 1, len(snapshots) - 1)]
            # At rest at every snapshot: the eye compares them, not what lies between.
            eased = share * share * (3 - 2 * share)
            yield (1 - eased) * now + eased * then

    return canvas.film(between(), captions)


class _Canvas:
    """A canvas whose background is drawn once; trails, points, caption and progress go on top."""

    _left, _right = 0.05, 0.95

    def __init__(self, film: Film, anchors: Points, *, noise: Points, ends: Points) -> None:
        look = film.look
        self.figure = style.new_figure(film.size, film.size, film.size / _INCHES, look.paper)
        window = style.frame_of(anchors, noise)
        self.axes = style.picture(self.figure, (0.02, 0.12, 0.96, 0.79), window)
        style.paint_truth(self.axes, anchors, _INCHES, look.ghost)
        self._look, self._title = look, film.title
        style.rule(self.figure, (self._left, self._right), 0.045, look.hairline)
        dot = style.dot_size(len(ends), _INCHES, film.point_size)
        shares = style.shares_of(ends, anchors)
        self.trails = _Trails(self.axes, shares, look.palette, film.trails, 0.5 * dot**0.5)
        self.points = style.paint(self.axes, ends, look.palette(shares), size=dot)
        self.points.set_clip_on(False)
        self.left = style.write(self.figure, self._left, 0.07, "", colour=look.faint_ink)
        self.right = style.write(
            self.figure, self._right, 0.07, "", colour=look.faint_ink, ha="right"
        )
        self.progress = style.rule(self.figure, (self._left,) * 2, 0.045, look.accent)
        self.moving = (*self.trails.parts, self.points, self.left, self.right, self.progress)
        for artist in self.moving:
            artist.set_animated(True)

    def outside(self, cloud: Points) -> int:
        """Count the points of a cloud (n, 2) that lie outside the picture."""
        pixels = self.axes.transData.transform(cloud)
        width, height = self.figure.bbox.size
        return style.Limits(0, width, 0, height).outside(pixels)

    def remark(self, *notes: str) -> None:
        """Write the title and, small beside it, notes."""
        options: dict[str, Any] = {"va": "center"}
        text = "  ".join(note for note in notes if note)
        small = style.write(
            self.figure,
            self._right,
            0.935,
            text,
            size=style.SMALL,
            ha="right",
            colour=self._look.faint_ink,
            **options,
        )
        style.shrink(small, 0.6)
        taken = small.get_window_extent().width / self.figure.bbox.width + 0.03 if text else 0.0
        heading = style.write(
            self.figure,
            self._left,
            0.935,
            self._title,
            size=style.TITLE,
            weight="bold",
            colour=self._look.ink,
            **options,
        )
        style.shrink(heading, self._right - self._left - taken)

    def film(
        self, clouds: Iterable[Points], captions: Sequence[tuple[str, str]]
    ) -> Iterator[Frame]:
        """Yield the picture of every cloud (n, 2), one for each caption."""
        # Matplotlib has no annotations for the methods of its canvas.
        agg = cast(Any, FigureCanvasAgg(self.figure))
        agg.draw()
        background = agg.copy_from_bbox(self.figure.bbox)
        for k, (cloud, caption) in enumerate(zip(clouds, captions, strict=True)):
            agg.restore_region(background)
            self._move(self._on_half_pixels(cloud), caption, k / max(1, len(captions) - 1))
            for artist in self.moving:
                self.figure.draw_artist(artist)
            yield Frame(k + 1, np.asarray(agg.buffer_rgba())[..., :3].copy())

    def _move(self, cloud: Points, caption: tuple[str, str], done: float) -> None:
        """Show `cloud` (n, 2), the share `done` of the film."""
        self.trails.follow(cloud)
        self.points.set_offsets(cloud)
        self.left.set_text(caption[0])
        self.right.set_text(caption[1])
        self.progress.set_xdata([self._left, self._left + done * (self._right - self._left)])

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
        self,
        axes: Axes,
        shares: NDArray[np.float64],
        palette: Colormap,
        ages: int,
        width: float,
    ) -> None:
        shade = np.minimum(shares * self._COLOURS, self._COLOURS - 1).astype(int)
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
