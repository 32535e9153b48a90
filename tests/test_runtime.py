"""The process is set up alike for a library user and for Kedro."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pointillist import runtime

ROOT = Path(__file__).parents[1]


def test_the_library_sets_up_the_process_before_torch_is_there():
    code = (
        "import sys, os, pointillist.diffusion; "
        "print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"}
    environment["PYTHONPATH"] = str(ROOT / "src")
    for given, expected in ({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"):
        result = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=environment | given,
        )
        assert result.stdout.split() == [expected, "False"]


def test_threads_are_no_more_than_there_are_cores():
    before = torch.get_num_threads()
    try:
        runtime.use_threads(10_000)
        assert torch.get_num_threads() == os.cpu_count()
        runtime.use_threads(1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives pages back")
def test_freed_memory_is_kept():
    """Otherwise each pass asks the system for its 3 x 2 x 128 pages anew."""
    import resource

    def page_faults():
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    def chain():
        h = torch.ones(1024, 128)
        for _ in range(3):
            h = torch.relu(h @ torch.eye(128))

    runtime.configure()
    for _ in range(5):
        chain()
    before = page_faults()
    for _ in range(20):
        chain()
    assert page_faults() - before < 20 * 3 * 128
