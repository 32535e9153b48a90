"""The network's preconditioning: what each prediction means, and that all mean the same."""

import math

import pytest
import torch

from pointillist.diffusion.config import Network, Schedule
from pointillist.diffusion.denoiser import Denoiser, fitted, initialize
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.embeddings import FourierFeatures, IntegratedFourierFeatures
from pointillist.diffusion.preconditioning import anchor_noise, coefficients, error_weight
from pointillist.diffusion.schedules import make_path

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
    c_skip, c_out, *_ = coefficients(
        prediction, torch.tensor(alpha), torch.tensor(sigma), preconditioned=False
    )
    torch.testing.assert_close(
        c_skip * x + c_out * defined(prediction, alpha, sigma), x0, atol=1e-4, rtol=1e-5
    )


@pytest.mark.parametrize("prediction", ["edm", "eps", "x0", "v", "flow"])
def test_without_an_output_a_denoiser_is_exact_for_gaussian_data(prediction):
    """x_0 ~ N(0, s^2): E[x_0 | x_t] = alpha s^2 / (alpha^2 s^2 + sigma^2) x_t, however far out x_t is."""
    alpha, sigma, s = torch.tensor([1.0, 0.3, 0.006]), torch.tensor([0.3, 0.7, 1.0]), 0.8
    c_skip, *_ = coefficients(prediction, alpha, sigma, sigma_data=s)
    torch.testing.assert_close(c_skip, alpha * s**2 / (alpha**2 * s**2 + sigma**2))


@pytest.mark.parametrize("prediction", ["eps", "x0", "v", "flow"])
def test_a_preconditioned_loss_is_that_of_the_paper(prediction):
    """Errors of F, weighted, are errors of the predicted quantity: eps - eps', v - v', …"""
    x0, guess = torch.tensor([[0.3, -1.0]]), torch.tensor([[0.1, 0.4]])
    alpha, sigma = torch.tensor([0.8]), torch.tensor([0.6])
    x = alpha * x0 + sigma * torch.tensor([[0.5, 0.2]])
    c = coefficients(prediction, alpha, sigma, bandwidth=0.01)
    error = (x0 - guess) / c.c_out
    own = coefficients(prediction, alpha, sigma, preconditioned=False)
    told = [(d - own.c_skip * x) / own.c_out for d in (x0, guess)]
    weight = error_weight(prediction, alpha, sigma, c.c_out)
    torch.testing.assert_close(weight * error**2, (told[0] - told[1]) ** 2)


def test_on_standardised_data_edm_is_v_prediction_with_the_sign_turned():
    angle = torch.linspace(0.01, 1.56, 50).double()
    edm = coefficients("edm", angle.cos(), angle.sin())
    v = coefficients("v", angle.cos(), angle.sin(), preconditioned=False)
    torch.testing.assert_close(edm.c_skip, v.c_skip)
    torch.testing.assert_close(edm.c_out, -v.c_out)


@pytest.mark.parametrize("sigma_data", [0.5, 1.0])
def test_edm_coefficients_are_those_of_the_paper(sigma_data):
    """Karras et al. 2022, table 1, for alpha = 1."""
    sigma = torch.logspace(-2.7, 1.9, 50).double()
    c = coefficients("edm", torch.ones_like(sigma), sigma, sigma_data)
    total = sigma**2 + sigma_data**2
    torch.testing.assert_close(c.c_skip, sigma_data**2 / total)
    torch.testing.assert_close(c.c_out, sigma * sigma_data / total.sqrt())
    torch.testing.assert_close(c.c_in, 1 / total.sqrt())
    torch.testing.assert_close(c.c_noise, sigma.log())


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("kind", ["log_uniform", "linear", "rectified_flow"])
@pytest.mark.parametrize("share", [0.01, 0.4, 0.9])
def test_one_time_for_all_equals_a_time_for_each(prediction, kind, share):
    path = make_path(Schedule(kind=kind))
    denoiser = initialize(Network(prediction=prediction), path, 0)
    t = path.quantile(torch.tensor(share))
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


def test_what_depends_on_the_shape_is_filled_in_unless_given():
    line = torch.stack((0.1 * torch.arange(50.0), torch.zeros(50)), -1)
    density = GaussianMixture(line, 0.02)
    network = fitted(Network(), density)
    assert network.input_bandwidth == pytest.approx(15)
    assert network.bandwidth == 0.02
    given = fitted(Network(input_bandwidth=3.0, bandwidth=0.0), density)
    assert (given.input_bandwidth, given.bandwidth) == (3.0, 0.0)
    frequencies = Denoiser(network, make_path(Schedule())).embed_input.frequencies
    greatest = frequencies.norm(dim=-1).max().item()
    assert greatest == pytest.approx(15 * math.pi, rel=0.01)


@pytest.mark.parametrize(("alpha", "sigma"), [(1.0, 0.002), (1.0, 0.3), (0.6, 0.8), (0.3, 0.01)])
def test_with_a_bandwidth_edm_tells_the_anchor(ring, alpha, sigma):
    """The exact E[a | x] by the paper's coefficients for noise tau makes the exact E[x_0 | x]."""
    x = alpha * ring.sample(100, torch.Generator().manual_seed(0))[0] + sigma * 0.7
    a, s = (torch.tensor(v).double() for v in (alpha, sigma))
    tau = anchor_noise(a, s, ring.bandwidth)
    skip, out, *_ = coefficients("edm", a, tau)
    told = (GaussianMixture(ring.anchors, 0.0).denoise(x, alpha, tau) - skip * x) / out
    skip, out, *_ = coefficients("edm", a, s, 1.0, ring.bandwidth)
    torch.testing.assert_close(skip * x + out * told, ring.denoise(x, alpha, sigma))


def test_integrated_features_are_means_of_plain_ones_under_noise():
    frequencies = 3 * torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    x, deviation = torch.tensor([[0.4, -1.0], [0.1, 2.0]]), torch.tensor([0.1, 0.5])
    noise = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(1))
    integrated = IntegratedFourierFeatures(frequencies)(x, deviation)
    for row, point, spread in zip(integrated, x, deviation, strict=True):
        plain = FourierFeatures(frequencies)(point + spread * noise)
        torch.testing.assert_close(row, plain.mean(0), atol=0.01, rtol=0)
    cosines, sines = (frequencies @ x.T).T.cos(), (frequencies @ x.T).T.sin()
    torch.testing.assert_close(
        FourierFeatures(frequencies)(x), torch.cat((cosines, sines), -1), atol=1e-5, rtol=0
    )


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
