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


def anchor_noise(alpha: Tensor, sigma: Tensor, bandwidth: float | Tensor) -> Tensor:
    """Return tau, the standard deviation of x_t around alpha times its anchor, of alpha's shape."""
    return ((alpha * bandwidth) ** 2 + sigma**2).sqrt()


def coefficients(
    prediction: str,
    alpha: Tensor,
    sigma: Tensor,
    sigma_data: float = 1.0,
    bandwidth: float | Tensor = 0.0,
    preconditioned: bool = True,
) -> Coefficients:
    r"""Return the coefficients by which the output F becomes x_0 = c_skip x_t + c_out F.

    `preconditioned`, they are those of edm, whatever the prediction. For alpha = 1 and h = 0, so that
    :math:`\tau = \sigma`, they stand in Karras et al. 2022, table 1:

    .. math::
        c_{skip} = \frac{\sigma_{data}^2}{\sigma_{data}^2 + \sigma^2}, \quad
        c_{out} = \frac{\sigma \sigma_{data}}{\sqrt{\sigma_{data}^2 + \sigma^2}}, \quad
        c_{in} = \frac{1}{\sqrt{\sigma_{data}^2 + \sigma^2}}, \quad
        c_{noise} = \log \sigma

    c_skip x_t is the best linear guess of x_0, exact for Gaussian data of deviation `sigma_data`, and
    c_out F, F of variance 1, is what is left. So what x_t itself says need not be learnt, it holds for
    any x_t, and no error of F becomes more than c_out times as large. The prediction decides in which
    units errors count (`error_weight`).

    With a bandwidth h, F is about the anchor a of a point: E[a | x_t] is as in the table for noise tau,
    and :math:`E[x_0 | x_t] = (\sigma^2 E[a | x_t] + \alpha h^2 x_t) / \tau^2` then follows exactly.

    Not `preconditioned`, F is the predicted quantity itself, whose error 1 / alpha makes large where
    there is much noise, and which a bounded network can't follow farther out than it saw. edm has no
    quantity of its own: it is always preconditioned.
    """
    tau = anchor_noise(alpha, sigma, bandwidth)
    variance = (alpha * sigma_data) ** 2 + tau**2
    share = (sigma / tau) ** 2

    c_skip = share * alpha * sigma_data**2 / variance + alpha * (bandwidth / tau) ** 2
    c_out = share * tau * sigma_data * variance.rsqrt()
    c_in = variance.rsqrt()
    c_noise = (tau / alpha).log()

    if prediction != "edm" and not preconditioned:
        c_skip, c_out = _quantity(prediction, alpha, sigma)
    return Coefficients(c_skip, c_out, c_in, c_noise, tau)


def error_weight(prediction: str, alpha: Tensor, sigma: Tensor, c_out: Tensor) -> Tensor:
    """Return what turns a squared error of F into one of the predicted quantity, of alpha's shape."""
    if prediction == "edm":
        return torch.ones_like(alpha)
    return (c_out / _quantity(prediction, alpha, sigma)[1]).square()


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
