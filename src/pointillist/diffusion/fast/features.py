"""Fourier features in one pass, without those that have faded away."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from pointillist.diffusion.embeddings import IntegratedFourierFeatures

# A feature that has faded by exp(-18) is lost beside features of 1: half a unit in the last place of
# single precision is 3e-8. Much smaller factors would make denormal numbers, which are slow.
_LEAST_EXPONENT = -18.0
_LEAST_BITS = _LEAST_EXPONENT / math.log(2)


def cos_and_sin(x: Tensor, frequencies: Tensor) -> Tensor:
    """Return cos and sin of x (B, d) @ frequencies (features, d).T, side by side: (B, 2 * features).

    Both may have a dimension of many networks before their own.

    sin(p) = cos(p - pi / 2): one pass over one tensor serves both. The phases are one more column of
    the product: adding them would be another pass.
    """
    return (nn.functional.pad(x, (0, 1), value=1.0) @ waves(frequencies)).cos_()


def waves(frequencies: Tensor) -> Tensor:
    """Return what turns (x, 1) into the phases of `cos_and_sin`, (d + 1, 2 * features)."""
    zeros = frequencies.new_zeros(*frequencies.shape[:-1], 1)
    phases = torch.cat((zeros, zeros - math.pi / 2), -2)
    twice = torch.cat((frequencies, frequencies), -2)
    return torch.cat((twice, phases), -1).mT


def faded(ones: Tensor, variance: Tensor, embedding: IntegratedFourierFeatures) -> Tensor:
    """Return `embedding` of points, given as (x, 1), under noise of `variance` (B, 1)."""
    phases, rates = embedding.prepared
    features = (ones @ phases).cos_()
    fading = (variance * rates).clamp_min_(_LEAST_BITS).exp2_()
    features.unflatten(-1, (2, -1)).mul_(fading.unsqueeze(-2))
    return features


def faded_features(
    x: Tensor, deviation: Tensor, frequencies: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Return f and w with f @ w.T = IntegratedFourierFeatures(x, deviation) @ weight.T.

    Noise that all points share, a `deviation` (), fades the columns of `weight` instead of every row
    of features, and on a CPU, frequencies that have faded away are left out of both: the last ones.
    """
    if deviation.ndim:
        fading = _exponents(deviation[..., None], frequencies).clamp_min_(_LEAST_EXPONENT).exp_()
        features = cos_and_sin(x, frequencies)
        features.unflatten(-1, (2, -1)).mul_(fading.unsqueeze(-2))
        return features, weight
    phases, fading_weight = faded_weight(deviation, frequencies, weight)
    return (nn.functional.pad(x, (0, 1), value=1.0) @ phases).cos_(), fading_weight


def faded_weight(deviation: Tensor, frequencies: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return `waves` and the weight of `faded_features` for a `deviation` () that all points share."""
    exponents = _exponents(deviation, frequencies)
    alive = len(exponents)
    if exponents.device.type == "cpu":  # An accelerator would have to be waited for.
        alive = int(torch.count_nonzero(exponents > _LEAST_EXPONENT))
    fading = exponents[:alive].clamp(min=_LEAST_EXPONENT).exp()
    faded = weight.unflatten(1, (2, -1))[..., :alive] * fading
    return waves(frequencies[:alive]), faded.flatten(1)


def fading_rates(frequencies: Tensor) -> Tensor:
    """Return what turns a variance into the logarithm of each frequency's fading, (features,)."""
    rates = -0.5 * frequencies.square().sum(-1)
    return rates if rates.ndim == 1 else rates.unsqueeze(-2)


def _exponents(deviation: Tensor, frequencies: Tensor) -> Tensor:
    """Return the logarithms of what is left of each frequency, (..., features)."""
    return deviation.square() * fading_rates(frequencies)
