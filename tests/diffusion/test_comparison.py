"""The table of samplers: budgets that hold, equal noise for all, and errors that can be told apart."""

from functools import partial

import pytest
import torch

from pointillist.diffusion import chains, comparison, devices, samplers
from pointillist.diffusion.config import Samplers, Schedule
from pointillist.diffusion.denoiser import exact_denoiser
from pointillist.diffusion.schedules import make_path


def table(ring, denoisers=None, score=lambda x: {}, schedule=Schedule(), **options):
    path, density = make_path(schedule), ring.to("cpu", torch.float32)
    parameters = Samplers(**{"n_samples": 200} | options)
    start = chains.start_distribution(ring, path, "moments", parameters.sigma_max)
    walk = denoisers or {"exact": exact_denoiser(density, path)}
    noise = partial(devices.generator, 3, "noise")
    return list(comparison.cells(walk, path, start, parameters, score, noise))


def test_every_sampler_fits_each_budget_and_all_but_heun_fill_it(ring):
    cells = table(ring, nfe=(1, 5, 10))
    assert [c.step for c in cells] == list(
        range(1, comparison.total_cells(1, Samplers(nfe=(1, 5, 10))) + 1)
    )
    assert {c.sampler for c in cells} == set(samplers.SAMPLERS)
    made = {(c.sampler, c.budget): (c.nfe, c.steps) for c in cells}
    assert [made["heun", n] for n in (1, 5, 10)] == [(1, 1), (5, 3), (9, 5)]
    assert all(made[c.sampler, c.budget] == (c.budget,) * 2 for c in cells if c.sampler != "heun")


def test_a_discrete_path_makes_no_more_evaluations_than_it_has_levels(ring):
    schedule = Schedule(kind="linear", timesteps=20)
    cells = table(ring, schedule=schedule, nfe=(50,), rho=None, sigma_max=None, sigma_min=None)
    assert {c.nfe for c in cells if c.sampler != "heun"} == {20}


def test_cells_start_from_the_same_noise(ring):
    """Euler's method is DDIM without noise, so equal noise gives equal points."""
    ends = {}

    def keep(x):
        return {"x": x}

    for cell in table(ring, score=keep, nfe=(7,)):
        ends[cell.sampler] = cell.quality["x"]
    torch.testing.assert_close(ends["euler"], ends["ddim"], rtol=1e-4, atol=1e-4)


def test_what_the_exact_denoiser_cannot_mend_is_the_solvers(ring):
    """More evaluations bring the exact denoiser to the truth; a wrong one stays where it is wrong."""
    path = make_path(Schedule())
    exact = exact_denoiser(ring.to("cpu", torch.float32), path)
    walk = {"exact": exact, "moved": lambda x, t: exact(x, t) + 0.2}
    mean = ring.moments()[0].float()
    cells = table(
        ring,
        walk,
        lambda x: {"off": (x.mean(0) - mean).abs().max().item()},
        nfe=(40,),
        n_samples=4000,
    )
    for cell in cells:
        assert cell.quality["off"] < 0.1 if cell.denoiser == "exact" else cell.quality["off"] > 0.15


@pytest.mark.parametrize(
    ("name", "budget", "steps"), [("heun", 1, 1), ("heun", 2, 1), ("sde", 4, 4)]
)
def test_steps_within_a_budget(name, budget, steps):
    assert samplers.steps_within(name, budget) == steps
