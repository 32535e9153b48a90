r"""The posterior of Gaussians that are ellipses, each with variances of its own along its own axes.

With the eigenvectors :math:`r_{ik}` and eigenvalues :math:`v_{ik}` of the i-th covariance, x_t has the
variances :math:`\lambda_{ik} = \alpha^2 v_{ik} + \sigma^2` along the same axes, and everything follows
from the offsets :math:`u_{ik} = r_{ik} \cdot (x - \alpha a_i)`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

# Pairs of a point and an ellipse that are taken at once.
_BLOCK = 2**18


class Ellipses(NamedTuple):
    """N Gaussians."""

    anchors: Tensor
    """(N, 2)."""
    log_shares: Tensor
    """Logarithms of their shares, (N,)."""
    variances: Tensor
    """Along the axes, (N, 2)."""
    axes: Tensor
    """Unit vectors as columns, (N, 2, 2)."""


class Posterior(NamedTuple):
    """What noisy points x (B, 2) say."""

    log_prob: Tensor
    """(B,), nats."""
    score: Tensor
    """(B, 2)."""
    mean: Tensor
    """E[x_0 | x_t = x], (B, 2)."""


def posterior(x: Tensor, alpha: Tensor, sigma: Tensor, ellipses: Ellipses) -> Posterior:
    """Return log-density, score and posterior mean at x (B, 2) for levels (B,), block by block."""
    rows = max(1, _BLOCK // len(ellipses.anchors))
    blocks = zip(x.split(rows), alpha.split(rows), sigma.split(rows), strict=True)
    parts = [_of_block(*block, ellipses) for block in blocks]
    return Posterior(*map(torch.cat, zip(*parts, strict=True)))


def nearest(x: Tensor, ellipses: Ellipses) -> tuple[Tensor, Tensor]:
    """Return for x (n, 2) which ellipse is nearest (n,), and how many deviations away it is (n,)."""
    rows = max(1, _BLOCK // len(ellipses.anchors))
    one = x.new_ones(())
    parts = []
    for block in x.split(rows):
        offsets = _offsets(block, one.expand(len(block)), ellipses)
        parts.append((offsets.square() / ellipses.variances).sum(-1).min(-1))
    return torch.cat([p.indices for p in parts]), torch.cat([p.values for p in parts]).sqrt()


def _of_block(x: Tensor, alpha: Tensor, sigma: Tensor, ellipses: Ellipses) -> Posterior:
    anchors, log_shares, variances, axes = ellipses
    offsets = _offsets(x, alpha, ellipses)  # (B, N, 2)
    spread = (alpha**2)[:, None, None] * variances + (sigma**2)[:, None, None]
    pulled = offsets / spread
    logits = log_shares - 0.5 * (offsets * pulled + spread.log()).sum(-1)
    weights = logits.softmax(-1)  # (B, N)
    toward = torch.einsum("bn,bnk,njk->bj", weights, pulled, axes)
    within = torch.einsum("bn,bnk,njk->bj", weights, pulled * variances, axes)
    mean = weights @ anchors + alpha[:, None] * within
    return Posterior(logits.logsumexp(-1) - math.log(2 * math.pi), -toward, mean)


def _offsets(x: Tensor, alpha: Tensor, ellipses: Ellipses) -> Tensor:
    """Return the offsets (B, N, 2) of x (B, 2) from alpha times the anchors, along the ellipses' axes."""
    away = x[:, None] - alpha[:, None, None] * ellipses.anchors
    return torch.einsum("bnj,njk->bnk", away, ellipses.axes)
