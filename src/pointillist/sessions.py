"""Ids of Kedro sessions, each of which is the version of all that its run saves."""

from __future__ import annotations

import contextlib
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kedro.framework.session.store import BaseSessionStore

_FORMAT = "%Y-%m-%dT%H.%M.%S.%f"
_LONG_AGO = 60.0  # seconds, after which no run takes an id of that time


class UniqueSessions(BaseSessionStore):
    """Gives runs that start in one millisecond different ids, in which Kedro has the time only.

    An id is taken by a file of its name in data/.versions, which nobody can make twice.
    """

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take what is known of the session, with an id that nobody else has."""
        data = dict(*args, **kwargs)
        if wanted := data.get("session_id"):
            data["session_id"] = _take(Path(self._path).parent / "data" / ".versions", wanted)
        super().update(data)


def _take(folder: Path, wanted: str) -> str:
    # What can't be written to is not written to by the run either, which says so in its own words.
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        for other in folder.iterdir():
            with contextlib.suppress(OSError):
                if time.time() - other.stat().st_mtime > _LONG_AGO:
                    other.unlink()
        while True:
            try:
                (folder / wanted).touch(exist_ok=False)
            except FileExistsError:
                later = datetime.strptime(wanted[:-1], _FORMAT) + timedelta(milliseconds=1)
                wanted = later.strftime(_FORMAT)[:-3] + "Z"
            else:
                break
    return wanted
