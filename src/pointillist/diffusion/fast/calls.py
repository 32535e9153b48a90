"""Many operations as one call, so that threads don't wait for each other.

Python's lock changes hands at every operation of torch, and waking up the thread that waits for it takes
ten times as long as a small operation does. A graph of operations (`torch.jit.trace`) runs from its first
to its last without the lock. They are the same operations, so the bits are the same.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torch.jit._fuser import optimized_execution
from torch.jit._trace import TracerWarning

from pointillist.runtime import on_this_thread

R = TypeVar("R")

_MAKING = threading.Lock()
_one_by_one: ContextVar[bool] = ContextVar("one_by_one", default=False)


class OneCall(Generic[R]):
    """A function of tensors, or None, that runs as one call on the CPU, if no gradient is asked for.

    Which way it goes may depend on what its inputs are, their types and numbers of dimensions, with
    `sizes` their sizes too, but not on the numbers in them; other numbers in it must always be the same.
    """

    def __init__(self, function: Callable[..., R], sizes: bool = False) -> None:
        self._function, self._sizes = function, sizes
        self._graphs: dict[tuple[Any, ...], Callable[..., R]] = {}
        self.__doc__ = function.__doc__

    def __call__(self, *inputs: Tensor | None) -> R:
        """Return what the function makes of the inputs."""
        there = [x for x in inputs if x is not None]
        if (
            _one_by_one.get()
            or torch.is_grad_enabled()
            or any(x.device.type != "cpu" for x in there)
        ):
            return self._function(*inputs)
        kinds = tuple(map(self._kind, inputs))
        if kinds not in self._graphs:
            with _MAKING:
                if kinds not in self._graphs:
                    self._graphs[kinds] = self._graph(inputs)
        # It would take products with a bias apart, which changes their last digit.
        with optimized_execution(False):
            return self._graphs[kinds](*there)

    def _kind(self, x: Tensor | None) -> tuple[Any, ...] | None:
        return None if x is None else (x.dtype, x.shape if self._sizes else x.ndim)

    def _graph(self, inputs: tuple[Tensor | None, ...]) -> Callable[..., R]:
        def function(*there: Tensor) -> R:
            left = iter(there)
            return self._function(*(None if x is None else next(left) for x in inputs))

        there = tuple(x for x in inputs if x is not None)
        with on_this_thread(), one_by_one(), warnings.catch_warnings():
            # What is advised in its place needs a compiler; and sizes are as they will be.
            warnings.filterwarnings("ignore", ".*is deprecated", DeprecationWarning)
            warnings.filterwarnings("ignore", category=TracerWarning)
            graph: Callable[..., R] = torch.jit.trace(function, there, check_trace=False)
        return graph


@contextmanager
def one_by_one() -> Iterator[None]:
    """Let operations of this thread come one by one in the block, for whoever wants to see each."""
    before = _one_by_one.set(True)
    try:
        yield
    finally:
        _one_by_one.reset(before)
