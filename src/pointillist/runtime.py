"""How the process uses the machine: threads, freed memory, garbage collection.

`pointillist.diffusion` calls `configure` as it is imported: a library user and Kedro get the same.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import platform
from functools import cache

# mallopt(3): the names of glibc's malloc.h, and values for them. 32 MiB is the most that it takes
# for the size from which a tensor gets pages of its own.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES, _OWN_PAGES_BYTES = 2**28, 2**25


@cache
def configure() -> None:
    """Set up the process, once; before torch is imported, for the first of the settings to count."""
    # Torch's threads wait for each other by spinning. Beside another busy process libgomp's default
    # spin count costs many times the work; this much is enough where the cores are free.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    _keep_freed_memory()
    # A process that ends would search through everything that was ever imported, for a second.
    atexit.register(gc.freeze)


def use_threads(threads: int) -> None:
    """Let torch compute on this many CPU threads, but no more than there are cores."""
    import torch

    torch.set_num_threads(min(threads, os.cpu_count() or 1))


def _keep_freed_memory() -> None:
    """Have glibc keep what is freed.

    It would give a tensor's pages back to the system only to ask for them, zeroed, at the next
    operation, which takes longer than most operations here.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
