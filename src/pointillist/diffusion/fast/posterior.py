"""The posterior over very many anchors, block by block, so that memory stays bounded.

A block of anchors is a mixture of its own; the whole is the mixture of the blocks, each weighted by its
share of the density. Queries are taken block by block, too.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Pairs (query, anchor) taken at once. On a CPU they should stay in the core's own cache: larger
# blocks are several times slower there. An accelerator wants enough to do in each kernel.
_CPU_BLOCK, _ACCELERATOR_BLOCK = 2**18, 2**23
_BLOCK_ANCHORS = 2**13
# exp(-80) of the nearest anchor's kernel changes no digit, and spares the processor the many times
# slower arithmetic near the smallest numbers.
_LEAST_EXPONENT = -80.0

_Block = tuple[Tensor, Tensor | None]
"""Some of the anchors (M, 2) and the logarithms of their weights (M,); None: equal ones, left out."""


def posterior(
    x: Tensor, anchors: Tensor, log_weights: Tensor | None, alpha: Tensor, tau2: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what `density.posterior_as_written` does, (B,) and (B, 2).

    All arguments may have dimensions of many mixtures before their own, the same ones.
    """
    blocks = _anchor_blocks(anchors, log_weights)
    rows = _rows(anchors)
    if x.shape[-2] <= rows and len(blocks) == 1:
        return _of_block(x, alpha, tau2, *blocks[0])
    levels = alpha.split(rows, -1), tau2.split(rows, -1)
    parts = [_of_blocks(*query, blocks) for query in zip(x.split(rows, -2), *levels, strict=True)]
    masses, means = zip(*parts, strict=True)
    return torch.cat(masses, -1), torch.cat(means, -2)


def _rows(anchors: Tensor) -> int:
    """Return how many queries make a block."""
    elements = _CPU_BLOCK if anchors.device.type == "cpu" else _ACCELERATOR_BLOCK
    *mixtures, n, _ = anchors.shape
    return max(1, elements // math.prod((*mixtures, min(n, _BLOCK_ANCHORS))))


def _anchor_blocks(anchors: Tensor, log_weights: Tensor | None) -> list[_Block]:
    blocks = anchors.split(_BLOCK_ANCHORS, -2)
    if log_weights is None:
        return [(block, None) for block in blocks]
    return list(zip(blocks, log_weights.split(_BLOCK_ANCHORS, -1), strict=True))


def _of_blocks(
    x: Tensor, alpha: Tensor, tau2: Tensor, blocks: list[_Block]
) -> tuple[Tensor, Tensor]:
    """Join what each block of anchors says, in proportion to its mass."""
    parts = [_of_block(x, alpha, tau2, *block) for block in blocks]
    masses = torch.stack([mass for mass, _ in parts], -1)
    means = torch.stack([mean for _, mean in parts], -2)
    return masses.logsumexp(-1), (masses.softmax(-1)[..., None] * means).sum(-2)


def _of_block(
    x: Tensor, alpha: Tensor, tau2: Tensor, anchors: Tensor, log_weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the same of one block.

    Written out, since on a CPU the library's softmax takes longer than all of the rest.
    """
    energy = _energy(x, alpha, tau2, anchors, log_weights)
    least = energy.detach().amin(-1, keepdim=True)
    kernel = energy.sub_(least).neg_().clamp_(min=_LEAST_EXPONENT).exp_()
    mass = kernel.sum(-1, keepdim=True)
    return (mass.log() - least)[..., 0], kernel @ anchors / mass


def _energy(
    x: Tensor, alpha: Tensor, tau2: Tensor, anchors: Tensor, log_weights: Tensor | None
) -> Tensor:
    """|x - alpha a_i|^2 / 2 tau^2 - log pi_i, (B, N); by differences: the expanded square cancels."""
    precision = torch.rsqrt(2 * tau2)[..., None]
    scaled, rate = x * precision, alpha[..., None] * precision
    horizontal = (rate * anchors[..., None, :, 0]).sub_(scaled[..., :1])
    vertical = (rate * anchors[..., None, :, 1]).sub_(scaled[..., 1:])
    energy = horizontal.square_().addcmul_(vertical, vertical)
    return energy if log_weights is None else energy.sub_(log_weights[..., None, :])
