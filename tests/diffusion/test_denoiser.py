"""The network's preconditioning: what each prediction means, and that all mean the same."""

import math

import pytest
import torch

from pointillist.diffusion.denoiser import Denoiser, coefficients, fitted, initialize
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.schedules import make_path
from pointillist.parameters import Network, Schedule

PREDICTIONS = ["eps", "x0", "v", "flow", "edm"]
x0 = torch.tensor([[0.3, -1.2], [2.0, 0.1]]).double()
eps = torch.tensor([[1.1, 0.4], [-0.7, 0.9]]).double()


def defined(prediction, alpha, sigma):
    """Each prediction's target by its paper's own definition, for known x0 and eps."""
    return {
        "eps": eps,
        "x0": x0,
        "v": (alpha * eps - sigma * x0) / math.hypot(alpha, sigma),
        "flow": eps - x0,
        # Karras et al. 2022, eq. 8, with sigma / alpha for sigma and x / alpha for x.
        "edm": (x0 - (x0 + sigma / alpha * eps) / ((sigma / alpha) ** 2 + 1))
        * math.sqrt((sigma / alpha) ** 2 + 1)
        / (sigma / alpha),
    }[prediction]


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(("alpha", "sigma"), [(1.0, 0.3), (0.8, 0.6), (0.3, 0.7), (1.0, 20.0)])
def test_coefficients_turn_each_prediction_into_x0(prediction, alpha, sigma):
    x = alpha * x0 + sigma * eps
    c_skip, c_out = coefficients(prediction, torch.tensor(alpha), torch.tensor(sigma))
    torch.testing.assert_close(
        c_skip * x + c_out * defined(prediction, alpha, sigma), x0, atol=1e-4, rtol=1e-5
    )


@pytest.mark.parametrize("sigma_data", [0.5, 1.0])
def test_edm_coefficients_are_those_of_the_paper(sigma_data):
    """Karras et al. 2022, table 1, for alpha = 1."""
    sigma = torch.logspace(-2.7, 1.9, 50).double()
    c_skip, c_out = coefficients("edm", torch.ones_like(sigma), sigma, sigma_data)
    total = sigma**2 + sigma_data**2
    torch.testing.assert_close(c_skip, sigma_data**2 / total)
    torch.testing.assert_close(c_out, sigma * sigma_data / total.sqrt())


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("kind", ["log_uniform", "linear", "rectified_flow"])
def test_one_time_for_all_equals_a_time_for_each(prediction, kind):
    path = make_path(Schedule(kind=kind))
    denoiser = initialize(Network(prediction=prediction), path, 0)
    t = path.quantile(torch.tensor(0.4))
    x = torch.randn(17, 2)
    torch.testing.assert_close(denoiser(x, t), denoiser(x, t.expand(17)), rtol=1e-4, atol=1e-5)


def test_weights_depend_on_the_seed_alone():
    path = make_path(Schedule())
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two = initialize(Network(), path, 1), initialize(Network(), path, 2)
    assert torch.equal(torch.get_rng_state(), before)
    again = initialize(Network(), path, 1)
    assert all(map(torch.equal, one.state_dict().values(), again.state_dict().values()))
    assert not torch.equal(one.output.weight, two.output.weight)


def test_input_bandwidth_follows_the_spacing_unless_given():
    line = torch.stack((0.1 * torch.arange(50.0), torch.zeros(50)), -1)
    density = GaussianMixture(line, 0.01)
    assert fitted(Network(), density).input_bandwidth == pytest.approx(7.5)
    assert fitted(Network(input_bandwidth=3.0), density).input_bandwidth == 3.0
    frequencies = Denoiser(fitted(Network(), density), make_path(Schedule())).embed_input
    greatest = frequencies.embedding.frequencies.norm(dim=-1).max().item()
    assert greatest == pytest.approx(7.5 * math.pi, rel=0.01)


def test_tied_layers_share_their_weights():
    tied = Denoiser(Network(tied=True, depth=4), make_path(Schedule()))
    free = Denoiser(Network(tied=False, depth=4), make_path(Schedule()))
    surplus = 3 * (128 * 128 + 128)
    count = [sum(p.numel() for p in d.parameters()) for d in (tied, free)]
    assert count[1] - count[0] == surplus


def test_preset_networks_have_the_sizes_of_the_originals():
    """tiny-tiny-diffusion: Linear(3, 64), one shared 64 x 64, Linear(64, 2)."""
    path = make_path(Schedule(kind="linear", timesteps=50))
    network = Network(
        prediction="eps",
        width=64,
        depth=2,
        tied=True,
        residual=False,
        input_embedding="identity",
        time_embedding="identity",
    )
    shapes = [tuple(p.shape) for p in Denoiser(network, path).parameters()]
    assert shapes == [(64, 3), (64,), (64, 64), (64,), (2, 64), (2,)]
    # tiny-diffusion: three embeddings of 128 numbers each.
    network = Network(
        input_embedding="sinusoidal",
        time_embedding="sinusoidal",
        input_features=64,
        time_features=64,
    )
    assert Denoiser(network, path).input.in_features == 3 * 128
