r"""The network, and what its output means.

Whatever the network predicts, the denoiser returns the posterior mean

.. math:: D(x_t, t) = c_{skip} x_t + c_{out} F(c_{in} x_t, t) \approx E[x_0 | x_t]

(Karras et al. 2022, eq. 7, for a general path). What is predicted decides in which units errors count.

The noise that the network is told of is not :math:`\sigma` alone. A point of the truth lies a Gaussian
of standard deviation :math:`h` (the bandwidth) off its anchor, so :math:`x_t` is an anchor under noise of
:math:`\tau^2 = \alpha^2 h^2 + \sigma^2`, and nothing is left to learn below :math:`\tau / \alpha = h`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pointillist.diffusion.config import Network
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.schedules import Path

DTYPE = torch.float32
"""Precision of the network and of its training."""

# Beside features of 1, what is multiplied by exp(-18) isn't there: half a unit in the last place of
# single precision is 3e-8. Much smaller factors would make numbers that processors are slow with.
_LEAST_EXPONENT = -18.0

Denoise = Callable[[Tensor, Tensor], Tensor]
"""(x_t (B, 2), t () or (B,)) -> E[x_0 | x_t] (B, 2): the common currency."""


def exact_denoiser(density: GaussianMixture, path: Path) -> Denoise:
    """Return the ideal denoiser of `density` along `path`: the oracle in a network's place."""

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        return density.denoise(x, path.alpha(t).to(x.dtype), path.sigma(t).to(x.dtype))

    return denoise


def anchor_noise(alpha: Tensor, sigma: Tensor, bandwidth: float) -> Tensor:
    r"""Return tau, the standard deviation of x_t around alpha times its anchor, of alpha's shape."""
    return ((alpha * bandwidth) ** 2 + sigma**2).sqrt()


def coefficients(
    prediction: str,
    alpha: Tensor,
    sigma: Tensor,
    sigma_data: float = 1.0,
    bandwidth: float = 0.0,
    preconditioned: bool = True,
) -> tuple[Tensor, Tensor]:
    """Return c_skip and c_out, by which the output F becomes x_0 = c_skip x_t + c_out F.

    `preconditioned`, they are those of edm, whatever the prediction (Karras et al. 2022, table 1):
    c_skip x_t is the best linear guess of x_0, exact for Gaussian data of deviation `sigma_data`, and
    c_out F, F of variance 1, is what is left. So what x_t itself says need not be learnt, it holds for
    any x_t, and no error of F is ever more than c_out times as large. The prediction decides in which
    units errors count (`error_weight`). Otherwise F is the predicted quantity itself, whose error
    1 / alpha makes large where there is much noise, and which a bounded network can't follow farther
    out than it saw.

    With a `bandwidth`, F tells of the anchor a of a point, E[a | x_t] being what the table says for noise
    tau; E[x_0 | x_t] = (sigma^2 E[a | x_t] + alpha h^2 x_t) / tau^2 then follows exactly. Without one,
    a is x_0.
    """
    if prediction != "edm" and not preconditioned:
        return _quantity(prediction, alpha, sigma)
    tau = anchor_noise(alpha, sigma, bandwidth)
    variance = (alpha * sigma_data) ** 2 + tau**2
    share = (sigma / tau) ** 2
    skip = share * alpha * sigma_data**2 / variance + alpha * (bandwidth / tau) ** 2
    return skip, share * tau * sigma_data * variance.rsqrt()


