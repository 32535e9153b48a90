"""States of trainings that are under way, or were interrupted."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout
from kedro.io.core import DatasetError

from pointillist.datasets import atomic
from pointillist.datasets.versioned import VersionedFile
from pointillist.errors import PointillistError, reason
from pointillist.models.tensors import Tensors, decode, encode

logger = logging.getLogger(__name__)

_KEPT = 2
_CONTINUED = "continued_by"


class TrainingStates:
    """Where a training keeps its state while it lasts, and where those that were interrupted lie.

    One folder a training, named by its version; it is locked while its process lives, so that a
    training that is under way is never taken for one that was interrupted.
    """

    def __init__(self, folder: Path, version: str, models: Path) -> None:
        self._folder, self._version, self._models = folder, version, models

    @property
    def place(self) -> Path:
        """The folder of this training's states."""
        return self._folder / self._version

    def interrupted(self) -> Iterator[tuple[str, Tensors]]:
        """Yield version and newest whole state of every training that was interrupted, newest first.

        Each is locked until the next is asked for.
        """
        for folder in sorted(self._folder.glob("*"), reverse=True):
            if not folder.is_dir() or folder in _held or not _lock(folder):
                continue
            try:
                for file in sorted(folder.glob("step-*.safetensors"), reverse=True):
                    try:
                        state = decode(file.read_bytes(), str(file))
                    except (PointillistError, OSError) as error:
                        logger.warning("A state is damaged and passed over: %s", reason(error))
                        continue
                    yield folder.name, state
                    break
                else:
                    logger.warning("No state in %s can be read; remove that folder.", folder)
            finally:
                if not self._is_continued_here(folder):
                    _unlock(folder)

    def continue_from(self, version: str) -> None:
        """Note that this training continues the interrupted one: nobody else does as long as it lives."""
        atomic.write_bytes(self._folder / version / _CONTINUED, self._version.encode())

    def is_superseded(self, version: str) -> bool:
        """Return whether a training that began later came to its end."""
        return any(model.name > version for model in self._models.glob("*"))

    def keep(self, step: int, state: Tensors) -> None:
        """Write the state after `step` steps, and remove all of this training's but the newest two.

        Raises
        ------
        OSError
            If it can't be written; older ones are still there then.
        """
        self.place.mkdir(parents=True, exist_ok=True)
        _lock(self.place)
        atomic.write_bytes(self.place / f"step-{step:09d}.safetensors", encode(state))
        for old in sorted(self.place.glob("step-*.safetensors"))[:-_KEPT]:
            old.unlink(missing_ok=True)

    def remove_finished(self) -> None:
        """Remove the states of trainings whose model is there, and of those that they continued.

        A folder in which a training was killed before its first state was written goes, too.
        """
        folders = [folder for folder in self._folder.glob("*") if folder.is_dir()]
        for folder in [folder for folder in folders if self._is_finished(folder)]:
            if _lock(folder):
                shutil.rmtree(folder, ignore_errors=True)
                _unlock(folder)
        with suppress(OSError):
            self._folder.rmdir()

    def _is_finished(self, folder: Path) -> bool:
        if any(self._models.glob(f"{folder.name}/*")):
            return True
        if not any(folder.glob("step-*")) and folder != self.place:
            return True
        later = _read(folder / _CONTINUED)
        return later > folder.name and self._is_finished(self._folder / later)

    def _is_continued_here(self, folder: Path) -> bool:
        return _read(folder / _CONTINUED) == self._version


_held: dict[Path, FileLock] = {}
"""Locks of this process by folder; the system releases them when it ends, however it ends."""


def _lock(folder: Path) -> bool:
    """Return whether this process holds the lock of `folder`, after trying to get it."""
    if folder in _held:
        return True
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except (Timeout, OSError):
        return False
    _held[folder] = lock
    return True


def _unlock(folder: Path) -> None:
    _held.pop(folder).release()


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


class TrainingStatesDataset(VersionedFile):
    """The states of a shape's trainings, in a folder beside the versions of denoiser.safetensors.

    Loading reads none yet: the training asks for what it needs.
    """

    def resolve_load_version(self) -> None:
        """Return None: what is there belongs to trainings that have no model yet."""

    def load(self) -> TrainingStates:
        """Return the place of states; those of trainings that were finished are removed."""
        version = self.resolve_save_version()
        if version is None:
            raise DatasetError("States of trainings need versioned: true.")
        models = self.folder.with_name("denoiser.safetensors")
        states = TrainingStates(self.folder, version, models)
        states.remove_finished()
        return states

    def remove_finished(self) -> None:
        """Remove the states of trainings that are finished: their models have been saved."""
        self.load()

    def save(self, data: None) -> None:  # noqa: ARG002 - Kedro's signature
        """Refuse: the training writes its states itself."""
        raise DatasetError("States are written by the training only.")

    def _exists(self) -> bool:
        return True
