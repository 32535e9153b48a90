"""Variations of training that are no parameters: each has the signature of `training.train`.

Written against the public functions of `pointillist.diffusion` alone, so that what wins can move there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._inductor import config as inductor

from pointillist.diffusion import batches as batches_module
from pointillist.diffusion import objectives
from pointillist.diffusion import training as training_module
from pointillist.diffusion.batches import Batch, Batches
from pointillist.diffusion.config import Training
from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.density import GaussianMixture
from pointillist.diffusion.training import TrainingReport, learning_rate_factor, train

Update = Callable[[float], None]
"""factor -> None: one step of an optimizer, at `factor` times its peak learning rate."""


def compiled(
    denoiser: Denoiser, density: GaussianMixture, training: Training, generator: torch.Generator
) -> Iterator[TrainingReport]:
    """Train with the network's forward and backward compiled; compiling is part of the time."""
    torch.compiler.reset()
    vars(denoiser)["predict"] = torch.compile(denoiser.predict)
    try:
        # What an earlier run left in the cache on disk would hide the cost.
        with inductor.patch(force_disable_caches=True):
            yield from train(denoiser, density, training, generator)
    finally:
        del vars(denoiser)["predict"]


def bfloat16_hidden(
    denoiser: Denoiser, density: GaussianMixture, training: Training, generator: torch.Generator
) -> Iterator[TrainingReport]:
    """Train with the products of the hidden layers in bfloat16.

    Only theirs: bfloat16 would round the phases of Fourier features by more than they resolve.
    """
    layers = [m for m in denoiser.modules() if isinstance(m, nn.Linear) and _square(m)]
    for layer in layers:
        vars(layer)["forward"] = _in_bfloat16(layer.forward)
    try:
        yield from train(denoiser, density, training, generator)
    finally:
        for layer in layers:
            del vars(layer)["forward"]


