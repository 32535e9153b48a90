r"""The known truth: a shape as a Gaussian mixture, exact at every noise level.

Every anchor :math:`a_i` carries a Gaussian of standard deviation :math:`h`, the bandwidth:

.. math:: p(x_0) = \sum_i \pi_i \mathcal{N}(x_0; a_i, h^2 I)

The weights :math:`\pi_i` are all 1/N unless others are given. Along a Gaussian path
:math:`x_t = \alpha x_0 + \sigma \epsilon` it stays a mixture, with components
:math:`\mathcal{N}(\alpha a_i, \tau^2 I)`, :math:`\tau^2 = \alpha^2 h^2 + \sigma^2`. With the
responsibilities :math:`w_i(x) \propto \pi_i \exp(-|x - \alpha a_i|^2 / 2 \tau^2)` and
:math:`\bar a = \sum_i w_i a_i`,

.. math::
    \nabla \log p_t(x) &= (\alpha \bar a - x) / \tau^2 \\
    E[x_0 | x_t = x] &= (\sigma^2 \bar a + \alpha h^2 x) / \tau^2

`posterior_as_written` is these w_i and their mean; all methods of `GaussianMixture` follow from it.

A Gaussian may be an ellipse, of covariance :math:`h^2 I + C_i`. Then :math:`x_t` is a mixture of
:math:`\mathcal{N}(\alpha a_i, \Lambda_i)`, :math:`\Lambda_i = \alpha^2 (h^2 I + C_i) + \sigma^2 I`, and
with the responsibilities of these

.. math::
    \nabla \log p_t(x) &= \sum_i w_i \Lambda_i^{-1} (\alpha a_i - x) \\
    E[x_0 | x_t = x] &= \sum_i w_i [a_i + \alpha (h^2 I + C_i) \Lambda_i^{-1} (x - \alpha a_i)]
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pointillist.diffusion import ellipses
from pointillist.diffusion.ellipses import Ellipses
from pointillist.diffusion.fast.posterior import posterior
from pointillist.errors import PointillistError

_ENTROPY_DRAWS = 100_000
_BLOCK_ROWS = 4096
# Above it a tree finds nearest anchors sooner, and in less memory, than all distances do.
_MOST_PAIRED = 16_384


def posterior_as_written(
    x: Tensor, anchors: Tensor, log_weights: Tensor | None, alpha: Tensor, tau2: Tensor
) -> tuple[Tensor, Tensor]:
    r"""Return what a noisy point x (B, 2) says about its anchor, by Bayes' rule.

    The logarithm of the anchors' summed kernels, (B,), and their mean :math:`\bar a`, (B, 2):

    .. math::
        \log \sum_i \pi_i \exp(-|x - \alpha a_i|^2 / 2 \tau^2), \quad
        \bar a = \mathrm{softmax}_i(\log \pi_i - |x - \alpha a_i|^2 / 2 \tau^2) \cdot a

    `alpha` and `tau2` are (B,); `log_weights` (N,) are the log pi_i, None: all 0. `fast.posterior` gives
    the same numbers in less time and memory.
    """
    squares = (x[:, None] - alpha[:, None, None] * anchors).square().sum(-1)  # (B, N)
    logits = -squares / (2 * tau2[:, None])
    logits = logits if log_weights is None else logits + log_weights
    return logits.logsumexp(-1), logits.softmax(-1) @ anchors


@dataclass(frozen=True)
class GaussianMixture:
    """Gaussians of standard deviation `bandwidth` at `anchors` (N, 2), model coordinates.

    Raises
    ------
    PointillistError
        If the anchors are not (N, 2) floating-point numbers, the bandwidth is below 0 or not finite,
        `weights` are not N positive, finite numbers, or `covariances` are not (N, 2, 2), symmetric and
        without a negative eigenvalue.
    """

    anchors: Tensor
    bandwidth: float
    weights: Tensor | None = None
    """Share of each Gaussian, (N,), brought to a sum of 1; None: all alike."""
    covariances: Tensor | None = None
    """What each Gaussian has beyond bandwidth^2 I, (N, 2, 2); None: nothing."""

    def __post_init__(self) -> None:
        if not 0 <= self.bandwidth < math.inf:
            raise PointillistError(
                f"The bandwidth of a mixture is a standard deviation: at least 0, not {self.bandwidth}."
            )
        anchors = self.anchors
        if (
            anchors.ndim != 2
            or anchors.shape[1] != 2
            or not len(anchors)
            or not anchors.is_floating_point()
        ):
            raise PointillistError(
                f"The anchors of a mixture are (N, 2) numbers with a fraction, not "
                f"{tuple(anchors.shape)} of {anchors.dtype}."
            )
        if self.covariances is not None:
            object.__setattr__(self, "covariances", self.covariances.to(anchors))
            if self.covariances.shape != (len(anchors), 2, 2) or not _all_covariances(
                self.covariances
            ):
                raise PointillistError(
                    f"A mixture of {len(anchors)} anchors has as many covariances, symmetric 2 x 2 "
                    "matrices whose eigenvalues are at least 0."
                )
        if self.weights is None:
            return
        weights = self.weights.to(self.anchors)
        if weights.shape != self.anchors.shape[:1] or not _all_positive(weights):
            raise PointillistError(
                f"A mixture of {len(self.anchors)} anchors needs as many weights, all positive and "
                "finite. Leave out the anchors whose weight is 0."
            )
        # The sum of great ones would be infinite.
        weights = weights / weights.max()
        object.__setattr__(self, "weights", weights / weights.sum())

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> GaussianMixture:
        """Return the same mixture on another device or in another precision."""
        anchors, covariances = self.anchors.to(device, dtype), self.covariances
        return GaussianMixture(anchors, self.bandwidth, self.weights, covariances)

    def of(self, index: Tensor) -> GaussianMixture:
        """Return the mixture of the anchors at `index` (M,), all of one weight.

        Its parts were checked with the whole, and their axes are known: no accelerator is waited for.
        """
        some = GaussianMixture(self.anchors[index], self.bandwidth)
        if self.covariances is None:
            return some
        whole = self._ellipses
        assert whole is not None
        ellipses = Ellipses(
            some.anchors, some.shares.log(), whole.variances[index], whole.axes[index]
        )
        vars(some).update(covariances=self.covariances[index], _ellipses=ellipses)
        return some

    @property
    def shares(self) -> Tensor:
        """Share of each Gaussian, (N,), whether all are alike or not."""
        if self.weights is not None:
            return self.weights
        return self.anchors.new_full((len(self.anchors),), 1 / len(self.anchors))

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return the mean (2,) and the covariance (2, 2)."""
        weights = self.shares
        mean = weights @ self.anchors
        centred = self.anchors - mean
        covariance = (weights[:, None] * centred).T @ centred
        if self.covariances is not None:
            covariance = covariance + torch.einsum("n,nij->ij", weights, self.covariances)
        return mean, covariance + self.bandwidth**2 * torch.eye(2).to(covariance)

    def spacing(self, n: int = 2048) -> float:
        """Return the median distance from an anchor to its nearest other, over at most n anchors.

        Anchors at one place count as one, whatever their weights.
        """
        distinct = torch.unique(self.anchors, dim=0)
        if len(distinct) < 2:
            return self.bandwidth
        some = distinct[:: math.ceil(len(distinct) / n)]
        if len(distinct) > _MOST_PAIRED:
            from scipy.spatial import KDTree

            near = KDTree(distinct.cpu().numpy()).query(some.cpu().numpy(), k=2)[0]
            return float(torch.from_numpy(near)[:, 1].median())
        nearest = [
            torch.cdist(rows, distinct).topk(2, largest=False).values for rows in some.split(256)
        ]
        return torch.cat(nearest)[:, 1].median().item()

    def anchor_at(self, u: Tensor) -> Tensor:
        """Turn uniform numbers u (n,) in [0, 1) into indices (n,) of anchors, by the inverse CDF."""
        last = len(self.anchors) - 1
        if self.weights is None:
            return (u * len(self.anchors)).long().clamp(max=last)
        cumulative = self._cumulative.to(u.dtype)
        return torch.searchsorted(cumulative, u.contiguous(), right=True).clamp(max=last)

    def draw_anchors(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw indices (n,) of anchors, each as often as its weight says."""
        anchors = self.anchors
        if self.weights is None:
            return torch.randint(len(anchors), (n,), generator=generator, device=anchors.device)
        u = torch.rand(n, generator=generator, device=anchors.device, dtype=anchors.dtype)
        return self.anchor_at(u)

    def sample(
        self, n: int, generator: torch.Generator, alpha: float = 1.0, sigma: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Draw x_t (n, 2), by default x_0, and the index (n,) of the anchor that each came from."""
        anchors = self.anchors
        source = self.draw_anchors(n, generator)
        noise = torch.randn(n, 2, generator=generator, device=anchors.device, dtype=anchors.dtype)
        return alpha * anchors[source] + self.spread(source, noise, alpha, sigma), source

    def spread(
        self, source: Tensor, noise: Tensor, alpha: float = 1.0, sigma: float = 0.0
    ) -> Tensor:
        """Turn standard normal `noise` (n, 2) into that of x_t around alpha times its anchors."""
        tau = math.hypot(alpha * self.bandwidth, sigma)
        if self._ellipses is None:
            return tau * noise
        axes = self._ellipses.axes[source]
        deviations = (alpha**2 * self._ellipses.variances[source] + sigma**2).sqrt()
        along = torch.einsum("njk,nj->nk", axes, noise)
        return torch.einsum("njk,nk->nj", axes, deviations * along)

    def nearest(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return for each of x (n, 2) its nearest anchor, by index (n,), and how far it is, (n,).

        The distance is in the anchor's own standard deviations (Mahalanobis 1936).
        """
        if self._ellipses is not None:
            return ellipses.nearest(x, self._ellipses)
        anchors = self.anchors
        if len(anchors) > _MOST_PAIRED:
            from scipy.spatial import KDTree

            far, index = KDTree(anchors.cpu().numpy()).query(x.cpu().numpy())
            distance, nearest = torch.from_numpy(far).to(x), torch.from_numpy(index).to(x.device)
        else:
            parts = [torch.cdist(rows, anchors).min(-1) for rows in x.split(_BLOCK_ROWS)]
            distance = torch.cat([part.values for part in parts])
            nearest = torch.cat([part.indices for part in parts])
        return nearest, distance / self.bandwidth

    def entropy(
        self,
        generator: torch.Generator,
        alpha: float = 1.0,
        sigma: float = 0.0,
        n: int = _ENTROPY_DRAWS,
    ) -> tuple[float, float]:
        """Return the entropy E[-log p(x_t)] in nats over n draws, and its standard error."""
        x, _ = self.sample(n, generator, alpha, sigma)
        surprise = -self.log_prob(x, alpha, sigma).double()
        return surprise.mean().item(), (surprise.std() / n**0.5).item()

    def log_prob(
        self, x: Tensor, alpha: Tensor | float = 1.0, sigma: Tensor | float = 0.0
    ) -> Tensor:
        """Log-density of x_t (B, 2) in nats, (B,); `alpha` and `sigma` are scalars or (B,)."""
        alpha, sigma, tau2 = self._levels(x, alpha, sigma)
        if self._ellipses is not None:
            return ellipses.posterior(x, alpha, sigma, self._ellipses).log_prob
        log_mass, _ = self._posterior(x, alpha, tau2)
        unweighted = 0.0 if self.weights is not None else math.log(len(self.anchors))
        return log_mass - torch.log(2 * math.pi * tau2) - unweighted

    def score(self, x: Tensor, alpha: Tensor | float = 1.0, sigma: Tensor | float = 0.0) -> Tensor:
        """Gradient of `log_prob` with respect to x, (B, 2)."""
        alpha, sigma, tau2 = self._levels(x, alpha, sigma)
        if self._ellipses is not None:
            return ellipses.posterior(x, alpha, sigma, self._ellipses).score
        _, mean_anchor = self._posterior(x, alpha, tau2)
        return (alpha[:, None] * mean_anchor - x) / tau2[:, None]

    def denoise(self, x: Tensor, alpha: Tensor | float, sigma: Tensor | float) -> Tensor:
        """Return the ideal denoiser E[x_0 | x_t = x], (B, 2)."""
        alpha, sigma, tau2 = self._levels(x, alpha, sigma)
        if self._ellipses is not None:
            return ellipses.posterior(x, alpha, sigma, self._ellipses).mean
        _, mean_anchor = self._posterior(x, alpha, tau2)
        blend = alpha * self.bandwidth**2 / tau2
        return (sigma**2 / tau2)[:, None] * mean_anchor + blend[:, None] * x

    def _posterior(self, x: Tensor, alpha: Tensor, tau2: Tensor) -> tuple[Tensor, Tensor]:
        """Log of the sum of the anchors' kernels, (B,), and bar a, their mean under them, (B, 2)."""
        log_weights = None if self.weights is None else self._log_weights
        return posterior(x, self.anchors, log_weights, alpha, tau2)

    def _levels(
        self, x: Tensor, alpha: Tensor | float, sigma: Tensor | float
    ) -> tuple[Tensor, Tensor, Tensor]:
        alpha = torch.as_tensor(alpha, dtype=x.dtype, device=x.device).expand(len(x))
        sigma = torch.as_tensor(sigma, dtype=x.dtype, device=x.device).expand(len(x))
        return alpha, sigma, (alpha * self.bandwidth) ** 2 + sigma**2

    @cached_property
    def _ellipses(self) -> Ellipses | None:
        if self.covariances is None:
            return None
        # On the CPU and in double precision, which not every accelerator has.
        variances, axes = torch.linalg.eigh(self.covariances.cpu().double())
        variances = (variances.clamp(min=0) + self.bandwidth**2).to(self.anchors)
        return Ellipses(self.anchors, self._log_weights, variances, axes.to(self.anchors))

    @cached_property
    def _log_weights(self) -> Tensor:
        return self.shares.log()

    @cached_property
    def _cumulative(self) -> Tensor:
        # On the CPU, since not every accelerator has double precision.
        return self.shares.cpu().double().cumsum(0).to(self.anchors)


def _all_covariances(matrices: Tensor) -> bool:
    matrices = matrices.cpu().double()
    if not (matrices.isfinite().all() and torch.equal(matrices, matrices.mT)):
        return False
    least = torch.linalg.eigvalsh(matrices)[:, 0]
    return bool((least >= -1e-6 * matrices.abs().max()).all())


def _all_positive(weights: Tensor) -> bool:
    return bool((weights > 0).all() and weights.isfinite().all())
