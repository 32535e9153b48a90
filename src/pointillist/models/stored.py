"""What the objects that are kept in safetensors files have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from pointillist.errors import PointillistError
from pointillist.models.tensors import Tensors, decode
from pointillist.version import __version__


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An object that `to_tensors` turns into a file and `from_tensors` makes of one."""

    kind: ClassVar[str]
    """What the file says that it holds."""
    made_by: ClassVar[str]
    """The pipeline that makes it, for messages."""

    shape: str
    version: str | None = None
    """Under which it was saved; None: not yet."""
    digest: str = ""
    """Of the file, SHA-256; empty: not saved yet."""
    package_version: str = __version__
    """Version of the package that made it."""

    def to_tensors(self) -> Tensors:
        """Return the tensors and metadata of its file."""
        raise NotImplementedError

    @classmethod
    def from_tensors(cls, file: Tensors) -> Self:
        """Make the object of its file. Raises PointillistError if that holds something else."""
        raise NotImplementedError

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read it from a file. Raises PointillistError if that is damaged or holds something else."""
        return cls.from_tensors(decode(path.read_bytes(), str(path)))

    @classmethod
    def require_kind(cls, file: Tensors) -> None:
        """Raise PointillistError if the file holds something else."""
        if (found := file.metadata.get("kind")) != cls.kind:
            raise PointillistError(
                f"This file holds {found!r}, not {cls.kind!r}. Point the catalog entry at one that the "
                f"{cls.made_by} pipeline wrote."
            )

    @classmethod
    def misfit(cls, file: Tensors, error: Exception) -> PointillistError:
        """Return the error that says that another version of the package wrote the file."""
        return PointillistError(
            f"The {cls.kind.replace('_', ' ')}, written by version "
            f"{file.metadata.get('package_version')}, does not fit version {__version__} "
            f"({str(error).splitlines()[0]}). Make it again: kedro run --pipelines {cls.made_by} "
            f"--params shape={file.metadata.get('shape')}"
        )
