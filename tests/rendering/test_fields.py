from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from pointillist.rendering import fields, style
from tests.rendering.test_figures import assert_axes_are_equal, assert_words_are_legible, words

WINDOW = style.Limits(-1.0, 1.0, -1.0, 1.0)


def texts(figure: Figure) -> str:
    return " ".join(words(figure))


def plane(ratio: float, error: float) -> fields.Plane:
    rng = np.random.default_rng(0)
    arrows = rng.normal(size=(30, 30, 2))
    log_density = -np.hypot(*np.mgrid[-1:1:30j, -1:1:30j])
    return fields.Plane(ratio, arrows, arrows, np.full((30, 30), error), log_density, -0.5)


def test_the_title_names_the_noise_at_which_the_network_errs_most() -> None:
    figure = fields.score_fields([plane(1.0, 0.01), plane(0.1, 0.3), plane(0.02, 0.02)], WINDOW)
    assert "furthest off at σ/α = 0.10: by 0.3 on average" in texts(figure)
    assert len(figure.axes) == 3 * 3 + 1
    assert_words_are_legible(figure)
    assert_axes_are_equal(figure, panels=9)


def test_windows_of_all_panels_are_alike_and_square_units() -> None:
    figure = fields.score_fields([plane(1.0, 0.01), plane(0.1, 0.3)], WINDOW)
    figure.canvas.draw()
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
    assert_words_are_legible(figure)
    assert_axes_are_equal(figure, panels=3)


def test_straight_trajectories_are_told_from_bent_ones() -> None:
    turn = np.linspace(0, np.pi, 50)
    bent = np.stack((np.cos(turn), np.sin(turn)), -1)[:, None] * np.ones((1, 20, 1))
    straight = np.linspace(0, 1, 50)[:, None, None] * np.ones((1, 20, 2))
    panels = [fields.Trajectories("bent", bent), fields.Trajectories("straight", straight)]
    figure = fields.trajectories(panels, np.zeros((3, 2)))
    assert "straightest: straight" in texts(figure)
    assert "bent: 1.57" in texts(figure)
    assert "straight: 1.00" in texts(figure)
    assert_words_are_legible(figure)
    assert_axes_are_equal(figure, panels=2)


def test_why_rectified_flow_bends_is_said_where_it_does() -> None:
    turn = np.linspace(0, np.pi, 50)
    bent = np.stack((np.cos(turn), np.sin(turn)), -1)[:, None] * np.ones((1, 20, 1))
    straight = np.linspace(0, 1, 50)[:, None, None] * np.ones((1, 20, 2))
    for name, other in (("exact, rectified flow", "cosine"), ("cosine", "exact, rectified flow")):
        panels = [fields.Trajectories(name, bent), fields.Trajectories(other, straight)]
        said = texts(fields.trajectories(panels, np.zeros((3, 2))))
        assert ("their mean bends most" in said) == (name == "exact, rectified flow")


NOTE = "Axes stretched: 4e+03 wide, 30 high."


def test_words_fit_at_their_longest() -> None:
    """Five levels with errors of any size, a stretched shape, a chain that diverged."""
    errors = (1e-6, 1e-3, 0.3, 20.0, 1e4)
    planes = [
        plane(ratio, error)
        for ratio, error in zip((1.0, 0.4, 0.16, 0.06, 0.02), errors, strict=True)
    ]
    assert_words_are_legible(fields.score_fields(planes, WINDOW, NOTE))
    density = np.exp(-8 * np.hypot(*np.mgrid[-1:1:40j, -1:1:40j]))
    for divergence, mass in ((1234.5, 1e-3), (1e-5, 1.0)):
        figure = fields.ode_density(
            density,
            0.5 * density,
            WINDOW,
            noise_ratio=0.05,
            divergence=divergence,
            masses=(1.0, mass),
            note=NOTE,
        )
        assert_words_are_legible(figure)
    lines = np.linspace(0, 1, 50)[:, None, None] * np.ones((1, 20, 2))
    names = ("the network", "the exact denoiser", "exact, cosine", "exact, rectified flow")
    panels = [fields.Trajectories(name, lines) for name in names]
    figure = fields.trajectories(panels, np.zeros((3, 2)), NOTE)
    assert_words_are_legible(figure)
    assert_axes_are_equal(figure, panels=4)
