from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pointillist.rendering import style


def lightness(rgb: np.ndarray) -> np.ndarray:
    """L* of CIELAB of sRGB colours in [0, 1]."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16


def test_palette_survives_greyscale_and_stands_on_paper() -> None:
    light = lightness(style.PALETTE(np.linspace(0, 1, 64))[:, :3])
    assert (np.diff(light) > 0).all()
    assert light[-1] - light[0] > 50
    paper = lightness(np.array(style.mpl.colors.to_rgb(style.PAPER)))
    assert light[-1] < paper - 20


def test_colour_follows_the_place() -> None:
    places = np.c_[np.linspace(-5, 9, 30), np.zeros(30)]
    light = lightness(style.colours_of(places)[1:-1, :3])
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
