"""What a person can do about an error that Kedro raises: which dataset, which file, which command."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.io.core import DatasetError

from pointillist import command_line, stages
from pointillist.datasets import TrainingStatesDataset, VersionedFile
from pointillist.errors import PointillistError, causes, first_line
from pointillist.models import Stored
from pointillist.parameters import Parameters


class Explanation:
    """Messages about the datasets of one run."""

    def __init__(self, parameters: Parameters, project: Path) -> None:
        self._parameters, self._project = parameters, project
        self.loading: str | None = None
        """The dataset that is being loaded."""
        self.saving: str | None = None
        """The dataset that is being saved."""

    def require(self, name: str, inputs: Iterable[str], catalog: CatalogProtocol) -> None:
        """Raise PointillistError if there is no `name` to load; it says how to make all `inputs`."""
        dataset = catalog.get(name)
        assert isinstance(dataset, VersionedFile)
        if dataset.exists() or name not in stages.making(pipelines):
            return
        about = f"{name} of {self._parameters.shape!r}"
        versions = sorted(p.parent.name for p in dataset.folder.glob("*/*") if p.is_file())
        if versions:
            raise PointillistError(
                f"{about} has no such version. There are: {', '.join(versions)}."
            )
        needed = {*inputs}.union(*(stages.upstream(other, pipelines) for other in inputs))
        missing = [
            other
            for other in needed
            if isinstance(made := catalog.get(other), VersionedFile) and not made.exists()
        ]
        command = self._command(name, *missing)
        resumable = ""
        if "denoiser" in (name, *missing) and _was_interrupted(catalog):
            resumable = (
                "\nA training of it was interrupted. To go on with it: the command that began that "
                "training, with resume=true"
            )
        raise PointillistError(f"There is no {about} yet. Make it first: {command}{resumable}")

    def require_shape(self, name: str, data: Stored) -> None:
        """Raise PointillistError if a dataset of this run's shape was made for another."""
        shape = self._parameters.shape
        if data.shape != shape:
            raise PointillistError(
                f"{name} of {shape!r} holds what was made for {data.shape!r}. Use it with --params "
                f"{command_line.write({'shape': data.shape})}, or make it again: {self._command(name)}"
            )

    def of(self, error: BaseException, catalog: CatalogProtocol) -> str | None:
        """Return what to say of an error, or None if it is one of the program's own."""
        chain = list(causes(error))
        for cause in chain:
            if isinstance(cause, PointillistError):
                return str(cause)
        if any(isinstance(cause, DatasetError | OSError) for cause in chain):
            if self.saving is not None:
                return self._unsaved(self.saving, chain[-1], catalog)
            if self.loading is not None:
                return self._unreadable(self.loading, chain[-1], catalog)
        for cause in chain:
            if isinstance(cause, OSError) and cause.strerror and cause.filename:
                return f"{cause.strerror}: {cause.filename}"
            if isinstance(cause, DatasetError):
                return first_line(cause)
        return None

    def _unsaved(self, name: str, cause: BaseException, catalog: CatalogProtocol) -> str:
        dataset = catalog.get(name)
        where = dataset.folder if isinstance(dataset, VersionedFile) else Path(name)
        return f"{name} can't be saved in {near(where, self._project)}: {first_line(cause)}"

    def _unreadable(self, name: str, cause: BaseException, catalog: CatalogProtocol) -> str:
        dataset = catalog.get(name)
        where = dataset.load_path if isinstance(dataset, VersionedFile) else Path(name)
        message = f"{near(where, self._project)} can't be read: {first_line(cause)}"
        if name not in stages.making(pipelines):
            return message
        return (
            f"{message}\nMake it again: {self._command(name)}, or load another: --load-versions "
            f"{name}:VERSION"
        )

    def _command(self, *names: str) -> str:
        """Return the command that makes datasets."""
        made_by = ",".join(stages.needed(names, pipelines))
        return f"kedro run --pipelines {made_by} --params {command_line.source(self._parameters)}"


def _was_interrupted(catalog: CatalogProtocol) -> bool:
    states = catalog.get("training_states")
    if not isinstance(states, TrainingStatesDataset):
        return False
    return any(True for _ in states.load().interrupted())


def near(path: Path, project: Path) -> str:
    """Return a path as one would type it in the project."""
    return str(path.relative_to(project)) if path.is_relative_to(project) else str(path)
