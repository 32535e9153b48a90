"""Every schedule with every prediction, target and sampler paints the shape: no combination blows up."""

import functools
import itertools
import math

import pytest
import torch

from pointillist import diffusion, shapes
from pointillist.diffusion.config import Network, Sampling, Schedule, Training
from pointillist.diffusion.density import GaussianMixture

SCHEDULES = ["log_uniform", "linear", "quadratic", "cosine", "sigmoid", "rectified_flow"]
PREDICTIONS = ["edm", "eps", "x0", "v", "flow"]
TARGETS = ["posterior", "sample"]
# As many steps as the papers take, or as the sampler needs.
SAMPLERS = {
    "ddpm": 1000,
    "ddim": 100,
    "euler": 100,
    "heun": 40,
    "dpmpp_2m": 40,
    "dpmpp_2m_sde": 100,
    "sde": 1000,
}
N = 1000
# Each value of each choice at least once, and the classical recipes among them.
SPREAD = [
    ("linear", "eps", "sample", "ddpm"),
    ("linear", "eps", "sample", "ddim"),
    ("cosine", "v", "sample", "dpmpp_2m"),
    ("cosine", "eps", "posterior", "ddpm"),
    ("rectified_flow", "flow", "sample", "euler"),
    ("quadratic", "x0", "posterior", "heun"),
    ("sigmoid", "flow", "posterior", "dpmpp_2m_sde"),
    ("log_uniform", "eps", "sample", "sde"),
    ("log_uniform", "edm", "posterior", "dpmpp_2m_sde"),
]


@pytest.fixture(scope="module")
def truth():
    points = shapes.load("cat").to_numpy()
    return GaussianMixture(torch.from_numpy(shapes.Normalizer.fit(points).apply(points)), 0.05)


@functools.cache
def trained(truth, schedule, prediction, target, steps=800):
    """A small network after a training of a few seconds."""
    path = diffusion.schedules.make_path(Schedule(kind=schedule))
    network = Network(prediction=prediction, width=64, depth=2, input_features=64)
    fitted = diffusion.denoiser.fitted(network, truth)
    denoiser = diffusion.denoiser.initialize(fitted, path, seed=0)
    training = Training(target=target, steps=steps, batch_size=512, report_every=100)
    generator = torch.Generator().manual_seed(0)
    for _ in diffusion.training.train(
        denoiser, truth.to("cpu", torch.float32), training, generator
    ):
        pass
    return denoiser.eval().requires_grad_(False)


def require_good_samples(truth, denoiser, sampler):
    sampling = Sampling(sampler=sampler, steps=SAMPLERS[sampler], n_samples=N)
    generator = torch.Generator().manual_seed(1)
    drawn = diffusion.chains.draw(denoiser, truth, sampling, generator).double()
    fresh, other = (truth.sample(N, generator)[0] for _ in range(2))
    directions = diffusion.metrics.unit_directions(100, generator)
    reference = diffusion.metrics.sorted_projections(truth.sample(N, generator)[0], directions)

    def sw2(x):
        sorted_ = diffusion.metrics.sorted_projections(x, directions)
        return (sorted_ - reference).square().mean().sqrt()

    floor = (sw2(fresh) + sw2(other)) / 2
    assert sw2(drawn) < 3 * floor
    # Nothing may be farther out than where chains start: fresh draws under the last noise level, seen
    # variance preserving.
    last = diffusion.schedules.noisiest(denoiser.path)
    fresh = truth.sample(100_000, generator)[0]
    start = last.alpha * fresh + last.sigma * torch.randn(
        fresh.shape, generator=generator, dtype=fresh.dtype
    )
    assert drawn.norm(dim=1).max() < (start / math.hypot(last.alpha, last.sigma)).norm(dim=1).max()


@pytest.mark.parametrize(("schedule", "prediction", "target", "sampler"), SPREAD)
def test_recipes_paint_the_shape(truth, schedule, prediction, target, sampler):
    require_good_samples(truth, trained(truth, schedule, prediction, target), sampler)


def test_the_spread_has_every_choice():
    for column, choices in enumerate((SCHEDULES, PREDICTIONS, TARGETS, SAMPLERS)):
        assert {row[column] for row in SPREAD} == set(choices)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("schedule", "prediction", "target"), list(itertools.product(SCHEDULES, PREDICTIONS, TARGETS))
)
def test_every_recipe_paints_the_shape(truth, schedule, prediction, target):
    denoiser = trained(truth, schedule, prediction, target, steps=2000)
    for sampler in SAMPLERS:
        require_good_samples(truth, denoiser, sampler)
