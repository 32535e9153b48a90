r"""The loss: the mean of :math:`w |F - F^*|^2` over the points and coordinates of a batch.

Targets :math:`F^*` of the network's output and weights w come with the batch (`batches.posed`). With
edm's F it is, at low noise, the integrand of the bound of `likelihood.kl_bound`.
"""

from __future__ import annotations

from torch import Tensor

from pointillist.diffusion.batches import Batch
from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.fast import gradient as fast
from pointillist.diffusion.optimizers import FlatWeights
from pointillist.runtime import parallel


def loss(denoiser: Denoiser, batch: Batch) -> Tensor:
    """Return the weighted mean squared error of the network's output; a scalar."""
    return squared_errors(denoiser, batch).mean()


def squared_errors(denoiser: Denoiser, batch: Batch) -> Tensor:
    """Return what `loss` is the mean of, (B, 2)."""
    output = denoiser.output_at(batch.x, batch.t, batch.coefficients)
    return batch.weight * (output - batch.target) ** 2


def floor(denoiser: Denoiser, batch: Batch, density: GaussianMixture) -> Tensor:
    """Return the loss that the exact denoiser has on the same batch: what no network gets below.

    It is 0 where the target itself is exact.
    """
    path, c = denoiser.path, batch.coefficients
    exact = density.denoise(batch.x, path.alpha(batch.t), path.sigma(batch.t))
    ideal = (exact - c.c_skip[:, None] * batch.x) / c.c_out[:, None]
    return (batch.weight * (ideal - batch.target) ** 2).mean()


def loss_and_gradient(
    denoiser: Denoiser, weights: FlatWeights, batch: Batch
) -> tuple[Tensor, Tensor]:
    """Return `loss`, and its gradient by the weights, (P,).

    On a CPU, part by part, on as many threads as there are; the sum over the parts is taken in their
    order. The next call writes over the gradient.
    """
    size = len(batch.x)

    def of_part(part: tuple[int, Batch]) -> tuple[Tensor, Tensor]:
        index, points = part
        return fast.loss_and_gradient(denoiser, weights, points, size, index)

    parts = enumerate(batch.parts or [batch])
    (loss, gradient), *others = parallel(of_part, parts, batch.x.device)
    for more_loss, more_gradient in others:
        loss.add_(more_loss)
        gradient.add_(more_gradient)
    return loss, gradient
