"""Frames to the bytes of a film: GIF, WebP and MP4."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from pointillist.errors import PointillistError
from pointillist.rendering import style

_COLOURS = 64  # more cannot be told apart in small dots, and cost a fifth of the file
_EXACT = 12
_LOOKS = (style.look("light"), style.look("dark"))
_CELL = 8  # levels of a colour channel


class Encoder(Protocol):
    """What turns frames into the bytes of a film."""

    def __call__(
        self, frames: Iterable[NDArray[np.uint8]], *, fps: float, hold_seconds: float
    ) -> bytes:
        """Encode `frames` (H, W, 3); the last is held."""


def encode_gif(frames: Iterable[NDArray[np.uint8]], *, fps: float, hold_seconds: float) -> bytes:
    """Return a GIF of `frames` (H, W, 3) that loops forever and holds its last frame.

    All frames share one palette, so that no colour flickers. GIF counts in hundredths of a second:
    each frame begins at the one nearest to its time, and none lasts less than 0.02 s, which browsers
    slow down to 0.1 s.

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
    durations = 10 * np.maximum(2, _durations(len(pictures), fps, hold_seconds, 100))
    file = io.BytesIO()
    first.save(
        file,
        "GIF",
        save_all=True,
        append_images=rest,
        loop=0,
        duration=durations.tolist(),
        optimize=True,
    )
    return file.getvalue()


def encode_webp(frames: Iterable[NDArray[np.uint8]], *, fps: float, hold_seconds: float) -> bytes:
    """Return an animated WebP of `frames` (H, W, 3), as `encode_gif` does."""
    first, *rest = (Image.fromarray(frame) for frame in frames)
    durations = _durations(len(rest) + 1, fps, hold_seconds, 1000).tolist()
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
    require(["mp4"])
    from imageio_ffmpeg import write_frames

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


def require(suffixes: Iterable[str]) -> None:
    """Raise PointillistError if one of the formats can't be written here."""
    if "mp4" in suffixes:
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError:
            raise PointillistError(
                "MP4 needs imageio-ffmpeg: pip install --constraint requirements.lock "
                "'pointillist[video]' (or --editable '.[video]')."
            ) from None


def _durations(n: int, fps: float, hold_seconds: float, per_second: int) -> NDArray[np.int64]:
    """Return how long each of n frames lasts, in parts of a second, so that together they fit `fps`."""
    durations = np.diff(np.round(per_second * np.arange(n + 1) / fps).astype(int))
    durations[-1] += round(per_second * hold_seconds)
    return durations


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
