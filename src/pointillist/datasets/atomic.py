"""Writing that leaves either the whole or nothing, whenever it is stopped.

What is being written lies aside in a file or folder called ``.writing-HOST-PROCESS-…``, is flushed to the
disk, and gets its place by one rename. If the process is killed, that draft is left, and `sweep`, with
which every run begins, removes it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kedro.io.core import DatasetError

from pointillist import processes

_DRAFT = re.compile(r"\.writing-(?P<host>.*)-(?P<process>\d+(?:\.\d+)?)-[^-]*")


@contextlib.contextmanager
def whole(path: Path, *, versioned: bool = True) -> Iterator[Path]:
    """Yield a place to write the file `path` to, and others beside it; they get theirs together.

    A `versioned` path is FOLDER/NAME/VERSION/NAME: the whole folder VERSION appears when the block ends
    well. Otherwise the files take the place of those of their names.

    Raises
    ------
    DatasetError
        If that version is there already.
    OSError
        If the disk is full, the folder can't be written to, and the like; nothing is left behind then.
    """
    home = path.parents[2] if versioned else path.parent
    with _undone_on_error(home), draft_folder(home) as draft:
        yield draft / path.name
        for file in draft.iterdir():
            _sync(file)
        _sync(draft)
        if versioned:
            path.parents[1].mkdir(exist_ok=True)
            try:
                draft.rename(path.parent)
            except OSError:
                if path.exists():
                    raise DatasetError(
                        f"{path} is there already; no version is replaced."
                    ) from None
                raise
            _sync(path.parents[1])
        else:
            for file in draft.iterdir():
                file.replace(home / file.name)
            _sync(home)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to the file `path` in place of what is there. Raises OSError."""
    with whole(path, versioned=False) as draft:
        draft.write_bytes(content)


@contextlib.contextmanager
def draft_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder in `parent` that is gone afterwards, or after the next run's `sweep`."""
    draft = Path(tempfile.mkdtemp(prefix=_prefix(), dir=parent))
    draft.chmod(0o777 & ~_umask())
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def sweep(folder: Path, depth: int) -> None:
    """Remove the drafts that processes which have ended left up to `depth` folders below `folder`."""
    for level in range(depth + 1):
        for draft in folder.glob("*/" * level + ".writing-*"):
            found = _DRAFT.fullmatch(draft.name)
            if found and processes.is_over(found["host"], found["process"]):
                if draft.is_dir():
                    shutil.rmtree(draft, ignore_errors=True)
                else:
                    with contextlib.suppress(OSError):
                        draft.unlink()


@contextlib.contextmanager
def _undone_on_error(folder: Path) -> Iterator[None]:
    """Make `folder` and what is above it, and remove what was made if the block fails."""
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for empty in made:
            with contextlib.suppress(OSError):
                empty.rmdir()
        raise


def _prefix() -> str:
    return f".writing-{processes.host()}-{processes.this()}-"


def _sync(path: Path) -> None:
    """Flush a file to the disk; or a folder, where the system lets one be flushed."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        if path.is_file():
            raise
        return
    try:
        os.fsync(descriptor)
    except OSError:
        if path.is_file():
            raise
    finally:
        os.close(descriptor)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