def _in_bfloat16(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def cast(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            return forward(x).float()

    return cast


def torch_adam(**options: Any) -> Callable[..., Iterator[TrainingReport]]:
    """Return a training with torch's own Adam: `foreach=True`, `fused=True` or neither."""

    def run(
        denoiser: Denoiser, density: GaussianMixture, training: Training, generator: torch.Generator
    ) -> Iterator[TrainingReport]:
        rate = training.learning_rate
        optimizer = torch.optim.Adam(denoiser.parameters(), lr=rate, **options)

        def update(factor: float) -> None:
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.step()

        return _loop(denoiser, density, training, generator, update)

    return run


def by_error(
    denoiser: Denoiser, density: GaussianMixture, training: Training, generator: torch.Generator
) -> Iterator[TrainingReport]:
    """Train on noise levels drawn as often as the network errs there, by a running mean in 32 bins.

    Weighted by the inverse, as `draws.noise_level_draws` does.
    """
    path, bins = denoiser.path, 32
    low, high = (path.quantile(torch.tensor(u)).item() for u in (0.0, 1.0))
    edges, error = torch.linspace(low, high, bins + 1), torch.ones(bins)

    def levels(u: Tensor) -> tuple[Tensor, Tensor]:
        share = 0.9 * error / error.sum() + 0.1 / bins
        reached = torch.cat((torch.zeros(1), share.cumsum(0)))
        i = torch.searchsorted(reached, u.contiguous()).clamp(1, bins)
        part = ((u - reached[i - 1]) / share[i - 1]).clamp(0, 1)
        return edges[i - 1] + part * (edges[i] - edges[i - 1]), 1 / (bins * share[i - 1])

    sound = objectives.squared_errors

    def squared_errors(denoiser: Denoiser, batch: Batch) -> Tensor:
        squares = sound(denoiser, batch)
        index = (torch.bucketize(batch.t, edges) - 1).clamp(0, bins - 1)
        count = torch.bincount(index, minlength=bins)
        unweighted = (squares / batch.weight).mean(-1).detach()
        sums = torch.zeros(bins).index_add_(0, index, unweighted)
        error[count > 0] += 0.05 * (sums / count - error)[count > 0]
        return squares

    with (
        patch.object(batches_module, "noise_level_draws", lambda *_: levels),
        patch.object(objectives, "squared_errors", squared_errors),
    ):
        yield from train(denoiser, density, training, generator)


def unweighted(
    denoiser: Denoiser, density: GaussianMixture, training: Training, generator: torch.Generator
) -> Iterator[TrainingReport]:
    """Train on the default's noise levels, each point counting alike."""
    fixed = Batches

    def batches(*arguments: Any) -> Iterator[Batch]:
        for batch in fixed(*arguments):
            yield replace(batch, weight=torch.ones_like(batch.weight))

    with patch.object(training_module, "Batches", batches):
        yield from train(denoiser, density, training, generator)


def growing_batches(
    denoiser: Denoiser, density: GaussianMixture, training: Training, generator: torch.Generator
) -> Iterator[TrainingReport]:
    """Train a third of the steps each on batches of half, once and twice the size."""
    fixed = Batches

    def batches(*_: Any) -> Iterator[Batch]:
        for size in (training.batch_size // 2, training.batch_size, 2 * training.batch_size):
            options = training.model_copy(update={"batch_size": size})
            third = math.ceil(training.steps / 3)
            yield from islice(fixed(denoiser, density, options, generator), third)

    with patch.object(training_module, "Batches", batches):
        yield from train(denoiser, density, training, generator)


def planned(
    denoiser: Denoiser, density: GaussianMixture, training: Training, generator: torch.Generator
) -> Iterator[TrainingReport]:
    """Train with a learning rate that falls in a line to 0 at the last step, which has to be known.

    And with an exponential average of the weights, as up to version 0.2.0.
    """

    def factor(step: int, training: Training) -> float:
        return min((step + 1) / (0.02 * training.steps), (1 - step / training.steps) / 0.98, 1.0)

    def share(step: int, training: Training) -> float:  # noqa: ARG001
        return 1 - min(0.98, (step + 1) / (step + 10))

    rates = {"learning_rate": 5e-3, "muon_learning_rate": 0.025}
    with (
        patch.object(training_module, "learning_rate_factor", factor),
        patch.object(training_module, "averaging_share", share),
    ):
        yield from train(denoiser, density, training.model_copy(update=rates), generator)


def soap(
    denoiser: Denoiser, density: GaussianMixture, training: Training, generator: torch.Generator
) -> Iterator[TrainingReport]:
    """Train with SOAP for the hidden matrices and Adam for the rest."""
    matrices = [m.weight for m in denoiser.modules() if isinstance(m, nn.Linear) and _square(m)]
    chosen = {id(m) for m in matrices}
    rest = [p for p in denoiser.parameters() if id(p) not in chosen]
    rate = training.learning_rate
    adam = torch.optim.Adam(rest, lr=rate, betas=(0.9, 0.99), foreach=True)
    rotate = soap_update(matrices, rate)

    def update(factor: float) -> None:
        adam.param_groups[0]["lr"] = rate * factor
        adam.step()
        rotate(factor)

    return _loop(denoiser, density, training, generator, update)


def soap_update(
    matrices: list[Tensor], learning_rate: float, beta2: float = 0.95, every: int = 10
) -> Update:
    """SOAP (Vyas et al. 2024, arXiv 2409.11321, algorithm 3) for square matrices of one size.

    Adam in the eigenbasis of Shampoo's factors, L = E[G G^T] and R = E[G^T G]; the bases move by one
    step of orthogonal iteration `every` so many updates (algorithm 4).
    """
    beta1, eps = 0.95, 1e-8
    shape = (len(matrices), *matrices[0].shape)
    left, right = torch.zeros(shape), torch.zeros(shape)
    left_basis, right_basis = torch.eye(shape[-1]).expand(shape), torch.eye(shape[-1]).expand(shape)
    mean, square = torch.zeros(shape), torch.zeros(shape)
    step = 0

    @torch.no_grad()
    def update(factor: float) -> None:
        nonlocal step, left_basis, right_basis
        step += 1
        gradient = torch.stack([m.grad for m in matrices if m.grad is not None])
        left.lerp_(gradient @ gradient.mT, 1 - beta2)
        right.lerp_(gradient.mT @ gradient, 1 - beta2)
        if step == 1:
            left_basis, right_basis = torch.linalg.eigh(left)[1], torch.linalg.eigh(right)[1]
        elif step % every == 0:
            left_basis = torch.linalg.qr(left @ left_basis)[0]
            right_basis = torch.linalg.qr(right @ right_basis)[0]
        mean.lerp_(gradient, 1 - beta1)
        square.lerp_((left_basis.mT @ gradient @ right_basis).square(), 1 - beta2)
        root = (square / (1 - beta2**step)).sqrt() + eps
        rotated = left_basis.mT @ mean @ right_basis / (1 - beta1**step) / root
        step_back = left_basis @ rotated @ right_basis.mT
        torch._foreach_add_(matrices, list(step_back.unbind()), alpha=-learning_rate * factor)

    return update


def _loop(
    denoiser: Denoiser,
    density: GaussianMixture,
    training: Training,
    generator: torch.Generator,
    update: Update,
) -> Iterator[TrainingReport]:
    """Train as `training.train` does, with another optimizer; one report, at the end."""
    weights: list[Tensor] = list(denoiser.parameters())
    average = [w.detach().clone() for w in weights]
    batches = Batches(denoiser, density, training, generator)
    for step in range(training.steps):
        for w in weights:
            w.grad = None
        loss = objectives.loss(denoiser, next(batches))
        loss.backward()
        update(learning_rate_factor(step, training))
        with torch.no_grad():
            torch._foreach_lerp_(average, weights, training_module.averaging_share(step, training))
    with torch.no_grad():
        torch._foreach_copy_(weights, average)
    flat = torch.nn.utils.parameters_to_vector(average)
    yield TrainingReport(training.steps, {"loss": loss.item()}, flat)


def _square(layer: nn.Linear) -> bool:
    return layer.in_features == layer.out_features
