"""When a training may end: as soon as the bound of its averaged weights is proven to be small enough."""

from __future__ import annotations

import logging

import torch

from pointillist.diffusion import chains, devices, likelihood
from pointillist.diffusion.denoiser import Denoiser
from pointillist.diffusion.density import GaussianMixture

logger = logging.getLogger(__name__)

_FIRST_STEP = 100
_NODES = 64
# Draws at each node: few to see how far it still is, enough that the error is some percent to be sure.
_GLANCE, _PROOF = 64, 512
# Looks are so many times the steps apart: whoever waits too long makes steps that nobody needs, and a
# look costs a step or two itself.
_LEAST_WAIT, _LONGEST_WAIT = 1.03, 1.5
# The bound falls about as a power of the step, never much faster than with this one.
_STEEPEST = 3.0


class Proof:
    """Takes the certified bound now and then, on draws that the training never saw.

    `likelihood.kl_bound` with 64 nodes: of few draws first, and where these say that the goal is
    reached, anew of many. It is reached if the bound with two of its standard errors is at most
    `until` (nats). The further it still is, the later the next look.
    """

    def __init__(
        self, denoiser: Denoiser, density: GaussianMixture, until: float | None, seed: int
    ) -> None:
        self._path, self._until, self._seed = denoiser.path, until, seed
        device = density.anchors.device
        self._denoise = devices.reached_from_cpu(denoiser, device)
        self._exact = density.to("cpu", torch.float64)
        self.memory = {"due": torch.tensor(float(_FIRST_STEP), dtype=torch.float64)}
        """The step from which the next look is due."""
        if until is not None:
            start = chains.start_distribution(density, self._path, "moments")
            self._prior = likelihood.prior_nats(
                self._exact, self._path, start, self._generator("prior")
            )
            self._require(until)

    def look(self, step: int) -> likelihood.KLBound | None:
        """Return the bound of the denoiser as it is now, if it is time to look; else None."""
        if self._until is None or step < self.memory["due"]:
            return None
        found = self._bound(step, _GLANCE)
        if found.nats - 2 * found.standard_error <= self._until:
            found = self._bound(step, _PROOF)
        wait = (max(found.nats, 0.0) / self._until) ** (1 / _STEEPEST)
        due = step * min(max(wait, _LEAST_WAIT), _LONGEST_WAIT)
        self.memory["due"].fill_(due)
        return found

    def holds(self, bound: likelihood.KLBound | None) -> bool:
        """Return whether a bound proves that the goal is reached."""
        if bound is None or self._until is None:
            return False
        return bound.nats + 2 * bound.standard_error <= self._until

    def _bound(self, step: int, draws: int) -> likelihood.KLBound:
        risk = likelihood.risk_bound(
            self._denoise,
            self._exact,
            self._path,
            nodes=_NODES,
            draws=draws,
            generator=self._generator(f"step {step}, {draws} draws"),
        )
        return risk.with_prior(*self._prior)

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
