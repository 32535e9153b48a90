"""Local files in versions, each written atomically; a run loads what it saved itself.

The datasets of kedro-datasets write in place: a run that is killed, or a full disk, leaves half a file
that the next run takes for the newest version. And they load the newest version: in a run beside others
of the same shape that may be another run's. `AtomicDataset` wraps any of them and does neither.

This is the one module that relies on what Kedro's documentation shows for datasets of one's own but
names with an underscore (`_get_load_path`, `_get_save_path`, `_exists`, `_describe`, `_release`,
`_filepath`, `_version`), and on `_get_versioned_path`. Checked against Kedro 1.7;
tests/datasets/test_versioned.py fails if they change.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from glob import escape
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io.core import (
    AbstractDataset,
    AbstractVersionedDataset,
    Version,
    VersionNotFoundError,
    parse_dataset_definition,
)
from kedro.utils import load_obj
from kedro_datasets._typing import JSONPreview

from pointillist.datasets import atomic
from pointillist.models.tensors import Tensors, decode, encode, sealed


class VersionedFile(AbstractVersionedDataset[Any, Any]):
    """A local file FOLDER/NAME, or its versions FOLDER/NAME/VERSION/NAME."""

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.metadata = metadata
        super().__init__(
            filepath=PurePosixPath(Path(filepath).as_posix()),
            version=version,
            exists_function=lambda name: Path(name).is_file(),
            glob_function=_versions,
        )

    @property
    def folder(self) -> Path:
        """The folder of all versions; the file itself if there are none."""
        return Path(self._filepath)

    @property
    def load_path(self) -> Path:
        """The file that is loaded. Raises VersionNotFoundError if there is none."""
        return Path(self._get_load_path())

    @property
    def saved(self) -> list[Path]:
        """The file that this run saved, and others of its name and another suffix beside it."""
        version = self.resolve_save_version()
        if version is None:
            return [self.folder]
        path = Path(self._get_versioned_path(version))
        beside = path.parent.glob(f"{escape(path.stem)}.*")
        return [path, *sorted(other for other in beside if other != path)]

    def pin(self, version: str) -> None:
        """Load `version` from now on."""
        self._version = Version(version, self.resolve_save_version())
        self.release()

    def resolve_load_version(self) -> str | None:
        """Return the version asked for, else the one that this run saved, else the newest."""
        if self._version and self._version.save and not self._version.load:
            own: str = self._version.save
            if Path(self._get_versioned_path(own)).is_file():
                return own
        return super().resolve_load_version()

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """Yield a place to write to; what was written appears when the block ends well.

        Raises DatasetError if that version is there already, and OSError.
        """
        versioned = self.resolve_save_version() is not None
        with atomic.whole(Path(self._get_save_path()), versioned=versioned) as draft:
            yield draft

    def _exists(self) -> bool:
        try:
            return self.load_path.is_file()
        except VersionNotFoundError:
            return False

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "version": self._version}


class AtomicDataset(VersionedFile):
    """Versions of any dataset that keeps one file at `filepath`, written atomically.

    The `dataset` is given as CachedDataset's is: its type, and what else it takes but `filepath`.
    """

    def __init__(
        self,
        *,
        filepath: str,
        dataset: str | Mapping[str, Any],
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(filepath=filepath, version=version, metadata=metadata)
        self._config = {"type": dataset} if isinstance(dataset, str) else dict(dataset)
        wrapped, _ = parse_dataset_definition(self._config)
        if hasattr(wrapped, "preview"):
            self.preview = self._preview_like(wrapped.preview)

    def load(self) -> Any:
        """Load what the wrapped dataset finds in the version's file."""
        return self._at(self.load_path).load()

    def save(self, data: Any) -> None:
        """Let the wrapped dataset save `data` aside, then put all that it wrote in place."""
        with self.draft() as draft:
            self._at(draft).save(data)

    def _at(self, path: Path) -> AbstractDataset[Any, Any]:
        return AbstractDataset.from_config(path.name, {**self._config, "filepath": str(path)})

    def _preview_like(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return a preview with the signature of the `original`: Kedro-Viz reads the kind from it."""

        @functools.wraps(original)
        def preview(**arguments: Any) -> Any:
            wrapped: Any = self._at(self.load_path)
            return wrapped.preview(**arguments)

        return preview

    def _describe(self) -> dict[str, Any]:
        return super()._describe() | {"dataset": self._config["type"]}


class ModelDataset(VersionedFile):
    """An object of `pointillist.models` (or like them) as one safetensors file.

    It stays in memory until the last node of a run has had it, so that its file is read and verified
    once at most.
    """

    def __init__(
        self,
        *,
        filepath: str,
        holds: str,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Take the path of the object's class, as in pointillist.models.TrainedDenoiser."""
        super().__init__(filepath=filepath, version=version, metadata=metadata)
        self._holds = holds
        self._kept: Any = None

    def load(self) -> Any:
        """Return the object. Raises PointillistError if the file is damaged or holds another kind."""
        if self._kept is None:
            self._keep(self._read())
        return self._kept

    def save(self, data: Any) -> None:
        """Write the file, with its version and digest, both of which the object has from then on."""
        file = sealed(data.to_tensors(), self.resolve_save_version())
        with self.draft() as draft:
            draft.write_bytes(encode(file))
        self._keep(file)

    def preview(self) -> JSONPreview:
        """Return metadata and the sizes of the tensors for Kedro-Viz."""
        file = self._read()
        sizes = {name: list(tensor.shape) for name, tensor in file.tensors.items()}
        return JSONPreview(json.dumps(file.metadata | {"tensors": sizes}))

    def _read(self) -> Tensors:
        return decode(self.load_path.read_bytes(), str(self.load_path))

    def _keep(self, file: Tensors) -> None:
        self._kept = load_obj(self._holds).from_tensors(file)

    def _release(self) -> None:
        super()._release()
        self._kept = None

    def _describe(self) -> dict[str, Any]:
        return super()._describe() | {"holds": self._holds}


def _versions(pattern: str) -> list[str]:
    """Find the versions that Kedro asks for by FOLDER/NAME/*/NAME, whatever else the names contain."""
    folder, _, name = pattern.rpartition("/*/")
    return [str(path) for path in Path(folder).glob(f"*/{escape(name)}")]
