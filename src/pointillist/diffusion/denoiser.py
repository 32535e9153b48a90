r"""Denoisers, (x_t, t) -> E[x_0 | x_t]: the exact one, and the one that is learnt.

The learnt one is a multilayer perceptron F within the coefficients of `preconditioning`:

.. math:: D(x_t, t) = c_{skip} x_t + c_{out} F(c_{in} x_t, c_{noise})
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pointillist.diffusion import embeddings, preconditioning
from pointillist.diffusion.config import Network
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.fast import network as fast
from pointillist.diffusion.preconditioning import Coefficients
from pointillist.diffusion.schedules import Path
from pointillist.runtime import parallel

BLOCK = 2048
"""Points that pass through the network at once on a CPU: what it keeps of them stays in caches."""
DTYPE = torch.float32
"""Precision of the network and of its training."""

Denoise = Callable[[Tensor, Tensor], Tensor]
"""(x_t (B, 2), t () or (B,)) -> E[x_0 | x_t] (B, 2): the common currency."""


def exact_denoiser(density: GaussianMixture, path: Path) -> Denoise:
    """Return the ideal denoiser of `density` along `path`: the oracle in a network's place."""

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        return density.denoise(x, path.alpha(t).to(x.dtype), path.sigma(t).to(x.dtype))

    return denoise


class AtLevel(NamedTuple):
    """A denoiser at one time."""

    answer: Callable[[Tensor], Tensor]
    """E[x_0 | x_t] (B, 2) of x_t (B, 2)."""
    with_trace: Callable[[Tensor], tuple[Tensor, Tensor]] | None
    """The same, and the trace of its Jacobian by x_t (B,); None: autograd is the only way."""


class Denoiser(nn.Module):
    """The network with its preconditioning: (x_t (B, 2), t () or (B,)) -> (B, 2)."""

    def __init__(self, network: Network, path: Path) -> None:
        super().__init__()
        self.network, self.path = network, path
        self.embed_input, input_size = embeddings.input_embedding(network)
        self.embed_time, time_size = embeddings.time_embedding(network)
        self.input = nn.Linear(input_size + time_size, network.width)
        layer = nn.Linear(network.width, network.width)
        self.hidden = nn.ModuleList(
            layer if network.tied or not i else nn.Linear(network.width, network.width)
            for i in range(network.depth)
        )
        self.output = nn.Linear(network.width, 2)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Return D(x_t, t), the posterior mean."""
        if len(x) <= BLOCK or x.device.type != "cpu" or torch.is_grad_enabled():
            return self._posterior_mean(x, t)
        if t.ndim:
            blocks = zip(x.split(BLOCK), t.split(BLOCK), strict=True)
            return torch.cat(parallel(lambda of: self._posterior_mean(*of), blocks, x.device))
        at = self.at(t.to(x))
        return torch.cat(parallel(at.answer, x.split(BLOCK), x.device))

    def at(self, t: Tensor) -> AtLevel:
        """Return the denoiser at a time t () that all points share: for many points, sooner."""
        c = self._coefficients_at(t, t)
        output, traced = fast.at_level(self, t, c)

        def answer(x: Tensor) -> Tensor:
            return c.c_skip * x + c.c_out * output(x)

        def with_trace(x: Tensor) -> tuple[Tensor, Tensor]:
            assert traced is not None
            value, trace = traced(x)
            return c.c_skip * x + c.c_out * value, 2 * c.c_skip + c.c_out * trace

        return AtLevel(answer, None if traced is None else with_trace)

    def _posterior_mean(self, x: Tensor, t: Tensor) -> Tensor:
        c = self._coefficients_at(t, x)
        return c.c_skip[..., None] * x + c.c_out[..., None] * self.output_at(x, t, c)

    def predict(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the network's own output F, (B, 2): `predict_as_written`, in less time."""
        return self.output_at(x, t, self._coefficients_at(t, x))

    def output_at(self, x: Tensor, t: Tensor, c: Coefficients) -> Tensor:
        """Return `predict` of times whose coefficients are known, (B, 2)."""
        return fast.predict(self, x, t.to(x), c)

    def predict_as_written(self, x: Tensor, t: Tensor) -> Tensor:
        """Return F(c_in x_t, c_noise), (B, 2), as one would write it."""
        c = self._coefficients_at(t, x)
        activation = getattr(nn.functional, self.network.activation)
        place = self.embed_input(c.c_in[..., None] * x, c.c_in * c.tau)
        time = self.embed_time(self.noise_label(t.to(x), c).reshape(-1, 1)).expand(len(x), -1)
        h = activation(self.input(torch.cat((place, time), -1)))
        for layer in self.hidden:
            h = h + activation(layer(h)) if self.network.residual else activation(layer(h))
        return self.output(h)

    def layers(self) -> list[nn.Linear]:
        """Return the hidden layers after the first, one as often as it is passed."""
        return [layer for layer in self.hidden if isinstance(layer, nn.Linear)]

    def coefficients(self, alpha: Tensor, sigma: Tensor) -> Coefficients:
        """Return c_skip, c_out, c_in and c_noise of the network's own prediction."""
        network = self.network
        return preconditioning.coefficients(
            network.prediction,
            alpha,
            sigma,
            network.sigma_data,
            network.bandwidth or 0.0,
            network.preconditioned,
        )

    def error_weight(self, alpha: Tensor, sigma: Tensor, c_out: Tensor) -> Tensor:
        """Return what turns a squared error of F into one of the predicted quantity."""
        return preconditioning.error_weight(self.network.prediction, alpha, sigma, c_out)

    def _coefficients_at(self, t: Tensor, x: Tensor) -> Coefficients:
        return self.coefficients(self.path.alpha(t).to(x), self.path.sigma(t).to(x))

    def noise_label(self, t: Tensor, c: Coefficients) -> Tensor:
        """Return what the network is told of the noise: c_noise or, as in the originals, the timestep."""
        return c.c_noise if self.network.time_embedding == "fourier" else self.path.timestep(t)


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
