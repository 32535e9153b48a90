r"""How a point and a noise level enter the network: Fourier features, sinusoids, or as they are.

Embeddings of points are called with x (B, 2) and the standard `deviation`, () or (B,), of the noise
around it, which only `IntegratedFourierFeatures` uses. All frequencies are fixed, not learned, and
travel with the weights.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pointillist.diffusion.config import Network
from pointillist.diffusion.fast.features import cos_and_sin, fading_rates, waves


class FourierFeatures(nn.Module):
    r"""cos and sin of :math:`\omega \cdot x` (Tancik et al. 2020): (B, d) -> (B, 2 * features).

    The frequencies omega are the rows of `frequencies`, (features, d).
    """

    frequencies: Tensor

    def __init__(self, frequencies: Tensor) -> None:
        super().__init__()
        self.register_buffer("frequencies", frequencies)

    def forward(self, x: Tensor, deviation: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Embed x."""
        return cos_and_sin(x, self.frequencies)


class IntegratedFourierFeatures(FourierFeatures):
    r"""Expected Fourier features of a Gaussian around x (Barron et al. 2021, eq. 9 and 10).

    :math:`E \cos(\omega \cdot y) = e^{-|\omega|^2 s^2 / 2} \cos(\omega \cdot x)` for
    :math:`y \sim N(x, s^2 I)`, and likewise for the sine. A detail finer than the noise says nothing
    about where x came from; so each frequency fades where it would only mislead, and the greatest
    can be as high as the least noise asks for. Frequencies must rise: `fast` leaves out the last.
    """

    @property
    def prepared(self) -> tuple[Tensor, Tensor]:
        """What `fast.features.faded` asks for again and again: `waves`, and `fading_rates` in bits."""
        if self._prepared is None or self._prepared[0] is not self.frequencies:
            found = waves(self.frequencies), fading_rates(self.frequencies) / math.log(2)
            self._prepared = self.frequencies, found
        return self._prepared[1]

    _prepared: tuple[Tensor, tuple[Tensor, Tensor]] | None = None

    def forward(self, x: Tensor, deviation: Tensor | None = None) -> Tensor:
        """Embed x (B, d) under noise of standard `deviation`; None: none."""
        if deviation is None:
            return super().forward(x)
        fading = (-0.5 * deviation.reshape(-1, 1) ** 2 * self.frequencies.square().sum(-1)).exp()
        return super().forward(x) * fading.repeat(1, 2)


class _AsItIs(nn.Module):
    """Its own input."""

    def forward(self, x: Tensor, deviation: Tensor | None = None) -> Tensor:  # noqa: ARG002
        return x


class _WithIdentity(nn.Module):
    """An embedding with its own input beside it."""

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        self.embedding = embedding

    def forward(self, x: Tensor, deviation: Tensor | None = None) -> Tensor:  # noqa: ARG002
        return torch.cat((x, self.embedding(x)), -1)


class _PerAxis(nn.Module):
    """One embedding of numbers for each of the two coordinates."""

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        self.embedding = embedding

    def forward(self, x: Tensor, deviation: Tensor | None = None) -> Tensor:  # noqa: ARG002
        return torch.cat((self.embedding(x[..., :1]), self.embedding(x[..., 1:])), -1)


def input_embedding(network: Network) -> tuple[nn.Module, int]:
    """Return the embedding of c_in x and its size."""
    features = network.input_features
    if network.input_embedding == "identity":
        return _AsItIs(), 2
    if network.input_embedding == "sinusoidal":
        # tiny-diffusion stretches the coordinates by 25 before its positional embedding.
        return _PerAxis(FourierFeatures(_geometric_frequencies(features, 25.0))), 4 * features
    frequencies = _planar_frequencies(features, network.input_bandwidth or 10.0)
    if network.input_embedding == "integrated":
        return IntegratedFourierFeatures(frequencies), 2 * features
    return _WithIdentity(FourierFeatures(frequencies)), 2 + 2 * features


def time_embedding(network: Network) -> tuple[nn.Module, int]:
    """Return the embedding of the noise level (log noise ratio or timestep, (B, 1)) and its size."""
    features = network.time_features
    if network.time_embedding == "identity":
        return _AsItIs(), 1
    if network.time_embedding == "sinusoidal":
        return FourierFeatures(_geometric_frequencies(features)), 2 * features
    # Periods from about a tenth of a nat of log noise ratio to its whole range.
    frequencies = torch.logspace(math.log10(0.25), math.log10(4.0), features)[:, None]
    return _WithIdentity(FourierFeatures(frequencies)), 1 + 2 * features


def _planar_frequencies(features: int, bandwidth: float) -> Tensor:
    """Frequencies (features, 2): golden angles, magnitudes even up to bandwidth * pi."""
    index = torch.arange(features, dtype=torch.float64)
    angle = index * math.pi * (math.sqrt(5) - 1)
    magnitude = bandwidth * math.pi * (index + 0.5) / features
    return torch.stack((magnitude * angle.cos(), magnitude * angle.sin()), -1).float()


def _geometric_frequencies(features: int, scale: float = 1.0) -> Tensor:
    """Frequencies scale * 10000^(-i / (features - 1)), (features, 1) (Vaswani et al. 2017)."""
    return scale * torch.logspace(0, -4, features)[:, None]
