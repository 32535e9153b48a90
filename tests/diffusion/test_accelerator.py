"""On an accelerator no tensor of the host is mixed in, and the host waits for nothing in between.

Shown on one that isn't there (`tests/accelerator.py`): what passes between the two is counted, and must
not depend on the number of steps between two reports, or of a chain between two states that are kept.
"""

from collections import Counter

import pytest
import torch

from pointillist.diffusion import batches, chains, devices, likelihood
from pointillist.diffusion.config import Network, Sampling, Schedule, Training
from pointillist.diffusion.denoiser import fitted, initialize
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.ensembles import train_ensemble
from pointillist.diffusion.samplers import SAMPLERS
from pointillist.diffusion.schedules import make_path
from pointillist.diffusion.training import train
from tests.accelerator import NAME, Accelerator, Apart, Generator

SMALL = Network(width=8, depth=2, input_features=4, time_features=4)
ORIGINAL = SMALL.model_copy(
    update={"prediction": "eps", "input_embedding": "sinusoidal", "time_embedding": "sinusoidal"}
)
DEFAULT, LINEAR = Schedule(), Schedule(kind="linear")


@pytest.fixture(scope="module")
def apart():
    with Apart() as call:
        call(draw_few_batches_at_once)
        yield call


def draw_few_batches_at_once():
    """Few steps then pass from one block of draws to the next."""
    batches._AHEAD_ON_ACCELERATOR = 2


def mixture(n, kind="alike"):
    generator = torch.Generator().manual_seed(n)
    anchors, weights = torch.randn(n, 2, generator=generator), torch.arange(1.0, n + 1)
    if kind == "ellipses":
        return GaussianMixture(anchors, 0.02, weights, torch.eye(2).expand(n, 2, 2) * 0.01)
    return GaussianMixture(anchors, 0.02, weights if kind == "weighted" else None)


def trainee(schedule, network, density):
    return initialize(fitted(network, density), make_path(schedule), 0)


def crossings_of_training(schedule, network, kind, options, steps):
    with Accelerator() as there:
        density = mixture(30, kind)
        denoiser = trainee(schedule, network, density).to(NAME)
        training = Training(batch_size=8, steps=steps, report_every=steps, **options)
        reports = list(train(denoiser, density.to(NAME), training, Generator()))
        assert [report.step for report in reports] == [steps]
        return there.crossings


def steps_after_resuming(options):
    """Train four steps with a state after two, go on from it, and return at which steps that reports."""
    with Accelerator():
        density = mixture(30)
        placed, training = (
            density.to(NAME),
            Training(batch_size=8, steps=4, report_every=2, **options),
        )
        reports = train(trainee(DEFAULT, SMALL, density).to(NAME), placed, training, Generator())
        state = next(reports).state()
        assert {value.device.type for value in state.values()} == {"cpu"}
        again = trainee(DEFAULT, SMALL, density).to(NAME)
        return [report.step for report in train(again, placed, training, Generator(), state)]


def crossings_of_an_ensemble(kinds, options, steps):
    with Accelerator() as there:
        densities = [mixture(10 + 7 * i, kind) for i, kind in enumerate(kinds)]
        denoisers = [trainee(DEFAULT, SMALL, density).to(NAME) for density in densities]
        training = Training(batch_size=8, steps=steps, report_every=steps, **options)
        placed = [density.to(NAME) for density in densities]
        generators = [Generator() for _ in kinds]
        assert len(list(train_ensemble(denoisers, placed, training, generators))) == 1
        return there.crossings


def crossings_of_a_chain(schedule, sampler, steps, frames):
    with Accelerator() as there:
        density = mixture(30)
        denoiser = trainee(schedule, SMALL, density).to(NAME).requires_grad_(False)
        sampling = Sampling(n_samples=10, chunk_size=10, steps=steps, sampler=sampler)
        start = chains.start_distribution(density, denoiser.path, "moments")
        there.crossings.clear()
        recorder = chains.Recorder(frames, steps)
        for state in chains.sample(denoiser, denoiser.path, start, sampling, Generator()):
            recorder.add(state)
        assert recorder.samples().device.type == "cpu"
        assert recorder.chain().x.shape == (frames, 10, 2)
        return there.crossings


