"""What runs as one call is what runs operation by operation, to the bit."""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest
import torch

from pointillist.diffusion import objectives
from pointillist.diffusion.batches import Batches
from pointillist.diffusion.config import Network, Schedule, Training
from pointillist.diffusion.denoiser import initialize
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.fast.calls import OneCall, one_by_one
from pointillist.diffusion.optimizers import FlatWeights
from pointillist.diffusion.schedules import make_path


def mixture(kind):
    generator = torch.Generator().manual_seed(3)
    anchors = torch.randn(50, 2, generator=generator)
    weights = torch.rand(50, generator=generator) if kind == "weighted" else None
    covariances = None
    if kind == "ellipses":
        roots = 0.1 * torch.randn(50, 2, 2, generator=generator)
        covariances = roots @ roots.mT + 1e-4 * torch.eye(2)
    bandwidth = 0.0 if covariances is not None else 0.02
    return GaussianMixture(anchors, bandwidth, weights, covariances)


def some_batches(kind, schedule, network, training):
    path = make_path(Schedule(**schedule))
    denoiser = initialize(Network(bandwidth=0.02, **network), path, 0)
    options = Training(batch_size=96, **training)
    return denoiser, list(
        islice(Batches(denoiser, mixture(kind), options, torch.Generator().manual_seed(0)), 40)
    )


@pytest.mark.parametrize("kind", ["plain", "weighted", "ellipses"])
@pytest.mark.parametrize(
    "schedule",
    [{}, {"kind": "linear"}, {"kind": "cosine", "timesteps": 50}, {"kind": "rectified_flow"}],
    ids=["log_uniform", "linear", "cosine", "rectified_flow"],
)
@pytest.mark.parametrize(
    ("network", "training"),
    [
        ({}, {}),
        ({"prediction": "eps", "preconditioned": False}, {"target": "sample", "draws": "shared"}),
        ({"prediction": "v", "input_embedding": "fourier"}, {"dataset_size": 200}),
        ({"time_embedding": "identity"}, {"weighting": "likelihood", "reference_anchors": 20}),
    ],
    ids=["default", "eps of samples", "epochs", "subsets"],
)
def test_batches_are_the_same_bits_block_after_block(kind, schedule, network, training):
    _, whole = some_batches(kind, schedule, network, training)
    with one_by_one():
        _, expected = some_batches(kind, schedule, network, training)
    for found, wanted in zip(whole, expected, strict=True):
        assert all(map(torch.equal, found.fields(), wanted.fields()))
    assert not torch.equal(whole[0].x, whole[20].x)


@pytest.mark.parametrize(
    "network",
    [{}, {"residual": False, "activation": "relu"}, {"tied": True, "activation": "gelu"}],
    ids=["default", "plain relu", "tied gelu"],
)
def test_the_gradient_is_the_same_bits(network):
    denoiser, batches = some_batches("plain", {}, network, {})
    weights = FlatWeights.of(denoiser)
    for batch in batches[:3]:
        found = [part.clone() for part in objectives.loss_and_gradient(denoiser, weights, batch)]
        with one_by_one():
            wanted = objectives.loss_and_gradient(denoiser, weights, batch)
        assert all(map(torch.equal, found, wanted))
        weights.values.mul_(1.01)


def test_other_types_dimensions_and_missing_inputs_are_calls_of_their_own():
    seen = []

    @OneCall
    def shifted(x, by):
        """Move x."""
        seen.append(x.dtype)
        return x if by is None else x + by

    x = torch.arange(6.0)
    with torch.no_grad():
        for _ in range(3):
            assert torch.equal(shifted(x, x), 2 * x)
            assert torch.equal(shifted(x[:2], x[:2]), 2 * x[:2])
            assert torch.equal(shifted(x, None), x)
            assert torch.equal(shifted(x.double(), x.double()), 2 * x.double())
            assert shifted(x.view(2, 3), x.view(2, 3)).shape == (2, 3)
    assert len(seen) == 4
    assert shifted.__doc__ == "Move x."


def test_sizes_are_calls_of_their_own_where_the_course_depends_on_them():
    @OneCall
    def counted(x):
        return x * len(x)

    by_size = OneCall(lambda x: x * len(x), sizes=True)
    with torch.no_grad():
        for n in (2, 3, 2):
            assert torch.equal(by_size(torch.ones(n)), torch.full((n,), float(n)))
    with torch.enable_grad():
        x = torch.ones(3, requires_grad=True)
        counted(x).sum().backward()
    assert torch.equal(x.grad, torch.full((3,), 3.0))


def test_threads_that_come_at_once_share_one_graph():
    traced = []

    @OneCall
    def squared(x):
        traced.append(1)
        return x * x

    def ask(n):
        with torch.no_grad():
            return squared(torch.full((4,), float(n)))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(64)))
    assert len(traced) == 1
    assert [a[0].item() for a in answers] == [n * n for n in range(64)]


def test_an_error_within_is_raised_and_the_next_call_works():
    @OneCall
    def product(x, y):
        return x @ y

    with torch.no_grad():
        assert torch.equal(product(torch.eye(2), torch.eye(2)), torch.eye(2))
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            product(torch.eye(2), torch.eye(3))
        assert torch.equal(product(torch.eye(3), torch.eye(3)), torch.eye(3))
