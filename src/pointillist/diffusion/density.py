r"""The known truth: a shape as a Gaussian mixture, exact at every noise level.

Every anchor :math:`a_i` carries a Gaussian of standard deviation :math:`h`, the bandwidth:

.. math:: p(x_0) = \frac{1}{N} \sum_i \mathcal{N}(x_0; a_i, h^2 I)

Along a Gaussian path :math:`x_t = \alpha x_0 + \sigma \epsilon` it stays a mixture, with
components :math:`\mathcal{N}(\alpha a_i, \tau^2 I)`, :math:`\tau^2 = \alpha^2 h^2 + \sigma^2`. With the
responsibilities :math:`w_i(x) \propto \exp(-|x - \alpha a_i|^2 / 2 \tau^2)` and
:math:`\bar a = \sum_i w_i a_i`,

.. math::
    \nabla \log p_t(x) &= (\alpha \bar a - x) / \tau^2 \\
    E[x_0 | x_t = x] &= (\sigma^2 \bar a + \alpha h^2 x) / \tau^2
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Responsibilities of one block, as (queries, anchors): 32 MiB in float32.
_BLOCK_ELEMENTS = 2**23


@dataclass(frozen=True)
class GaussianMixture:
    """Equal Gaussians of standard deviation `bandwidth` at `anchors` (N, 2), model coordinates."""

    anchors: Tensor
    bandwidth: float

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> GaussianMixture:
        """Return the same mixture on another device or in another precision."""
        return GaussianMixture(self.anchors.to(device, dtype), self.bandwidth)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return the mean (2,) and the covariance (2, 2)."""
        mean = self.anchors.mean(0)
        centred = self.anchors - mean
        covariance = centred.T @ centred / len(self.anchors)
        return mean, covariance + self.bandwidth**2 * torch.eye(2).to(covariance)

    def spacing(self, n: int = 2048) -> float:
        """Return the median distance from an anchor to its nearest other, over at most n anchors.

        Anchors at one place count as one.
        """
        distinct = torch.unique(self.anchors, dim=0)
        if len(distinct) < 2:
            return self.bandwidth
        some = distinct[:: math.ceil(len(distinct) / n)]
        nearest = [
            torch.cdist(rows, distinct).topk(2, largest=False).values for rows in some.split(256)
        ]
        return torch.cat(nearest)[:, 1].median().item()

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw x_0 (n, 2) and the index (n,) of the anchor that each point came from."""
        anchors = self.anchors
        source = torch.randint(len(anchors), (n,), generator=generator, device=anchors.device)
        noise = torch.randn(n, 2, generator=generator, device=anchors.device, dtype=anchors.dtype)
        return self.anchors[source] + self.bandwidth * noise, source

    def log_prob(
        self, x: Tensor, alpha: Tensor | float = 1.0, sigma: Tensor | float = 0.0
    ) -> Tensor:
        """Log-density of x_t (B, 2) in nats, (B,); `alpha` and `sigma` are scalars or (B,)."""
        log_density = []
        for x_, alpha_, tau2_ in self._blocks(x, alpha, sigma):
            exponent = torch.logsumexp(self._log_kernel(x_, alpha_, tau2_), -1)
            log_density.append(
                exponent - torch.log(2 * math.pi * tau2_) - math.log(len(self.anchors))
            )
        return torch.cat(log_density)

    def score(self, x: Tensor, alpha: Tensor | float = 1.0, sigma: Tensor | float = 0.0) -> Tensor:
        """Gradient of `log_prob` with respect to x, (B, 2)."""
        alpha, _, tau2 = self._levels(x, alpha, sigma)
        return (alpha[:, None] * self._mean_anchor(x, alpha, sigma) - x) / tau2[:, None]

    def denoise(self, x: Tensor, alpha: Tensor | float, sigma: Tensor | float) -> Tensor:
        """Return the ideal denoiser E[x_0 | x_t = x], (B, 2)."""
        alpha, sigma, tau2 = self._levels(x, alpha, sigma)
        mean_anchor = self._mean_anchor(x, alpha, sigma)
        blend = alpha * self.bandwidth**2 / tau2
        return (sigma**2 / tau2)[:, None] * mean_anchor + blend[:, None] * x

    def _mean_anchor(self, x: Tensor, alpha: Tensor | float, sigma: Tensor | float) -> Tensor:
        return torch.cat(
            [
                torch.softmax(self._log_kernel(x_, alpha_, tau2_), -1) @ self.anchors
                for x_, alpha_, tau2_ in self._blocks(x, alpha, sigma)
            ]
        )

    def _log_kernel(self, x: Tensor, alpha: Tensor, tau2: Tensor) -> Tensor:
        """-|x - alpha a_i|^2 / 2 tau^2, (B, N); by differences, since the expanded square cancels."""
        precision = torch.rsqrt(2 * tau2)
        scaled, rate = x * precision[:, None], alpha * precision
        horizontal = torch.addr(scaled[:, :1], rate, self.anchors[:, 0], alpha=-1)
        vertical = torch.addr(scaled[:, 1:], rate, self.anchors[:, 1], alpha=-1)
        return horizontal.square_().addcmul_(vertical, vertical).neg_()

    def _levels(
        self, x: Tensor, alpha: Tensor | float, sigma: Tensor | float
    ) -> tuple[Tensor, Tensor, Tensor]:
        alpha = torch.as_tensor(alpha, dtype=x.dtype, device=x.device).expand(len(x))
        sigma = torch.as_tensor(sigma, dtype=x.dtype, device=x.device).expand(len(x))
        return alpha, sigma, (alpha * self.bandwidth) ** 2 + sigma**2

    def _blocks(
        self, x: Tensor, alpha: Tensor | float, sigma: Tensor | float
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        alpha, _, tau2 = self._levels(x, alpha, sigma)
        rows = max(1, _BLOCK_ELEMENTS // len(self.anchors))
        return list(zip(x.split(rows), alpha.split(rows), tau2.split(rows), strict=True))
