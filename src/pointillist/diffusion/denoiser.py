r"""The network, and what its output means.

Whatever the network predicts, the denoiser returns the posterior mean

.. math:: D(x_t, t) = c_{skip} x_t + c_{out} F(c_{in} x_t, t) \approx E[x_0 | x_t]

(Karras et al. 2022, eq. 7, for a general path). The five predictions are five rows of `coefficients`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.schedules import Path
from pointillist.parameters import Network

DTYPE = torch.float32
"""Precision of the network and of its training."""

Denoise = Callable[[Tensor, Tensor], Tensor]
"""(x_t (B, 2), t () or (B,)) -> E[x_0 | x_t] (B, 2): the common currency."""


def exact_denoiser(density: GaussianMixture, path: Path) -> Denoise:
    """Return the ideal denoiser of `density` along `path`: the oracle in a network's place."""

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        return density.denoise(x, path.alpha(t).to(x.dtype), path.sigma(t).to(x.dtype))

    return denoise


def coefficients(
    prediction: str, alpha: Tensor, sigma: Tensor, sigma_data: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return c_skip and c_out, by which the output F becomes x_0 = c_skip x_t + c_out F.

    ========== ================================== =============================================
    prediction F is                               source
    ========== ================================== =============================================
    eps        the noise eps                      Ho et al. 2020, eq. 15
    x0         the clean point                    Luo 2022, eq. 99
    v          (alpha eps - sigma x_0) / |.|      Salimans & Ho 2022, |.| = sqrt(alpha^2 + sigma^2)
    flow       eps - x_0                          Lipman et al. 2023, with time reversed
    edm        the preconditioned residual        Karras et al. 2022, table 1
    ========== ================================== =============================================
    """
    if prediction == "eps":
        return 1 / alpha, -sigma / alpha
    if prediction == "x0":
        return torch.zeros_like(alpha), torch.ones_like(alpha)
    if prediction == "v":
        variance = alpha**2 + sigma**2
        return alpha / variance, -sigma * variance.rsqrt()
    if prediction == "flow":
        return 1 / (alpha + sigma), -sigma / (alpha + sigma)
    variance = (alpha * sigma_data) ** 2 + sigma**2
    return alpha * sigma_data**2 / variance, sigma * sigma_data * variance.rsqrt()


class FourierFeatures(nn.Module):
    """cos and sin of `frequencies` @ x (Tancik et al. 2020): (B, d) -> (B, 2 * features).

    The frequencies (features, d) are fixed, not learned, and travel with the weights.
    """

    frequencies: Tensor

    def __init__(self, frequencies: Tensor) -> None:
        super().__init__()
        self.register_buffer("frequencies", frequencies)

    def forward(self, x: Tensor) -> Tensor:
        """Embed x."""
        phase = x @ self.frequencies.T
        return torch.cat((phase.cos(), phase.sin()), -1)


def _planar_frequencies(features: int, bandwidth: float) -> Tensor:
    """Frequencies in all directions, (features, 2): golden angles, magnitudes up to bandwidth * pi."""
    index = torch.arange(features, dtype=torch.float64)
    angle = index * math.pi * (math.sqrt(5) - 1) / 2 * 2
    magnitude = bandwidth * math.pi * ((index + 0.5) / features).sqrt()
    return torch.stack((magnitude * angle.cos(), magnitude * angle.sin()), -1).float()


def _geometric_frequencies(features: int, scale: float = 1.0) -> Tensor:
    """Frequencies scale * 10000^(-i / (features - 1)), (features, 1) (Vaswani et al. 2017)."""
    return scale * torch.logspace(0, -4, features)[:, None]


class Denoiser(nn.Module):
    """The multilayer perceptron F with its preconditioning: (x_t (B, 2), t () or (B,)) -> (B, 2)."""

    def __init__(self, network: Network, path: Path) -> None:
        super().__init__()
        self.network, self.path = network, path
        self.embed_input, input_size = _input_embedding(network)
        self.embed_time, time_size = _time_embedding(network)
        self.input = nn.Linear(input_size + time_size, network.width)
        layer = nn.Linear(network.width, network.width)
        self.hidden = nn.ModuleList(
            layer if network.tied or not i else nn.Linear(network.width, network.width)
            for i in range(network.depth)
        )
        self.output = nn.Linear(network.width, 2)
        self.activation = {"silu": nn.SiLU(), "gelu": nn.GELU(), "relu": nn.ReLU()}[
            network.activation
        ]

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Return D(x_t, t), the posterior mean."""
        alpha, sigma = self.path.alpha(t).to(x), self.path.sigma(t).to(x)
        c_skip, c_out = coefficients(self.network.prediction, alpha, sigma, self.network.sigma_data)
        return c_skip[..., None] * x + c_out[..., None] * self.predict(x, t)

    def predict(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the network's own output F, (B, 2)."""
        alpha, sigma = self.path.alpha(t).to(x), self.path.sigma(t).to(x)
        c_in = ((alpha * self.network.sigma_data) ** 2 + sigma**2).rsqrt()
        time = self._time_features(t.to(x), alpha, sigma).expand(len(x), -1)
        h = torch.cat((self.embed_input(c_in[..., None] * x), time), -1)
        h = self.activation(self.input(h))
        for layer in self.hidden:
            update = self.activation(layer(h))
            h = h + update if self.network.residual else update
        return self.output(h)

    def _time_features(self, t: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        if self.network.time_embedding == "fourier":
            return self.embed_time((sigma / alpha).log().reshape(-1, 1))
        return self.embed_time(self.path.timestep(t).reshape(-1, 1))


def fitted(network: Network, density: GaussianMixture) -> Network:
    """Return `network` with the input bandwidth that suits the spacing of the anchors, if it has none.

    Finer detail needs higher frequencies, and higher frequencies than needed cost accuracy: with
    the greatest at 3/4 pi / spacing, its half wave spans a little more than the gap between anchors.
    """
    if network.input_bandwidth is not None:
        return network
    bandwidth = min(10.0, max(4.0, 0.75 / density.spacing()))
    return network.model_copy(update={"input_bandwidth": bandwidth})


def initialize(network: Network, path: Path, seed: int) -> Denoiser:
    """Return a denoiser whose first weights depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Denoiser(network, path)


class _WithIdentity(nn.Module):
    """An embedding with its own input beside it."""

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        self.embedding = embedding

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.embedding(x)), -1)


class _PerAxis(nn.Module):
    """One embedding of numbers for each of the two coordinates."""

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        self.embedding = embedding

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.embedding(x[:, :1]), self.embedding(x[:, 1:])), -1)


def _input_embedding(network: Network) -> tuple[nn.Module, int]:
    """Return the embedding of c_in x and its size."""
    features = network.input_features
    if network.input_embedding == "identity":
        return nn.Identity(), 2
    if network.input_embedding == "sinusoidal":
        # tiny-diffusion stretches the coordinates by 25 before its positional embedding.
        return _PerAxis(FourierFeatures(_geometric_frequencies(features, 25.0))), 4 * features
    frequencies = _planar_frequencies(features, network.input_bandwidth or 4.0)
    return _WithIdentity(FourierFeatures(frequencies)), 2 + 2 * features


def _time_embedding(network: Network) -> tuple[nn.Module, int]:
    """Return the embedding of the noise level (log noise ratio or timestep) and its size."""
    features = network.time_features
    if network.time_embedding == "identity":
        return nn.Identity(), 1
    if network.time_embedding == "sinusoidal":
        return FourierFeatures(_geometric_frequencies(features)), 2 * features
    # Periods from about a tenth of a nat of log noise ratio to its whole range.
    frequencies = torch.logspace(math.log10(0.25), math.log10(4.0), features)[:, None]
    return _WithIdentity(FourierFeatures(frequencies)), 1 + 2 * features
