"""A full disk, a read-only one, a folder without permission: said once, and nothing is lost."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from pointillist.models import TrainedDenoiser
from tests.projects import QUICK_TEXT, kedro, mlflow, saved


@pytest.fixture
def disk(tmp_path, copy_project, monkeypatch):
    """A project on a file system of its own, 24 MB small, with one finished run."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        project = copy_project(place / "project")
        assert run(project).returncode == 0
        yield project
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def run(project, *more, **options):
    return kedro(
        project,
        "run",
        "--params",
        ",".join((QUICK_TEXT, *more)),
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )


def fill(project, left):
    """Take all but so many kB of the disk."""
    (project / "filler").unlink(missing_ok=True)
    room = shutil.disk_usage(project).free
    (project / "filler").write_bytes(bytes(max(0, room - 1000 * left)))


def versions(project):
    found = {p.relative_to(project): p.stat().st_size for p in project.glob("data/*/*/*.*/*/*")}
    return {path: size for path, size in found.items() if (project / path).is_file()}


def assert_said_and_nothing_lost(project, result, before, said):
    assert result.returncode == 1, result.stdout
    error = result.stderr[result.stderr.index("Error:") :]
    assert re.search(said, error)
    assert len(error.strip().splitlines()) <= 2
    assert "Traceback" not in result.stdout + result.stderr
    after = versions(project)
    assert before.items() <= after.items()
    assert 0 not in after.values()
    assert not list(project.rglob(".writing-*"))
    assert not [p for p in project.glob("data/*/*/*.*/*") if p.is_dir() and not any(p.iterdir())]
    for path in saved(project, "denoiser"):
        TrainedDenoiser.read(path)


@pytest.mark.parametrize(
    "room", [(0, 300), pytest.param((12, 60, 150, 450, 700, 800), marks=pytest.mark.soak)], ids=len
)
def test_a_full_disk_is_said_and_what_was_there_is_still_there(disk, room, record_property):
    """However many kB are left: the first output that no longer fits ends the run."""
    record_property("full disks survived", len(room))
    for left in room:
        before = versions(disk)
        fill(disk, left)
        result = run(disk)
        assert_said_and_nothing_lost(
            disk, result, before, r"No space left on device|disk is full|disk I/O error"
        )
    (disk / "filler").unlink()
    again = run(disk)
    assert again.returncode == 0, again.stderr
    _, runs = mlflow(disk)
    assert runs[0].info.status == runs[-1].info.status == "FINISHED"
    assert kedro(disk, "run", "--pipelines", "sample", "--params", QUICK_TEXT).returncode == 0


@pytest.mark.soak
def test_states_that_do_not_fit_are_said_and_training_goes_on(disk):
    fill(disk, 900)
    result = run(disk, "training.checkpoint_seconds=0", "training.steps=60", "network.width=256")
    assert "can't be kept: No space left on device" in result.stderr
    assert "Error: denoiser can't be saved" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_read_only_disk_is_said(disk):
    before = versions(disk)
    subprocess.run(["mount", "-o", "remount,ro", str(disk.parent)], check=True)
    result = run(disk)
    assert_said_and_nothing_lost(disk, result, before, "Read-only file system|readonly database")
    subprocess.run(["mount", "-o", "remount,rw", str(disk.parent)], check=True)
    assert run(disk).returncode == 0


def test_a_folder_without_permission_is_said(project):
    """Root may do everything, unless that is taken from it."""
    may = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    if may and not shutil.which("setpriv"):
        pytest.skip("root's permissions can't be taken away without setpriv")
    assert run(project).returncode == 0
    before = versions(project)
    folder = project / "data" / "06_models" / "dino" / "denoiser.safetensors"
    folder.chmod(0o555)
    folder.parent.chmod(0o555)
    try:
        result = subprocess.run(
            [*may, sys.executable, "-m", "kedro", "run", "--params", QUICK_TEXT],
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(project / "src")},
            capture_output=True,
            text=True,
        )
        assert_said_and_nothing_lost(project, result, before, "Permission denied")
    finally:
        folder.parent.chmod(0o755)
        folder.chmod(0o755)
