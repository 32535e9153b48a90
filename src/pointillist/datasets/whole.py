"""What makes datasets of kedro-datasets write whole files only.

The originals write in place: a run that is killed, or a full disk, leaves half a file that the next run
takes for the newest version.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from pointillist.datasets import atomic


class Whole:
    """Goes ahead of a dataset of kedro-datasets in a class's bases."""

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
