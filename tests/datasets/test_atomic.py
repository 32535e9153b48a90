"""Drafts of processes that have ended are swept, wherever something is written; those of others stay."""

import os
import subprocess
import sys

import psutil
import pytest

from pointillist import processes
from pointillist.datasets import atomic

PLACES = (
    "",
    "08_reporting/dino",
    "06_models/dino/training_states/2026-01-01T00.00.00.000Z",
    "07_model_output/dino/many/0123456789ab",
)


def gone() -> int:
    """The id of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("place", PLACES)
def test_what_a_dead_process_left_is_swept_and_nothing_else(tmp_path, place):
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    dead, here = gone(), processes.host()
    again = f"{os.getpid()}.{int(psutil.boot_time()) - 9}"  # an id that was given again
    for name in (
        f".writing-{here}-{dead}-a",
        f".writing-{here}-{dead}.17-b",
        f".writing-{here}-{again}-e",
    ):
        (folder / name).mkdir()
        (folder / name / "half").write_bytes(b"x")
    others = [
        f".writing-{here}-{os.getpid()}-c",
        f".writing-{here}-{processes.this()}-f",
        f".writing-elsewhere-{dead}-d",
        ".writing-notes",
    ]
    for name in others:
        (folder / name).touch()
    atomic.sweep(tmp_path, depth=4)
    assert sorted(p.name for p in folder.glob(".writing-*")) == sorted(others)


def test_a_version_appears_whole_and_never_twice(tmp_path):
    path = tmp_path / "table.csv" / "v1" / "table.csv"
    with atomic.whole(path) as draft:
        draft.write_text("x")
        draft.with_suffix(".txt").write_text("y")
        assert not path.parent.exists()
    assert sorted(p.name for p in path.parent.iterdir()) == ["table.csv", "table.txt"]
    with pytest.raises(Exception, match="no version is replaced"), atomic.whole(path) as draft:
        draft.write_text("z")
    assert path.read_text() == "x"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["table.csv"]


def test_a_write_that_fails_leaves_no_folder(tmp_path):
    path = tmp_path / "data" / "dino" / "table.csv" / "v1" / "table.csv"

    def write() -> None:
        with atomic.whole(path) as draft:
            draft.write_text("half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write()
    assert list(tmp_path.iterdir()) == []
