from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from pointillist.rendering import fields, style

WINDOW = style.Limits(-1.0, 1.0, -1.0, 1.0)


def texts(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.texts)


def plane(ratio: float, error: float) -> fields.Plane:
    rng = np.random.default_rng(0)
    arrows = rng.normal(size=(30, 30, 2))
    log_density = -np.hypot(*np.mgrid[-1:1:30j, -1:1:30j])
    return fields.Plane(ratio, arrows, arrows, np.full((30, 30), error), log_density, -0.5)


def test_the_title_names_the_noise_at_which_the_network_errs_most() -> None:
    figure = fields.score_fields([plane(1.0, 0.01), plane(0.1, 0.3), plane(0.02, 0.02)], WINDOW)
    assert "furthest off at σ/α = 0.10: by 0.3 on average" in texts(figure)
    assert len(figure.axes) == 3 * 3 + 1


def test_windows_of_all_panels_are_alike_and_square_units() -> None:
    figure = fields.score_fields([plane(1.0, 0.01), plane(0.1, 0.3)], WINDOW)
    width, height = figure.get_size_inches()
    for axes in figure.axes[:-1]:
        box = axes.get_position()
        assert axes.get_xlim() == figure.axes[0].get_xlim()
        across = np.ptp(axes.get_xlim()) / (box.width * width)
        assert across == pytest.approx(np.ptp(axes.get_ylim()) / (box.height * height), rel=1e-6)


def test_densities_share_one_scale() -> None:
    density = np.exp(-8 * np.hypot(*np.mgrid[-1:1:40j, -1:1:40j]))
    figure = fields.ode_density(
        density, 0.5 * density, WINDOW, noise_ratio=0.05, divergence=0.7, masses=(1.0, 0.5)
    )
    truth, ode, _ = (axes.images[0] for axes in figure.axes)
    assert truth.norm is ode.norm
    assert "0.7 nats at σ/α = 0.050" in texts(figure)
    assert "0.500 of it" in texts(figure)


def test_straight_ways_are_told_from_bent_ones() -> None:
    turn = np.linspace(0, np.pi, 50)
    bent = np.stack((np.cos(turn), np.sin(turn)), -1)[:, None] * np.ones((1, 20, 1))
    straight = np.linspace(0, 1, 50)[:, None, None] * np.ones((1, 20, 2))
    ways = [fields.Ways("bent", bent), fields.Ways("straight", straight)]
    figure = fields.trajectories(ways, np.zeros((3, 2)))
    assert "straightest: straight" in texts(figure)
    assert "bent: 1.57" in texts(figure)
    assert "straight: 1.00" in texts(figure)
