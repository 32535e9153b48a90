"""Members of an ensemble become what they would have become alone."""

import re
from pathlib import Path

import pytest
import torch

from pointillist.diffusion.config import Network, Schedule, Training
from pointillist.diffusion.denoiser import fitted, initialize
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.ensembles import train_ensemble
from pointillist.diffusion.optimizers import FlatWeights
from pointillist.diffusion.schedules import make_path
from pointillist.diffusion.training import DivergedError, train
from pointillist.errors import PointillistError

SMALL = Network(width=16, depth=2, input_features=8, time_features=4)
SHORT = Training(steps=20, batch_size=32, report_every=8)


def mixtures():
    """Of different sizes, bandwidths and kinds: alike, weighted, and of one weight with many anchors."""
    generator = torch.Generator().manual_seed(3)
    a, b, c = (torch.randn(n, 2, generator=generator) for n in (11, 25, 40))
    return [
        GaussianMixture(a, 0.05),
        GaussianMixture(b, 0.01, torch.arange(1.0, 26.0)),
        GaussianMixture(c, 0.02),
    ]


def with_ellipses():
    first, second, third = mixtures()
    root = 0.1 * torch.randn(25, 2, 2, generator=torch.Generator().manual_seed(0))
    covariances = root @ root.mT
    covariances = (covariances + covariances.mT) / 2
    return [first, GaussianMixture(second.anchors, 0.01, second.weights, covariances), third]


def members(densities, network=SMALL, schedule=None, device="cpu"):
    path = make_path(schedule or Schedule())
    denoisers = [
        initialize(fitted(network, density), path, seed).to(device)
        for seed, density in enumerate(densities)
    ]
    generators = [torch.Generator(device).manual_seed(10 + i) for i in range(len(densities))]
    return denoisers, [density.to(device) for density in densities], generators


def weights(denoisers):
    return torch.stack([FlatWeights.of(denoiser).values for denoiser in denoisers])


def distances(training, *about):
    """Return how far members are from single trainings, relative to how far these have moved."""
    alone, densities, generators = members(*about)
    begun = weights(alone)
    for single in zip(alone, densities, generators, strict=True):
        denoiser, density, generator = single
        list(train(denoiser, density, training, generator))
    together, densities, generators = members(*about)
    list(train_ensemble(together, densities, training, generators))
    moved = weights(alone) - begun
    return (weights(together) - weights(alone)).norm(dim=1) / moved.norm(dim=1)


LINEAR = Schedule(kind="linear")
ORIGINAL = {"prediction": "eps", "input_embedding": "sinusoidal", "time_embedding": "sinusoidal"}


@pytest.mark.parametrize(
    ("options", "network", "schedule", "densities"),
    [
        ({}, {}, None, mixtures),
        ({}, {}, None, with_ellipses),
        ({"optimizer": "adam", "gradient_clip": 0.05}, {"tied": True}, None, mixtures),
        ({"optimizer": "adamw", "draws": "shared"}, ORIGINAL, LINEAR, mixtures),
        ({"target": "sample", "dataset_size": 50}, {"activation": "gelu"}, None, mixtures),
        ({"reference_anchors": 15, "weighting": "likelihood"}, {"residual": False}, None, mixtures),
        ({"reference_anchors": 15}, {}, None, with_ellipses),
        ({"ema": 0.0, "noise_exponent": 0.0}, {"input_embedding": "fourier"}, None, with_ellipses),
        ({}, {"prediction": "v", "activation": "relu"}, Schedule(kind="rectified_flow"), mixtures),
    ],
)
def test_members_become_what_they_would_have_become_alone(options, network, schedule, densities):
    training = SHORT.model_copy(update=options)
    far = distances(training, densities(), SMALL.model_copy(update=network), schedule)
    assert (far < 1e-3).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("densities", [mixtures, with_ellipses])
def test_on_an_accelerator_members_become_what_they_would_have_become_alone(densities):
    assert (distances(SHORT, densities(), SMALL, None, "cuda") < 1e-2).all()


def test_seeds_of_one_density_are_members_of_their_own():
    density = mixtures()[0]
    denoisers, densities, generators = members([density] * 3)
    list(train_ensemble(denoisers, densities, SHORT, generators))
    found = weights(denoisers)
    assert torch.pdist(found).min() > 0.1 * found.norm(dim=1).max()


def test_reports_come_at_the_steps_of_a_single_training():
    one = members(mixtures()[:1])
    alone = list(train(one[0][0], one[1][0], SHORT, one[2][0]))
    together = list(train_ensemble(*members(mixtures())[:2], SHORT, members(mixtures())[2]))
    assert [report.step for report in together] == [report.step for report in alone]
    for here, there in zip(together, alone, strict=True):
        assert here.losses.shape == here.gradient_norms.shape == (3,)
        assert here.losses[0].item() == pytest.approx(there.metrics["loss"], rel=1e-4)
        norm = there.metrics["gradient_norm"]
        assert here.gradient_norms[0].item() == pytest.approx(norm, rel=1e-3)


def test_the_process_own_random_numbers_stay_where_they_are():
    denoisers, densities, generators = members(mixtures())
    before = torch.get_rng_state()
    list(train_ensemble(denoisers, densities, SHORT, generators))
    assert torch.equal(torch.get_rng_state(), before)


def test_members_that_diverge_are_named():
    first, second, third = mixtures()
    broken = GaussianMixture(torch.full((4, 2), torch.nan), 0.01)
    denoisers, _, generators = members([first, second, third])
    with pytest.raises(DivergedError, match=r"by step 8 .* members .*: 1\."):
        list(train_ensemble(denoisers, [first, broken, third], SHORT, generators))


def test_the_example_of_the_documentation_trains(capsys):
    page = Path(__file__).parents[2] / "docs" / "sweeps.md"
    (example,) = (
        block
        for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
        if "train_ensemble" in block
    )
    quick = example.replace("Training()", "Training(steps=4, batch_size=16)")
    assert quick != example
    exec(quick, {})
    assert capsys.readouterr().out.startswith("4 tensor([")


def test_what_is_not_alike_is_refused_in_words():
    denoisers, densities, generators = members(mixtures())
    with pytest.raises(PointillistError, match="not 3, 2 and 3"):
        next(train_ensemble(denoisers, densities[:2], SHORT, generators))
    with pytest.raises(PointillistError, match="one at least"):
        next(train_ensemble([], [], SHORT, []))
    wide = members(densities, SMALL.model_copy(update={"width": 20}))[0]
    with pytest.raises(PointillistError, match="Member 2 has another network"):
        next(train_ensemble([*denoisers[:2], wide[2]], densities, SHORT, generators))
    other = members(densities, SMALL, Schedule(sigma_max=30))[0]
    with pytest.raises(PointillistError, match="Member 1 has another network or schedule"):
        next(train_ensemble([denoisers[0], other[1], other[2]], densities, SHORT, generators))