def _quantity(prediction: str, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Return the c_skip and c_out by which the predicted quantity becomes x_0.

    ========== ================================== =============================================
    prediction quantity                           source
    ========== ================================== =============================================
    eps        the noise eps                      Ho et al. 2020, eq. 15
    x0         the clean point                    Luo 2022, eq. 99
    v          (alpha eps - sigma x_0) / |.|      Salimans & Ho 2022, |.| = sqrt(alpha^2 + sigma^2)
    flow       eps - x_0                          Lipman et al. 2023, with time reversed
    ========== ================================== =============================================
    """
    if prediction == "eps":
        return 1 / alpha, -sigma / alpha
    if prediction == "x0":
        return torch.zeros_like(alpha), torch.ones_like(alpha)
    if prediction == "v":
        variance = alpha**2 + sigma**2
        return alpha / variance, -sigma * variance.rsqrt()
    return 1 / (alpha + sigma), -sigma / (alpha + sigma)


class FourierFeatures(nn.Module):
    """cos and sin of `frequencies` @ x (Tancik et al. 2020): (B, d) -> (B, 2 * features).

    The frequencies (features, d) are fixed, not learned, and travel with the weights.
    """

    frequencies: Tensor
    _phases: Tensor

    def __init__(self, frequencies: Tensor) -> None:
        super().__init__()
        self.register_buffer("frequencies", frequencies)
        # sin(p) = cos(p - pi / 2): one pass over one tensor serves both.
        phases = torch.tensor([0.0, -math.pi / 2]).repeat_interleave(len(frequencies))
        self.register_buffer("_phases", phases, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Embed x."""
        return self._waves(x, len(self.frequencies))

    def _waves(self, x: Tensor, first: int) -> Tensor:
        """Return cos and sin of the `first` frequencies alone, (B, 2 * first)."""
        frequencies = self.frequencies[:first].repeat(2, 1)
        phases = self._phases.unflatten(0, (2, -1))[:, :first].reshape(-1, 1)
        # The phases as one more column: adding them would be another pass.
        ones = nn.functional.pad(x, (0, 1), value=1.0)
        return (ones @ torch.cat((frequencies, phases), 1).T).cos_()


class IntegratedFourierFeatures(FourierFeatures):
    r"""Expected Fourier features of a Gaussian around x (Barron et al. 2021, eq. 9 and 10).

    :math:`E \cos(\omega \cdot y) = e^{-|\omega|^2 s^2 / 2} \cos(\omega \cdot x)` for
    :math:`y \sim N(x, s^2 I)`, and likewise for the sine. A detail finer than the noise says nothing
    about where x came from; so each frequency fades where it would only mislead, and the greatest
    can be as high as the least noise asks for. Frequencies must rise: what is left out are the last.
    """

    def forward(self, x: Tensor, deviation: Tensor) -> Tensor:  # type: ignore[override]
        """Embed x (B, d) under noise of standard `deviation` () or (B,)."""
        fading = self._exponents(deviation.reshape(-1, 1)).clamp_(min=_LEAST_EXPONENT).exp_()
        features = super().forward(x)
        features.unflatten(-1, (2, -1)).mul_(fading[:, None])
        return features

    def project(self, x: Tensor, deviation: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return features f and weights w with f @ w.T = forward(x, deviation) @ weight.T.

        Noise that all points share, a `deviation` (), fades the columns of `weight` instead of every
        row of features, and on a CPU, frequencies that have faded away are left out of both.
        """
        if deviation.ndim:
            return self(x, deviation), weight
        exponents = self._exponents(deviation)
        alive = len(exponents)
        if exponents.device.type == "cpu":  # An accelerator would have to be waited for.
            alive = int(torch.count_nonzero(exponents > _LEAST_EXPONENT))
        fading = exponents[:alive].clamp(min=_LEAST_EXPONENT).exp()
        faded = weight.unflatten(1, (2, -1))[..., :alive] * fading
        return self._waves(x, alive), faded.flatten(1)

    def _exponents(self, deviation: Tensor) -> Tensor:
        """Return the logarithms of what is left of each frequency, (..., features)."""
        return deviation.square() * (-0.5 * self.frequencies.square().sum(-1))


def _planar_frequencies(features: int, bandwidth: float) -> Tensor:
    """Frequencies (features, 2): golden angles, magnitudes even up to bandwidth * pi."""
    index = torch.arange(features, dtype=torch.float64)
    angle = index * math.pi * (math.sqrt(5) - 1)
    magnitude = bandwidth * math.pi * (index + 0.5) / features
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

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Return D(x_t, t), the posterior mean."""
        alpha, sigma = self.path.alpha(t).to(x), self.path.sigma(t).to(x)
        c_skip, c_out = self.coefficients(alpha, sigma)
        return c_skip[..., None] * x + c_out[..., None] * self.predict(x, t)

    def coefficients(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Return the c_skip and c_out of the network's own prediction."""
        network = self.network
        return coefficients(
            network.prediction,
            alpha,
            sigma,
            network.sigma_data,
            network.bandwidth or 0.0,
            network.preconditioned,
        )

    def error_weight(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Return what turns a squared error of F into one of the predicted quantity, of alpha's shape."""
        if self.network.prediction == "edm":
            return torch.ones_like(alpha)
        _, c_out = self.coefficients(alpha, sigma)
        return (c_out / _quantity(self.network.prediction, alpha, sigma)[1]).square()

    def predict(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the network's own output F, (B, 2)."""
        alpha, sigma = self.path.alpha(t).to(x), self.path.sigma(t).to(x)
        tau = anchor_noise(alpha, sigma, self.network.bandwidth or 0.0)
        c_in = ((alpha * self.network.sigma_data) ** 2 + tau**2).rsqrt()
        time = self._time_features(t.to(x), tau / alpha)
        # Two products, not one of the joined inputs: a time that all points share is embedded once.
        columns = self.input.weight.shape[1] - time.shape[1]
        weight_place, weight_time = self.input.weight.split((columns, time.shape[1]), 1)
        place, weight_place = self._place(c_in[..., None] * x, c_in * tau, weight_place)
        shift = nn.functional.linear(time, weight_time, self.input.bias)
        h = self._activate(torch.addmm(shift, place, weight_place.T))
        for layer in self.hidden:
            update = self._activate(layer(h))
            h = self._join(h, update) if self.network.residual else update
        return self.output(h)

    def _activate(self, h: Tensor) -> Tensor:
        function = getattr(nn.functional, self.network.activation)
        # Where no gradient asks for the old numbers again, writing over them spares the memory.
        if torch.is_grad_enabled() or self.network.activation == "gelu":
            return function(h)
        return function(h, inplace=True)

    def _join(self, h: Tensor, update: Tensor) -> Tensor:
        # Of the activations, only relu's gradient asks for its own output again.
        if torch.is_grad_enabled() and self.network.activation == "relu":
            return h + update
        return update.add_(h)

    def _place(self, x: Tensor, deviation: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and weights whose product tells the network where x is."""
        if isinstance(self.embed_input, IntegratedFourierFeatures):
            return self.embed_input.project(x, deviation, weight)
        return self.embed_input(x), weight

    def _time_features(self, t: Tensor, noise_ratio: Tensor) -> Tensor:
        if self.network.time_embedding == "fourier":
            return self.embed_time(noise_ratio.log().reshape(-1, 1))
        return self.embed_time(self.path.timestep(t).reshape(-1, 1))


def fitted(network: Network, density: GaussianMixture) -> Network:
    """Return `network` with what depends on the shape filled in, where it is not given.

    The bandwidth is the truth's own. The greatest input frequency is 3/2 pi / spacing, within bounds:
    one and a half half waves then span the gap between neighbouring anchors, which is what the
    network has to tell apart, and higher frequencies than needed cost accuracy.
    """
    filled: dict[str, float] = {}
    if network.bandwidth is None:
        filled["bandwidth"] = density.bandwidth
    if network.input_bandwidth is None:
        filled["input_bandwidth"] = min(40.0, max(10.0, 1.5 / max(density.spacing(), 1e-9)))
    return network.model_copy(update=filled)


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
    frequencies = _planar_frequencies(features, network.input_bandwidth or 10.0)
    if network.input_embedding == "integrated":
        return IntegratedFourierFeatures(frequencies), 2 * features
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
