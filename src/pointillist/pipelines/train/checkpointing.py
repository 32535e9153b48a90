"""Keeping the state of a training while it lasts, and resuming one that was interrupted."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pointillist import diffusion, groups, models
from pointillist.datasets import TrainingStates
from pointillist.diffusion.config import Training
from pointillist.errors import PointillistError
from pointillist.progress import tell

if TYPE_CHECKING:
    from pointillist.diffusion.training import DivergedError, State, TrainingReport

logger = logging.getLogger(__name__)


class Checkpoints:
    """The states of one training: kept every so many seconds, found again when it was interrupted."""

    def __init__(
        self, states: TrainingStates, model: models.TrainedDenoiser, training: Training, device: str
    ) -> None:
        self.record = models.state.Record()
        """What the training has measured so far; the caller adds snapshots to it."""
        self._states, self._shape, self._training = states, model.shape, training
        # All that two trainings must have in common for one to continue the other.
        self._settings = {**model.parameters, "shape": model.shape_digest, "device": device}

    def resumed(self) -> State | None:
        """Return the newest state that fits, or None if no training was interrupted.

        Raises
        ------
        PointillistError
            If there are such, but of trainings with other settings; it says what differs.
        """
        refused: dict[str, list[str]] = {}
        for version, file in self._states.interrupted():
            if different := models.state.differences(file, self._settings):
                refused[version] = different
                continue
            state, self.record = models.state.unpack(file)
            self._states.continue_from(version)
            self.record.resumed_from.append(version)
            step = int(state["step"])
            logger.info("Resuming the training %s of %s after step %s.", version, self._shape, step)
            steps, until = models.state.ends(file)
            for name, before in (("steps", steps), ("until", until)):
                if before != (now := getattr(self._training, name)):
                    was, is_now = groups.written(before), groups.written(now)
                    logger.warning("training.%s was %s there, and is %s now.", name, was, is_now)
            tell("resumed_from", version)
            return state
        # An interrupted training that was given up for a later one is ignored.
        for version, different in refused.items():
            if not self._states.is_superseded(version):
                raise PointillistError(
                    f"The interrupted training {version} of {self._shape!r} had other parameters. "
                    f"{'; '.join(different)}\nResume with those, train anew with resume=false, or remove "
                    f"{self._states.place.with_name(version)}"
                )
        logger.info("No training of %s was interrupted: this one starts anew.", self._shape)
        return None

    def kept(self, reports: Iterable[TrainingReport]) -> Iterator[TrainingReport]:
        """Pass the reports of a training through; note what they measured, keep a state in time.

        Raises
        ------
        PointillistError
            If the training diverges; its last good state is kept, and the message says what to do.
        """
        saved = time.monotonic()
        try:
            for report in reports:
                row = {"step": report.step, **report.metrics}
                row.setdefault("kl_bound_nats", math.nan)  # it is not taken at every report
                self.record.history.append(row)
                yield report
                # At the end the model itself is about to be saved.
                if (
                    not report.last
                    and time.monotonic() - saved >= self._training.checkpoint_seconds
                ):
                    self._keep(report.step, report.state())
                    saved = time.monotonic()
        except diffusion.training.DivergedError as error:
            raise self._with_cure(error) from None

    def _keep(self, step: int, state: State) -> bool:
        """Keep a state if that is possible; if not, the training goes on all the same."""
        try:
            self._states.keep(step, models.state.pack(state, self.record, self._settings))
        except OSError as error:
            reason = error.strerror or error
            logger.warning("The state after step %s can't be kept: %s", step, reason)
            return False
        return True

    def _with_cure(self, error: DivergedError) -> PointillistError:
        kept = ""
        if error.state:
            step = int(error.state["step"])
            if self._keep(step, error.state):
                kept = f" Its last good state, after step {step}, is kept in {self._states.place}."
        rates = "training.learning_rate and training.muon_learning_rate"
        return PointillistError(f"{error}{kept}\nLower {rates}, or set training.gradient_clip=1.")
