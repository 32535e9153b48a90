"""When a training may end: as soon as the bound of its averaged weights is proven to be small enough."""

from __future__ import annotations

import logging
from functools import cached_property

import torch

from pointillist.diffusion import chains, coarse, devices, likelihood
from pointillist.diffusion.denoiser import DTYPE, Denoiser
from pointillist.diffusion.density import GaussianMixture

logger = logging.getLogger(__name__)

_FIRST_STEP = 100
_NODES = 64
_DRAWS, _FEWEST = 2**15, 32
# A look far from the goal takes each so many-th of the draws only.
_STRIDE = 8
_NEAR = 1.4
# More draws where the noise is low, as in training: there the errors are.
_EXPONENT = 0.7
# Looks are so many times the steps apart: whoever waits too long makes steps that nobody needs, and a
# look costs as long as some steps itself.
_LEAST_WAIT, _LONGEST_WAIT = 1.02, 1.5
# The bound falls about as a power of the step, hardly ever faster than with this one.
_STEEPEST = 1.6


class Proof:
    """Takes the certified bound now and then, on draws that the training never sees.

    The risk of `likelihood.kl_bound`, at 64 noise levels, of the same 2^15 draws at every look: of a
    part of them as long as the goal is far. It is reached if the bound with two of its standard errors
    is at most `until` (nats). The further it still is, the later the next look.
    """

    def __init__(
        self, denoiser: Denoiser, density: GaussianMixture, until: float | None, seed: int
    ) -> None:
        self._path, self._until, self._seed = denoiser.path, until, seed
        self._density = density
        self._denoise = devices.reached_from_cpu(denoiser, density.anchors.device)
        self.memory = {"due": torch.tensor(float(_FIRST_STEP), dtype=torch.float64)}
        """The step from which the next look is due."""
        if until is not None:
            start = chains.start_distribution(density, self._path, "moments")
            self._prior = likelihood.prior_nats(
                density.to("cpu", torch.float64), self._path, start, self._generator("prior")
            )
            self._require(until)

    def look(self, step: int) -> likelihood.KLBound | None:
        """Return the bound of the denoiser as it is now, if it is time to look; else None."""
        if self._until is None or step < self.memory["due"]:
            return None
        found = self._bound(_STRIDE)
        missing = found.nats / self._until
        if missing <= _NEAR:
            found = self._bound()
            missing = (found.nats + 2 * found.standard_error) / self._until
        wait = max(missing, 0.0) ** (1 / _STEEPEST)
        self.memory["due"].fill_(step * min(max(wait, _LEAST_WAIT), _LONGEST_WAIT))
        return found

    def holds(self, bound: likelihood.KLBound | None) -> bool:
        """Return whether a bound proves that the goal is reached."""
        if bound is None or self._until is None:
            return False
        return bound.nats + 2 * bound.standard_error <= self._until

    def _bound(self, stride: int = 1) -> likelihood.KLBound:
        return self._draws.bound(self._denoise, stride).with_prior(*self._prior)

    @cached_property
    def _draws(self) -> likelihood.RiskDraws:
        levels = likelihood.even_levels(self._path, _NODES)
        h2 = self._density.bandwidth**2
        ratios2 = torch.tensor([level.noise_ratio**2 for level in levels], dtype=torch.float64)
        share = ratios2 / (ratios2 + h2) ** (1 + _EXPONENT / 2)
        counts = (_DRAWS * share / share.sum()).clamp(min=_FEWEST).long()
        # Single precision is accurate enough, but not for joining very many anchors.
        dtype = DTYPE if len(self._density.anchors) <= coarse.FEW else torch.float64
        exact = self._density.to("cpu", dtype)
        return likelihood.risk_draws(exact, levels, counts, self._generator("draws"))

    def _generator(self, purpose: str) -> torch.Generator:
        return devices.generator(self._seed, f"proof: {purpose}")

    def _require(self, until: float) -> None:
        """Say it, and give up the goal, where no training reaches it."""
        nats, error = self._prior
        if nats + 2 * error < until:
            return
        logger.warning(
            "training.until=%g can't be proven: the start of the chain alone costs up to %.2g nats. All "
            "steps are made. Raise schedule.sigma_max or training.until; training.until=null: never ask.",
            until,
            nats + 2 * error,
        )
        self._until = None
