"""Fields of the exact denoiser are exact; of one anchor they are linear."""

import numpy as np
import pytest
import torch

from pointillist.diffusion import chains, fields, likelihood
from pointillist.diffusion.config import Schedule
from pointillist.diffusion.denoiser import exact_denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.schedules import make_path

PATHS = [Schedule(), Schedule(kind="cosine"), Schedule(kind="rectified_flow")]


def test_a_grid_holds_the_centres_of_its_cells_rows_upwards():
    grid = fields.grid((0, 10), (4, 30), 4)
    assert grid.shape == (4, 4, 2)
    np.testing.assert_allclose(grid[0, :, 0], [0.5, 1.5, 2.5, 3.5])
    np.testing.assert_allclose(grid[:, 0, 1], [12.5, 17.5, 22.5, 27.5])


@pytest.mark.parametrize("schedule", PATHS, ids=lambda s: s.kind)
def test_the_exact_denoiser_has_no_error_anywhere(ring, generator, schedule):
    path = make_path(schedule)
    denoise = exact_denoiser(ring, path)
    grid = fields.grid((-2, -2), (2, 2), 12)
    found = list(fields.fields(denoise, ring, path, (1.0, 0.1, 0.02), grid, generator))
    assert [field.step for field in found] == [1, 2, 3]
    for field, wanted in zip(found, (1.0, 0.1, 0.02), strict=True):
        assert field.noise_ratio == pytest.approx(wanted, rel=0.2)
        assert field.error.max() < 2e-3
        assert field.exact.shape == (12, 12, 2)


def test_the_score_of_one_anchor_points_to_it(generator):
    one = GaussianMixture(torch.tensor([[0.5, -0.25]]).double(), 0.1)
    path = make_path(Schedule())
    grid = fields.grid((-1, -1), (1, 1), 6)
    (field,) = fields.fields(exact_denoiser(one, path), one, path, (0.5,), grid, generator)
    r = field.noise_ratio
    x = grid * np.hypot(1, r)
    # The Gaussian's own: -(x - anchor) / tau^2, and it is shown times sigma.
    expected = -(x - one.anchors[0]) / (0.1**2 + r**2) * r
    torch.testing.assert_close(field.exact, expected)
    torch.testing.assert_close(field.exact, one.score(x.reshape(-1, 2), 1, r).reshape(6, 6, 2) * r)


def test_the_edge_encloses_99_percent(ring, generator):
    path = make_path(Schedule())
    grid = fields.grid((-1, -1), (1, 1), 4)
    (field,) = fields.fields(exact_denoiser(ring, path), ring, path, (0.3,), grid, generator)
    x, _ = ring.sample(20_000, generator, 1.0, field.noise_ratio)
    inside = (ring.log_prob(x, 1.0, field.noise_ratio) > field.edge).double().mean()
    assert inside.item() == pytest.approx(0.99, abs=0.005)


@pytest.mark.parametrize("schedule", PATHS, ids=lambda s: s.kind)
def test_the_exact_odes_density_is_the_truths(ring, schedule):
    path = make_path(schedule)
    start = chains.start_distribution(ring, path, "moments")
    levels = likelihood.even_levels(path, 60, 0.15)
    grid = fields.grid((-3, -3), (3, 3), 60)
    found = fields.densities(exact_denoiser(ring, path), ring, start, levels, grid)
    assert found.masses == pytest.approx((1, 1), abs=0.02)
    assert abs(found.divergence) < 0.01
    torch.testing.assert_close(found.learned, found.exact, atol=0.02, rtol=0.05)


def test_a_level_that_is_nearest_to_two_comes_once(ring, generator):
    path = make_path(Schedule(kind="linear", timesteps=3))
    grid = fields.grid((-2, -2), (2, 2), 4)
    found = list(
        fields.fields(exact_denoiser(ring, path), ring, path, (0.2, 0.02, 0.01), grid, generator)
    )
    ratios = [field.noise_ratio for field in found]
    assert len(set(ratios)) == len(ratios) < 3
