"""Pictures: how much ink each pixel has, and points placed so that each takes its share of it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

from pointillist.errors import PointillistError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_FORMATS = ("PNG", "JPEG", "WEBP")
_MOST_PIXELS = 100_000_000
# Longest side after scaling down: finer detail than this no 4,000 points can show.
_SIDE = 1024
# Pixels that a point should have, or about as many, so that its place isn't that of a pixel.
_PIXELS_PER_POINT = 24
_ITERATIONS = 30


class Ink(NamedTuple):
    """How much ink each pixel takes, (height, width), float32, 0 to 1; none where a picture is clear."""

    dark: np.ndarray
    """Of points where it is dark."""
    light: np.ndarray
    """Of points where it is light."""


def read(path: Path) -> Ink:
    """Return the ink of a picture.

    With the luminance L, as the eye sees steps of grey (gamma-encoded, Rec. 601), it is (1 - L) times
    opacity of what is dark, and L times opacity of what is light. A picture whose opaque part is all of
    one colour, such as an icon, is told by its opacity alone. Of an animation it is the first frame.

    Raises
    ------
    PointillistError
        If the file is no PNG, JPEG or WebP picture, is damaged, or has more than 100 million pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as opened:
                if opened.width * opened.height > _MOST_PIXELS:
                    raise _too_large(path)
                opened.draft("RGB", (_SIDE, _SIDE))
                picture = ImageOps.exif_transpose(opened)
                return _ink(picture)
    except PointillistError:
        raise
    except Image.DecompressionBombError:
        raise _too_large(path) from None
    except UnidentifiedImageError:
        raise PointillistError(
            f"{path} is no picture of the kinds {', '.join(_FORMATS)}."
        ) from None
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise PointillistError(f"{path} can't be read: {error.strerror}.") from None
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PointillistError(f"{path} is damaged: {reason}. Save the picture anew.") from None


def place(
    ink: Ink,
    n: int,
    *,
    invert: bool,
    threshold: float,
    contrast: float,
    seed: int,
    source: str,
) -> np.ndarray:
    """Place n points so that their density follows the ink, as `stipple` does.

    The density is that of the ink above `threshold`, to the power of `contrast`; with `invert`, of the
    ink of what is light.

    Raises
    ------
    PointillistError
        If no pixel has more ink than `threshold`.
    """
    import numpy as np

    chosen = ink.light if invert else ink.dark
    if not (chosen > threshold).any():
        wanted = "lighter" if invert else "darker"
        raise PointillistError(
            f"{source} has no pixel {wanted} than source.threshold={threshold:g} (the greatest ink is "
            f"{chosen.max():.2g}). Lower it, or set source.invert={str(not invert).lower()}."
        )
    return stipple(np.maximum(chosen - threshold, 0) ** contrast, n, seed)


