"""The posterior over very many anchors, block by block, so that memory stays bounded.

A block of anchors is a mixture of its own; the whole is the mixture of the blocks, each weighted by its
share of the density. Queries are taken block by block, too.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pointillist.diffusion.fast.calls import OneCall
from pointillist.runtime import parallel

# Pairs (query, anchor) taken at once. On a CPU they should stay in the core's own cache: larger
# blocks are several times slower there. An accelerator wants enough to do in each kernel.
_CPU_BLOCK, _ACCELERATOR_BLOCK = 2**18, 2**23
_BLOCK_ANCHORS = 2**13
# 2^-115 of the nearest anchor's kernel changes no digit, and spares the processor the many times
# slower arithmetic near the smallest numbers.
_LEAST_EXPONENT = -115.0

_Block = tuple[Tensor, Tensor | None]
"""Some of the anchors (M, 2) and the logarithms of their weights (M,); None: equal ones, left out."""


def posterior(
    x: Tensor, anchors: Tensor, log_weights: Tensor | None, alpha: Tensor, tau2: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what `density.posterior_as_written` does, (B,) and (B, 2)."""
    blocks = _anchor_blocks(anchors, log_weights)
    rows = _rows(len(anchors), x.device)
    if len(x) <= rows and len(blocks) == 1:
        return _of_block(x, alpha, tau2, *blocks[0])
    queries = zip(x.split(rows), alpha.split(rows), tau2.split(rows), strict=True)
    parts = parallel(lambda query: _of_blocks(*query, blocks), queries, x.device)
    return torch.cat([mass for mass, _ in parts]), torch.cat([mean for _, mean in parts])


def _rows(anchors: int, device: torch.device) -> int:
    """Return how many queries make a block."""
    elements = _CPU_BLOCK if device.type == "cpu" else _ACCELERATOR_BLOCK
    return max(1, elements // min(anchors, _BLOCK_ANCHORS))


def _anchor_blocks(anchors: Tensor, log_weights: Tensor | None) -> list[_Block]:
    blocks = anchors.split(_BLOCK_ANCHORS)
    if log_weights is None:
        return [(block, None) for block in blocks]
    return list(zip(blocks, log_weights.split(_BLOCK_ANCHORS), strict=True))


def _of_blocks(
    x: Tensor, alpha: Tensor, tau2: Tensor, blocks: list[_Block]
) -> tuple[Tensor, Tensor]:
    """Join what each block of anchors says, in proportion to its mass."""
    parts = [_of_block(x, alpha, tau2, *block) for block in blocks]
    masses = torch.stack([mass for mass, _ in parts], -1)
    means = torch.stack([mean for _, mean in parts], -2)
    return masses.logsumexp(-1), (masses.softmax(-1)[..., None] * means).sum(-2)


@OneCall
def _of_block(
    x: Tensor, alpha: Tensor, tau2: Tensor, anchors: Tensor, log_weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the same of one block.

    Written out, since on a CPU the library's softmax takes longer than all of the rest.
    """
    energy = _energy(x, alpha, tau2, anchors, log_weights)
    least = energy.detach().amin(-1, keepdim=True)
    kernel = energy.sub_(least).neg_().clamp_(min=_LEAST_EXPONENT).exp2_()
    mass = kernel.sum(-1, keepdim=True)
    return (mass.log2() - least)[:, 0] * math.log(2), kernel @ anchors / mass


def _energy(
    x: Tensor, alpha: Tensor, tau2: Tensor, anchors: Tensor, log_weights: Tensor | None
) -> Tensor:
    """Return |x - alpha a_i|^2 / 2 tau^2 - log pi_i, (B, N), in bits: powers of 2 are the faster ones.

    By differences: the expanded square cancels.
    """
    precision = torch.rsqrt(2 * math.log(2) * tau2)[:, None]
    scaled, rate = x * precision, alpha[:, None] * precision
    horizontal = (rate * anchors[:, 0]).sub_(scaled[:, :1])
    vertical = (rate * anchors[:, 1]).sub_(scaled[:, 1:])
    energy = horizontal.square_().addcmul_(vertical, vertical)
    return energy if log_weights is None else energy.sub_(log_weights / math.log(2))
