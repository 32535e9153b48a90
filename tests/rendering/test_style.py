from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from pointillist.rendering import style

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # IEC 61966-2-1


def linear(rgb: np.ndarray) -> np.ndarray:
    """Take sRGB colours in [0, 1] to linear ones."""
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lightness(rgb: np.ndarray) -> np.ndarray:
    """L* of CIELAB of sRGB colours in [0, 1]."""
    return 116 * np.cbrt(linear(rgb) @ LUMINANCE) - 16


def test_palette_survives_greyscale_and_stands_on_paper() -> None:
    light = lightness(style.PALETTE(np.linspace(0, 1, 64))[:, :3])
    assert (np.diff(light) > 0).all()
    assert light[-1] - light[0] > 50
    paper = lightness(np.array(style.mpl.colors.to_rgb(style.PAPER)))
    assert light[-1] < paper - 20


def test_colour_follows_the_place() -> None:
    places = np.c_[np.linspace(-5, 9, 30), np.zeros(30)]
    light = lightness(style.colours_of(places, places)[1:-1, :3])
    assert (np.diff(light) > 0).all()


@pytest.mark.parametrize("aspect", [0.2, 1.0, 3.0])
def test_reshaped_window_holds_the_old_one(aspect: float) -> None:
    old = style.Limits(-3, 7, 100, 104)
    new = old.reshaped(aspect)
    assert new.aspect == pytest.approx(aspect)
    assert new.left <= old.left
    assert new.right >= old.right
    assert new.bottom <= old.bottom
    assert new.top >= old.top


def test_window_of_one_point_has_room() -> None:
    window = style.limits_of([[3.0, 4.0]])
    assert window.left < 3 < window.right
    assert window.bottom < 4 < window.top


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (np.inf, "∞"),
        (80.0, "80"),
        (2.44, "2.4"),
        (9.99, "10"),
        (0.9999, "1.0"),
        (0.131, "0.13"),
        (0.0042, "0.0042"),
        (0.0002, "<0.001"),
        (0.0, "0"),
    ],
)
def test_noise_ratio_has_two_digits(ratio: float, text: str) -> None:
    assert style.ratio_text(ratio) == text


def test_importing_the_package_costs_nothing_and_pyplot_is_never_used() -> None:
    code = (
        "import sys, pointillist.rendering as r\n"
        "assert not {'matplotlib', 'numpy', 'PIL'} & set(sys.modules)\n"
        "r.animation, r.figures\n"
        "assert not {'matplotlib.pyplot', 'torch', 'kedro', 'mlflow'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Severe protanopia, deuteranopia, tritanopia, and greyscale, on linear RGB: Machado, Oliveira and
# Fernandes 2009 (doi:10.1109/TVCG.2009.113), table 1, severity 1.0.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("palette", ["dusk", "viridis", "cividis"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_palettes_can_be_read_with_any_colour_vision(theme: str, palette: str, vision: str) -> None:
    look = style.look(theme, palette)
    colours = look.palette(np.linspace(0, 1, 9))[:, :3]
    seen = np.clip(linear(colours) @ np.array(VISIONS[vision]).T, 0, 1) @ LUMINANCE
    assert (np.diff(seen) > 0).all()
    paper = linear(np.array(to_rgb(look.paper))) @ LUMINANCE
    contrast = (np.maximum(seen, paper) + 0.05) / (np.minimum(seen, paper) + 0.05)
    assert contrast.min() > 1.7


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_captions_can_be_read(theme: str) -> None:
    """Contrast as WCAG 2.2 asks it of large text and graphics (1.4.11)."""
    look = style.look(theme)
    paper, ink, faint = (
        linear(np.array(to_rgb(colour))) @ LUMINANCE + 0.05
        for colour in (look.paper, look.ink, look.faint_ink)
    )
    for colour in (ink, faint):
        assert max(colour, paper) / min(colour, paper) > 3