def stipple(density: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Place n points so that they follow a `density` (height, width): (n, 2), pixels, y upwards.

    Weighted Voronoi stippling (Secord 2002): Lloyd's iteration from a stratified draw. It converges to
    points whose density goes with the square root of the weight (Du, Faber & Gunzburger 1999, section
    6.4, in two dimensions), so the weight is the square of the density.
    """
    import numpy as np
    from scipy.spatial import KDTree

    pixels, density, mass, size = _inked(density, n)
    rng = np.random.default_rng(seed)
    odds = density / density.sum()
    # Equal shares of ink along a curve that fills the plane: evenly spread from the start.
    ink_so_far = density.cumsum()
    shares = (np.arange(n) + rng.random()) * (ink_so_far[-1] / n)
    first = np.searchsorted(ink_so_far, shares).clip(max=len(pixels) - 1)
    # Moved by a share of their distance, so that flat places don't keep the curve's grid.
    points = pixels[first] + rng.normal(0, 0.3 * _PIXELS_PER_POINT**0.5, (n, 2)) * size
    points = np.clip(points, pixels.min(0), pixels.max(0))
    for _ in range(int(np.clip(_ITERATIONS * 10_000 // n, 4, _ITERATIONS))):
        nearest = KDTree(points).query(pixels)[1]
        total = np.bincount(nearest, mass, n)
        held = total > 0
        for axis in range(2):
            moment = np.bincount(nearest, mass * pixels[:, axis], n)
            points[held, axis] = moment[held] / total[held]
        # Who holds no ink goes where there is some.
        points[~held] = pixels[rng.choice(len(pixels), np.count_nonzero(~held), p=odds)]
    return points


def _too_large(path: Path) -> PointillistError:
    return PointillistError(f"{path} has more than {_MOST_PIXELS:,} pixels. Scale it down.")


def _ink(picture: Image) -> Ink:
    """Return the ink of a decoded picture, as `read` does."""
    import numpy as np

    picture = _in_bytes(picture)
    clear = picture.has_transparency_data
    picture = picture.convert("RGBA" if clear else "RGB")
    picture.thumbnail((_SIDE, _SIDE))
    channels = np.asarray(picture, dtype=np.float32) / 255
    luminance = channels[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    if not clear:
        return Ink(1 - luminance, 1 - (1 - luminance))
    opacity = channels[..., 3]
    shown = luminance[opacity > 0.5]
    one_colour = shown.size > 0 and float(np.ptp(shown)) < 0.02 and float(opacity.min()) < 0.5
    if one_colour:
        return Ink(opacity, opacity)
    return Ink((1 - luminance) * opacity, luminance * opacity)


def _in_bytes(picture: Image) -> Image:
    """Return a picture of 16 bits a channel with 8, and with the transparent value that it has."""
    import numpy as np
    from PIL.Image import fromarray

    value = picture.info.get("transparency")
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        wide = np.asarray(picture, dtype=np.float32)
        greys = (wide * (255 / 65535)).clip(0, 255).round().astype(np.uint8)
        if value is None:
            return fromarray(greys)
        return fromarray(np.stack((greys, np.where(wide == value, 0, 255).astype(np.uint8)), -1))
    if isinstance(value, tuple) and max(value) > 255:
        # Pillow scales the pixels of 16-bit colour down to bytes, but not this value.
        picture.info["transparency"] = tuple(channel >> 8 for channel in value)
    return picture


def _inked(density: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return places with ink, (m, 2), their density, its square, and their side: enough for n points.

    Places are pixels, several of them or parts of one. They stand in the order of Morton's curve,
    along which neighbours are mostly neighbours.
    """
    import numpy as np
    from PIL import Image

    rows, columns = (np.flatnonzero((density > 0).any(axis)) for axis in (1, 0))
    top, left = rows[0], columns[0]
    window = density[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.float32)
    wanted = np.sqrt(_PIXELS_PER_POINT * n / np.count_nonzero(window))
    if wanted < 1:
        # Several pixels are one place; its square is that of the parts, or dark spots would spread.
        size = tuple(max(1, round(side * wanted)) for side in window.shape[::-1])
        scaled, squared = (
            np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX))
            for values in (window, window**2)
        )
    else:
        scaled, squared = window, window**2
    row, column = np.nonzero(scaled > 0)
    order = np.argsort(_spread_bits(row) << 1 | _spread_bits(column))
    row, column = row[order], column[order]
    across, down = window.shape[1] / scaled.shape[1], window.shape[0] / scaled.shape[0]
    parts = max(1, round(wanted))
    inside = (np.arange(parts) + 0.5) / parts
    dy, dx = (axis.ravel() for axis in np.meshgrid(inside, inside, indexing="ij"))
    x = left + (column[:, None] + dx).ravel() * across
    y = density.shape[0] - (top + (row[:, None] + dy).ravel() * down)
    shares = (
        values[row, column].astype(np.float64).repeat(parts**2) for values in (scaled, squared)
    )
    return np.stack((x, y), -1), *shares, across / parts


def _spread_bits(numbers: np.ndarray) -> np.ndarray:
    """Put a 0 between the bits of each of the `numbers` (n,), below 2^32."""
    spread = numbers.astype("uint64")
    for shift in (16, 8, 4, 2, 1):
        # Runs of as many ones as the shift, with as many zeros between.
        spread = (spread | spread << shift) & (0xFFFF_FFFF_FFFF_FFFF // ((1 << shift) + 1))
    return spread
