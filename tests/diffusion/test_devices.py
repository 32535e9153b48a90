"""Devices are refused in words, and the memory that torch frees stays with the process."""

import platform

import pytest
import torch

from pointillist.diffusion import devices
from pointillist.errors import PointillistError


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

    devices.use_threads(torch.get_num_threads())
    for _ in range(5):
        chain()
    before = page_faults()
    for _ in range(20):
        chain()
    assert page_faults() - before < 20 * 3 * 128


def test_a_device_that_is_not_there_is_refused_in_words():
    with pytest.raises(PointillistError, match="device=auto"):
        devices.resolve(f"cuda:{torch.cuda.device_count()}")
