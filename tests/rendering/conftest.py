"""A reverse chain with the exact denoiser of a few anchors: what every picture is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Chain:
    states: NDArray[np.float32]  # (F, n, 2), seen variance-preserving, original coordinates
    ratios: Array  # (F,)
    truth: Array  # (M, 2)


def exact_chain(truth: Array, n: int, steps: int = 24, seed: int = 0) -> Chain:
    """Euler's method on the probability-flow ODE, from sigma = 20 down to 0."""
    rng = np.random.default_rng(seed)
    center, scale = truth.mean(0), truth.std(0)
    anchors = (truth - center) / scale
    sigmas = np.append(np.geomspace(20, 0.002, steps), 0.0)
    x = rng.normal(size=(n, 2)) * np.hypot(1, sigmas[0])
    states = []
    for sigma, lower in zip(sigmas, np.append(sigmas[1:], 0.0), strict=True):
        states.append(x / np.hypot(1, sigma) * scale + center)
        if sigma > 0:
            logits = -((x[:, None] - anchors) ** 2).sum(-1) / (2 * sigma**2)
            weights = np.exp(logits - logits.max(1, keepdims=True))
            denoised = weights @ anchors / weights.sum(1, keepdims=True)
            x = denoised + lower / sigma * (x - denoised)
    return Chain(np.array(states, np.float32), sigmas, truth)


def _heart() -> Array:
    t = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    return np.c_[
        16 * np.sin(t) ** 3, 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    ]


def _wave(width: float, height: float) -> Array:
    t = np.linspace(0, 1, 80)
    return np.c_[width * t - 3e3, height * np.sin(9 * t) + 70]


TRUTHS = {"heart": _heart(), "wide": _wave(4000, 30), "tall": _wave(30, 9)[:, ::-1] * [1, 40]}


@pytest.fixture(scope="session", params=list(TRUTHS))
def chain(request: pytest.FixtureRequest) -> Chain:
    """Chains of an ordinary, a very wide and a very tall shape."""
    return exact_chain(TRUTHS[request.param], n=400)


@pytest.fixture(scope="session")
def heart() -> Chain:
    return exact_chain(TRUTHS["heart"], n=400)
