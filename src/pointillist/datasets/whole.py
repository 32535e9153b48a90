"""What makes datasets write whole files only, and a run read what it wrote itself.

The datasets of kedro-datasets write in place: a run that is killed, or a full disk, leaves half a file
that the next run takes for the newest version. And they read the newest version: in a run beside others
of the same shape that may be another run's.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from pointillist.datasets import atomic


class OwnVersion:
    """Goes ahead of a versioned dataset in a class's bases: what its run saved is what it loads."""

    def resolve_load_version(self) -> str | None:
        """Return the version asked for, else the one that this run saved, else the newest."""
        dataset: Any = self
        version = dataset._version
        if version and version.save and not version.load:
            own = str(dataset._get_versioned_path(version.save))
            if dataset._exists_function(own):
                return str(version.save)
        original: Any = super()
        found: str | None = original.resolve_load_version()
        return found


class Whole(OwnVersion):
    """Goes ahead of a dataset of kedro-datasets, too: it writes aside."""

    _draft: Path | None = None

    def save(self, data: Any) -> None:
        """Let the original write aside, then put all that it wrote in place."""
        original: Any = super()
        place = Path(original._get_save_path())
        with atomic.whole(place, versioned=bool(original.resolve_save_version())) as self._draft:
            try:
                original.save.__wrapped__(self, data)
            finally:
                self._draft = None

    def _get_save_path(self) -> PurePosixPath:
        original: Any = super()
        return original._get_save_path() if self._draft is None else PurePosixPath(self._draft)
