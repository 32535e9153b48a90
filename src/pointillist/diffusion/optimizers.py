"""Optimizers: Adam(W) from torch, and Muon for matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from pointillist.diffusion.denoiser import Denoiser
from pointillist.parameters import Training


def orthogonalize(matrices: Tensor, iterations: int = 5) -> Tensor:
    """Push the singular values of `matrices` (L, m, m) towards 1 by a quintic Newton-Schulz iteration.

    Coefficients of Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon): they converge
    fast to within [0.7, 1.2] rather than slowly to 1.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


class Muon(Optimizer):
    """Orthogonalised Nesterov momentum for equally shaped square matrices (Jordan et al. 2024)."""

    def __init__(
        self, matrices: Iterable[Tensor], lr: float = 0.02, momentum: float = 0.95
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update every matrix by lr times its orthogonalised momentum."""
        assert closure is None
        for group in self.param_groups:
            matrices = group["params"]
            gradients = torch.stack([m.grad for m in matrices])
            state = self.state[matrices[0]]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(gradients)
            momentum = state["momentum"].lerp_(gradients, 1 - group["momentum"])
            update = orthogonalize(gradients.lerp_(momentum, group["momentum"]))
            torch._foreach_add_(matrices, list(update.unbind()), alpha=-group["lr"])


def make_optimizers(denoiser: Denoiser, training: Training) -> list[Optimizer]:
    """Return the optimizers that together update every parameter of `denoiser` once a step."""
    # Fused kernels do the whole update in one pass; not every device has them.
    fused = next(denoiser.parameters()).device.type in ("cpu", "cuda")
    if training.optimizer == "adamw":
        return [torch.optim.AdamW(denoiser.parameters(), training.learning_rate, fused=fused)]
    if training.optimizer == "adam":
        return [torch.optim.Adam(denoiser.parameters(), training.learning_rate, fused=fused)]
    matrices = [p for name, p in denoiser.hidden.named_parameters() if name.endswith("weight")]
    chosen = {id(p) for p in matrices}
    rest = [p for p in denoiser.parameters() if id(p) not in chosen]
    return [
        Muon(matrices, training.muon_learning_rate),
        torch.optim.Adam(rest, training.learning_rate, betas=(0.9, 0.99), fused=fused),
    ]
