"""The network's output in fewer passes over memory.

On so small a network an operation's cost is that of starting it and of moving what it touches. So
products are split where one factor is shared by all points, and where no gradient needs them again, old
numbers are written over.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from pointillist.diffusion.embeddings import IntegratedFourierFeatures
from pointillist.diffusion.fast.calls import OneCall
from pointillist.diffusion.fast.features import faded_features, faded_weight

if TYPE_CHECKING:
    from pointillist.diffusion.denoiser import Denoiser
    from pointillist.diffusion.preconditioning import Coefficients


def predict(denoiser: Denoiser, x: Tensor, t: Tensor, c: Coefficients) -> Tensor:
    """Return what ``denoiser.predict_as_written`` does, (B, 2)."""
    if not t.ndim:
        return at_level(denoiser, t, c).output(x)
    shift, weight_place = _time(denoiser, t, c)
    place = c.c_in[:, None] * x
    embedding = denoiser.embed_input
    if isinstance(embedding, IntegratedFourierFeatures):
        place, weight_place = faded_features(
            place, c.c_in * c.tau, embedding.frequencies, weight_place
        )
    else:
        place = embedding(place)
    return _through(denoiser, torch.addmm(shift, place, weight_place.T))


class AtLevel(NamedTuple):
    """The network at one time, with what depends on the time alone worked out."""

    output: Callable[[Tensor], Tensor]
    """F (B, 2) of x_t (B, 2)."""
    with_trace: Callable[[Tensor], tuple[Tensor, Tensor]] | None
    """F, and the trace of its Jacobian by x_t (B,); None: autograd is the only way."""


def at_level(denoiser: Denoiser, t: Tensor, c: Coefficients) -> AtLevel:
    """Return `predict` at a time t () that all points share."""
    shift, weight = _time(denoiser, t, c)
    embedding, network = denoiser.embed_input, denoiser.network
    if not isinstance(embedding, IntegratedFourierFeatures):

        def output(x: Tensor) -> Tensor:
            return _through(denoiser, torch.addmm(shift, embedding(c.c_in * x), weight.T))

        return AtLevel(output, None)
    phases, weight = faded_weight(c.c_in * c.tau, embedding.frequencies, weight)
    layers = [
        p for layer in (*denoiser.layers(), denoiser.output) for p in (layer.weight, layer.bias)
    ]
    given = (c.c_in, phases, weight, shift, *layers)
    return AtLevel(
        lambda x: _output(network.activation, network.residual)(x, *given),
        lambda x: _output_with_trace(network.activation, network.residual)(x, *given),
    )


@cache
def _output(activation: str, residual: bool) -> Callable[..., Tensor]:
    @OneCall
    def output(
        x: Tensor, c_in: Tensor, phases: Tensor, weight: Tensor, shift: Tensor, *layers: Tensor
    ) -> Tensor:
        features = (nn.functional.pad(c_in * x, (0, 1), value=1.0) @ phases).cos_()
        *hidden, last = zip(layers[::2], layers[1::2], strict=True)
        over = not torch.is_grad_enabled()
        h = activate(torch.addmm(shift, features, weight.T), activation, over)
        for matrix, bias in hidden:
            update = activate(torch.addmm(bias, h, matrix.T), activation, over)
            h = _add(update, h, activation) if residual else update
        return torch.addmm(last[1], h, last[0].T)

    return output


@cache
def _output_with_trace(activation: str, residual: bool) -> Callable[..., tuple[Tensor, Tensor]]:
    """Forward mode: with each layer go the slopes by the two coordinates of x, (2, B, width)."""

    @OneCall
    def output(
        x: Tensor, c_in: Tensor, phases: Tensor, weight: Tensor, shift: Tensor, *layers: Tensor
    ) -> tuple[Tensor, Tensor]:
        features = (nn.functional.pad(c_in * x, (0, 1), value=1.0) @ phases).cos_()
        cos, sin = features.chunk(2, -1)
        turned = torch.cat((-sin, cos), -1)
        *hidden, last = zip(layers[::2], layers[1::2], strict=True)
        z = torch.addmm(shift, features, weight.T)
        slopes = (turned * (c_in * phases[:2]).unsqueeze(1)) @ weight.T
        h, slopes = activate(z, activation), backwards(slopes, z.expand_as(slopes), activation)
        for matrix, bias in hidden:
            z = torch.addmm(bias, h, matrix.T)
            inner = backwards(slopes @ matrix.T, z.expand_as(slopes), activation)
            h = activate(z, activation) + h if residual else activate(z, activation)
            slopes = slopes + inner if residual else inner
        matrix, bias = last
        return torch.addmm(bias, h, matrix.T), (slopes * matrix.unsqueeze(1)).sum((0, -1))

    return output


def backwards(slope: Tensor, z: Tensor, activation: str) -> Tensor:
    """Return `slope` times the derivative of the activation at z."""
    if activation == "silu":
        return torch.ops.aten.silu_backward(slope, z)
    if activation == "gelu":
        return torch.ops.aten.gelu_backward(slope, z)
    return torch.ops.aten.threshold_backward(slope, z, 0)


def _time(denoiser: Denoiser, t: Tensor, c: Coefficients) -> tuple[Tensor, Tensor]:
    """Return what the noise level adds to the first layer, and that layer's columns for the place.

    Two products, not one of the joined inputs: a time that all points share is embedded once.
    """
    time = denoiser.embed_time(denoiser.noise_label(t, c).reshape(-1, 1))
    columns = denoiser.input.weight.shape[1] - time.shape[1]
    weight_place, weight_time = denoiser.input.weight.split((columns, time.shape[1]), 1)
    return nn.functional.linear(time, weight_time, denoiser.input.bias), weight_place


def _through(denoiser: Denoiser, h: Tensor) -> Tensor:
    """Return the output for what the first layer makes, (B, width), before its activation."""
    network = denoiser.network
    # Where no gradient asks for the old numbers again, writing over them spares the memory.
    over = not torch.is_grad_enabled()
    h = activate(h, network.activation, over)
    for layer in denoiser.hidden:
        update = activate(layer(h), network.activation, over)
        h = _add(update, h, network.activation) if network.residual else update
    return denoiser.output(h)


def activate(h: Tensor, activation: str, over: bool = False) -> Tensor:
    """Return the activation of h, written `over` it where there is such a form."""
    function = getattr(nn.functional, activation)
    return function(h, inplace=True) if over and activation != "gelu" else function(h)


def _add(update: Tensor, h: Tensor, activation: str) -> Tensor:
    # Of the activations, only relu's gradient asks for its own output again.
    if torch.is_grad_enabled() and activation == "relu":
        return h + update
    return update.add_(h)
