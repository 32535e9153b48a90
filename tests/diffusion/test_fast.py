"""What is written for the processor's sake equals what is written for the reader."""

import pytest
import torch

from pointillist.diffusion.config import Network, Schedule
from pointillist.diffusion.denoiser import Denoiser, initialize
from pointillist.diffusion.density import posterior_as_written
from pointillist.diffusion.fast.features import cos_and_sin, faded_features
from pointillist.diffusion.fast.posterior import posterior
from pointillist.diffusion.schedules import make_path


def test_one_pass_gives_cosines_and_sines():
    generator = torch.Generator().manual_seed(0)
    frequencies, x = 3 * torch.randn(16, 2, generator=generator), torch.randn(9, 2)
    phases = x @ frequencies.T
    expected = torch.cat((phases.cos(), phases.sin()), -1)
    torch.testing.assert_close(cos_and_sin(x, frequencies), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("input_embedding", ["integrated", "fourier", "sinusoidal", "identity"])
@pytest.mark.parametrize("time_embedding", ["fourier", "sinusoidal", "identity"])
@pytest.mark.parametrize(
    "options",
    [{}, {"residual": False, "activation": "relu"}, {"activation": "gelu", "tied": True}],
    ids=["default", "plain relu", "tied gelu"],
)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_network_answers_and_learns_as_it_is_written(
    input_embedding, time_embedding, options, share
):
    """Values and gradients, at one time for all points and at a time for each."""
    path = make_path(Schedule(kind="linear"))
    network = Network(
        input_embedding=input_embedding, time_embedding=time_embedding, bandwidth=0.02, **options
    )
    denoiser = initialize(network, path, 0)
    x = torch.randn(33, 2, generator=torch.Generator().manual_seed(0))
    one = path.quantile(torch.tensor(share))
    for t in (one, path.quantile(torch.linspace(0, 1, 33))):
        expected, found = denoiser.predict_as_written(x, t), denoiser.predict(x, t)
        torch.testing.assert_close(found, expected, atol=2e-4, rtol=2e-4)
        gradients = [
            torch.autograd.grad(y.square().sum(), list(denoiser.parameters()))
            for y in (found, expected)
        ]
        torch.testing.assert_close(*gradients, atol=2e-3, rtol=2e-3)
        with torch.no_grad():
            assert torch.equal(denoiser.predict(x, t), found)


@pytest.mark.parametrize("activation", ["silu", "gelu", "relu"])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_the_trace_of_the_jacobian_is_that_of_autograd(activation, residual, tied, share):
    network = Network(activation=activation, residual=residual, tied=tied, bandwidth=0.02)
    path = make_path(Schedule())
    denoiser = initialize(network, path, 0).double()
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)).double()
    t = path.quantile(torch.tensor(share)).double()
    with torch.no_grad():
        value, trace = denoiser.at(t).with_trace(x)
    jacobian = torch.autograd.functional.jacobian(lambda y: denoiser(y, t), x)
    expected = torch.einsum("iaia->i", jacobian)
    torch.testing.assert_close(value, denoiser(x, t))
    torch.testing.assert_close(trace, expected)
    torch.testing.assert_close(denoiser.at(t).answer(x), denoiser(x, t))


@pytest.mark.parametrize(("deviation", "kept"), [(0.0, 64), (0.1, 64), (0.4, 31), (1.0, 12)])
def test_frequencies_that_have_faded_are_left_out_and_nothing_with_them(deviation, kept):
    embed = Denoiser(Network(input_features=64), make_path(Schedule())).embed_input
    lengths = embed.frequencies.norm(dim=-1)
    assert (lengths.diff() > 0).all()
    x, weight = torch.randn(100, 2), torch.randn(8, 128)
    features, weights = faded_features(x, torch.tensor(deviation), embed.frequencies, weight)
    assert features.shape[1] == weights.shape[1] == 2 * kept
    whole = embed(x, torch.full((100,), deviation)) @ weight.T
    torch.testing.assert_close(features @ weights.T, whole, atol=1e-5, rtol=0)
    # Beside 1, single precision doesn't see the largest of them.
    assert all((lengths[kept:] * deviation).square().div(-2).exp() < 2**-25)


@pytest.mark.parametrize("activation", ["silu", "gelu", "relu"])
@pytest.mark.parametrize("residual", [True, False])
def test_what_is_written_over_without_gradients_is_the_same(activation, residual):
    network = Network(activation=activation, residual=residual)
    denoiser = initialize(network, make_path(Schedule()), 0)
    x, t = torch.randn(50, 2), torch.tensor(-1.0)
    with torch.no_grad():
        alone = denoiser(x, t)
    beside = denoiser(x, t)
    assert torch.equal(alone, beside)
    beside.sum().backward()
    assert all(p.grad.isfinite().all() for p in denoiser.parameters())


@pytest.mark.parametrize("shape", ["ring", "weighted"])
@pytest.mark.parametrize("far", [1, 100])
def test_the_posterior_over_anchors_is_the_one_that_is_written(request, shape, far):
    """Near and far out, where every single kernel is 0."""
    mixture = request.getfixturevalue(shape)
    log_weights = None if mixture.weights is None else mixture.weights.log()
    x = far * torch.randn(50, 2, generator=torch.Generator().manual_seed(0)).double()
    alpha, tau2 = torch.linspace(0.1, 1, 50).double(), torch.linspace(4, 0.01, 50).double()
    arguments = x, mixture.anchors, log_weights, alpha, tau2
    torch.testing.assert_close(posterior(*arguments), posterior_as_written(*arguments))
