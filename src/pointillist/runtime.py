"""How the process uses the machine: threads, freed memory, garbage collection.

`pointillist.diffusion` calls `configure` as it is imported: a library user and Kedro get the same.

Work is split into parts whose number never depends on the machine, and each part is computed on one
plain thread (`parallel`). Results are then the same bits whatever the number of threads. Torch's own
threads would share every single operation and wait for each other by spinning, hundreds of times a
training step: beside another busy process, most of the time goes there.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import platform
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
R = TypeVar("R")

# mallopt(3): the names of glibc's malloc.h, and values for them. 32 MiB is the most that it takes
# for the size from which a tensor gets pages of its own.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES, _OWN_PAGES_BYTES = 2**28, 2**25


@cache
def configure() -> None:
    """Set up the process, once; best before torch is imported."""
    _keep_freed_memory()
    # A process that ends would search through everything that was ever imported, for a second.
    atexit.register(gc.freeze)


def use_threads(threads: int) -> None:
    """Let `parallel` compute on this many CPU threads, but no more than there are cores.

    Torch itself computes on one thread from then on.
    """
    import torch

    global _threads
    torch.set_num_threads(1)
    _threads = min(threads, _cores())
    _pool.cache_clear()


def threads() -> int:
    """Return how many threads `parallel` computes on; at first as many as torch would."""
    if _threads is None:
        import torch

        use_threads(torch.get_num_threads())
    assert _threads is not None
    return _threads


def parallel(function: Callable[[T], R], items: Iterable[T], device: torch.device) -> list[R]:
    """Return what `function` makes of each item, in their order, computed on several threads.

    Each thread takes the next item that is left, so that one which gets less of the machine does
    less. Within a part, `parallel` takes the parts of that one after another; so it does on an
    accelerator. The caller's modes of torch (gradients, inference) hold in every thread. What
    `function` raises is raised here.
    """
    work = list(items)
    alone = device.type != "cpu" or getattr(_here, "busy", False)
    helpers = 0 if alone else min(threads(), len(work)) - 1
    if helpers < 1:
        return [function(item) for item in work]
    import torch

    found: dict[int, R] = {}
    turns = iter(range(len(work)))
    inference, gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def take_turns() -> None:
        try:
            with (
                on_this_thread(),
                torch.inference_mode(inference),
                torch.set_grad_enabled(gradients),
            ):
                for turn in turns:
                    found[turn] = function(work[turn])
        except BaseException:
            for _ in turns:  # nobody begins another part
                pass
            raise

    others = [_pool(threads() - 1).submit(take_turns) for _ in range(helpers)]
    try:
        take_turns()
    finally:
        # One that has not begun is no longer needed.
        ended = [other for other in others if not other.cancel()]
        for other in ended:
            other.exception()
    for other in ended:
        other.result()
    return [found[turn] for turn in range(len(work))]


@contextmanager
def on_this_thread() -> Iterator[None]:
    """Let `parallel` take its parts one after another in the block, on this thread."""
    before = getattr(_here, "busy", False)
    _here.busy = True
    try:
        yield
    finally:
        _here.busy = before


_threads: int | None = None
_here = threading.local()


@cache
def _pool(size: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(size, "pointillist")


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# A child process has none of its parent's threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _keep_freed_memory() -> None:
    """Have glibc keep what is freed.

    It would give a tensor's pages back to the system only to ask for them, zeroed, at the next
    operation, which takes longer than most operations here.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
