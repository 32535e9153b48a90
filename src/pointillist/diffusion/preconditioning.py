r"""How an output becomes the posterior mean (Karras et al. 2022, eq. 7 and table 1), on any path.

.. math:: D(x_t, t) = c_{skip} x_t + c_{out} F(c_{in} x_t, c_{noise}) \approx E[x_0 | x_t]

The noise that counts is not :math:`\sigma` alone. A point of the truth lies a Gaussian of standard
deviation :math:`h` (the bandwidth) off its anchor, so :math:`x_t` is an anchor under noise of
:math:`\tau^2 = \alpha^2 h^2 + \sigma^2`, and nothing is left to learn below :math:`\tau / \alpha = h`.
With h = 0, which makes an anchor of every point, tau is sigma.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Coefficients(NamedTuple):
    """A column of table 1 at one noise level, () each, or at many, (B,)."""

    c_skip: Tensor
    c_out: Tensor
    c_in: Tensor
    c_noise: Tensor
    """log(tau / alpha); in the paper a quarter of log sigma, which its embedding suits."""
    tau: Tensor


def anchor_noise(alpha: Tensor, sigma: Tensor, bandwidth: float) -> Tensor:
    """Return tau, the standard deviation of x_t around alpha times its anchor, of alpha's shape."""
    return ((alpha * bandwidth) ** 2 + sigma**2).sqrt()


def coefficients(
    prediction: str,
    alpha: Tensor,
    sigma: Tensor,
    sigma_data: float = 1.0,
    bandwidth: float = 0.0,
    linear_path: bool = True,
) -> Coefficients:
    r"""Return the coefficients by which the output F becomes x_0 = c_skip x_t + c_out F.

    ========== ================================== =============================================
    prediction F tells of                         source
    ========== ================================== =============================================
    eps        the noise eps                      Ho et al. 2020, eq. 15
    x0         the clean point                    Luo 2022, eq. 99
    v          (alpha eps - sigma x_0) / |.|      Salimans & Ho 2022, |.| = sqrt(alpha^2 + sigma^2)
    flow       eps - x_0                          Lipman et al. 2023, with time reversed
    edm        the preconditioned residual        Karras et al. 2022, table 1
    ========== ================================== =============================================

    For alpha = 1 and h = 0 edm's are those of the paper, with :math:`\tau = \sigma`:
    :math:`c_{skip} = \sigma_{data}^2 / (\sigma_{data}^2 + \sigma^2)`,
    :math:`c_{out} = \sigma \sigma_{data} / \sqrt{\sigma_{data}^2 + \sigma^2}`,
    :math:`c_{in} = 1 / \sqrt{\sigma_{data}^2 + \sigma^2}`.
    With a bandwidth F tells of the anchor a of a point, :math:`E[a | x_t]` being what the table says for
    noise tau, and :math:`E[x_0 | x_t] = (\sigma^2 E[a | x_t] + \alpha h^2 x_t) / \tau^2` follows exactly.

    c_skip x_t is the best linear guess of x_0, exact for Gaussian data of deviation `sigma_data`,
    whatever the prediction: F is how far what it tells of is from that guess. An error of F counts as
    much as in the papers, but what x_t itself says need not be learnt, and holds for any x_t. Without
    this `linear_path`, F is the quantity itself: a bounded network then can't follow points farther out
    than it saw, and 1 / alpha makes much of a small error.
    """
    tau = anchor_noise(alpha, sigma, bandwidth)
    variance = (alpha * sigma_data) ** 2 + tau**2
    share = (sigma / tau) ** 2

    c_skip = share * alpha * sigma_data**2 / variance + alpha * (bandwidth / tau) ** 2
    c_out = share * tau * sigma_data * variance.rsqrt()
    c_in = variance.rsqrt()
    c_noise = (tau / alpha).log()

    if prediction != "edm":
        own_skip, c_out = _own_coefficients(prediction, alpha, sigma)
        c_skip = c_skip if linear_path else own_skip
    return Coefficients(c_skip, c_out, c_in, c_noise, tau)


def _own_coefficients(prediction: str, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Return the c_skip and c_out by which the quantity itself becomes x_0."""
    if prediction == "eps":
        return 1 / alpha, -sigma / alpha
    if prediction == "x0":
        return torch.zeros_like(alpha), torch.ones_like(alpha)
    if prediction == "v":
        variance = alpha**2 + sigma**2
        return alpha / variance, -sigma * variance.rsqrt()
    return 1 / (alpha + sigma), -sigma / (alpha + sigma)