def crossings_of_divergences(kind, nodes):
    """Return those of the bound and of the ODE's divergence, and how often each asked the network."""
    with Accelerator() as there:
        density = mixture(30, kind).to("cpu", torch.float64)
        denoiser = trainee(DEFAULT, SMALL, density).to(NAME).requires_grad_(False)
        calls = 0

        def denoise(x, t):
            nonlocal calls
            calls += 1
            return devices.reached_from_cpu(denoiser, torch.device(NAME))(x, t)

        start = chains.start_distribution(density, denoiser.path, "moments")
        about = (denoise, density, denoiser.path, start)
        found = []
        for measure, size in ((likelihood.kl_bound, "nodes"), (likelihood.kl_ode, "steps")):
            there.crossings.clear()
            calls = 0
            measure(*about, **{size: nodes}, draws=20, generator=torch.Generator().manual_seed(0))
            found.append((Counter(there.crossings), calls))
        return found


@pytest.mark.parametrize(
    ("schedule", "network", "kind", "options"),
    [
        (DEFAULT, SMALL, "alike", {}),
        (DEFAULT, SMALL, "weighted", {"reference_anchors": 10}),
        (DEFAULT, SMALL, "ellipses", {"reference_anchors": 10}),
        (DEFAULT, SMALL, "ellipses", {"optimizer": "adamw", "gradient_clip": 1.0}),
        (DEFAULT, SMALL, "alike", {"target": "sample", "dataset_size": 20, "draws": "shared"}),
        (LINEAR, ORIGINAL, "alike", {"optimizer": "adam", "draws": "shared"}),
        (LINEAR, SMALL, "alike", {"noise_exponent": 0.5, "weighting": "likelihood"}),
        (
            Schedule(kind="rectified_flow"),
            SMALL,
            "alike",
            {"draws": "independent", "averaging": None},
        ),
    ],
)
def test_between_reports_the_host_waits_for_nothing(apart, schedule, network, kind, options):
    few, many = (
        apart(crossings_of_training, schedule, network, kind, options, steps) for steps in (1, 5)
    )
    assert many == few
    assert many["read"] > 0


@pytest.mark.parametrize("options", [{}, {"dataset_size": 20, "optimizer": "adam"}])
def test_a_training_there_is_resumed_from_a_state_of_the_hosts(apart, options):
    assert apart(steps_after_resuming, options) == [4]


@pytest.mark.parametrize("kinds", [("alike", "weighted"), ("ellipses", "alike", "weighted")])
@pytest.mark.parametrize("options", [{}, {"reference_anchors": 12, "gradient_clip": 1.0}])
def test_between_reports_nothing_of_an_ensemble_is_waited_for(apart, kinds, options):
    few, many = (apart(crossings_of_an_ensemble, kinds, options, steps) for steps in (1, 5))
    assert many == few


@pytest.mark.parametrize(
    ("sampler", "schedule"),
    [*((name, DEFAULT) for name in SAMPLERS), ("ddpm", LINEAR), ("dpmpp_2m_sde", LINEAR)],
)
def test_of_a_chain_only_states_that_are_kept_are_waited_for(apart, sampler, schedule):
    few, many, more = (
        apart(crossings_of_a_chain, schedule, sampler, *sizes) for sizes in ((2, 3), (5, 3), (5, 4))
    )
    assert many == few
    assert more - many == {"to host": 1}
    assert "read" not in many


@pytest.mark.parametrize("kind", ["alike", "ellipses"])
def test_measuring_a_network_passes_its_arguments_and_answers_alone(apart, kind):
    """The truth is the host's, in double precision; x and t go there, and D comes back."""
    for crossings, calls in apart(crossings_of_divergences, kind, 8):
        gradients = crossings["to host"] - calls
        assert calls >= 8
        assert "read" not in crossings
        assert crossings["to device"] == 2 * calls + gradients


def waits_for_a_number():
    with Accelerator() as there:
        bool((torch.ones(3).to(NAME) > 0).all())
        return there.crossings


def mixes_devices():
    with Accelerator():
        torch.ones(3).to(NAME) + torch.ones(3)


def test_the_accelerator_that_is_not_there_tells_on_both(apart):
    assert apart(waits_for_a_number) == {"to device": 1, "read": 1}
    with pytest.raises(AssertionError, match="mixes tensors"):
        apart(mixes_devices)
