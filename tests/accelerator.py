"""An accelerator that isn't there: its tensors have shapes and no numbers, so it needs no hardware.

Whatever passes between it and the host is noted, since that is what a host waits for; and what mixes
their tensors is refused. Tensors of the host are real. It is not named cuda, since a build for CPUs
knows too little of that to differentiate on it. Torch knows of the device for as long as the process
lives, so tests use it in a process of their own (`Apart`).
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from pointillist.diffusion.fast.calls import one_by_one

NAME = "fake"
_COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)


_FAKE = FakeTensorMode()


class Generator(torch.Generator):
    """The device's generator: of its numbers there are none, so any will do."""

    @property
    def device(self) -> torch.device:
        """The device's name."""
        return torch.device(NAME)


class Accelerator(TorchDispatchMode):
    """Runs what touches the device without numbers; what the host is told is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.crossings: Counter[str] = Counter()
        """What passed between host and device, by operation."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = [tensor.device.type == NAME for tensor in tensors]
        to = kwargs.get("device") or (tensors[0].device if tensors else "cpu")
        to_device = torch.device(to).type == NAME
        if not any(there) and not to_device:
            return func(*args, **kwargs)
        if func.namespace == "aten" and func._can_decompose():
            with self:  # Without autograd, operations come as they are called.
                return func.decompose(*args, **kwargs)
        if func is torch.ops.aten._local_scalar_dense.default:
            self.crossings["read"] += 1
            return torch.ones((), dtype=tensors[0].dtype).item()
        if func is torch.ops.aten.equal.default:
            self.crossings["read"] += 1
            return True
        if func in _COPIES and not (all(there) and to_device):
            self.crossings["to device" if to_device else "to host"] += 1
            return self._copied(func, tensors, to_device, kwargs)
        if any(tensor.ndim and not of_it for tensor, of_it in zip(tensors, there, strict=True)):
            raise AssertionError(f"{func} mixes tensors of host and device.")
        with _FAKE:
            return func(*tree_map(self._hidden, args), **tree_map(self._hidden, kwargs))

    def _copied(self, func: Any, tensors: list[Tensor], to_device: bool, kwargs: Any) -> Tensor:
        if func is torch.ops.aten.copy_.default:
            return tensors[0] if to_device else tensors[0].fill_(1)
        shape, dtype = tensors[0].shape, kwargs.get("dtype") or tensors[0].dtype
        if not to_device:
            return torch.ones(shape, dtype=dtype)
        with _FAKE:
            return torch.empty(shape, dtype=dtype, device=NAME)

    def _hidden(self, leaf: Any) -> Any:
        """Return a number of the host's, which any device takes, without its value."""
        if isinstance(leaf, Tensor) and leaf.device.type != NAME:
            return _FAKE.from_tensor(leaf)
        return leaf


def _register() -> None:
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(NAME)


def _tried(function: Callable[..., Any], *arguments: Any) -> tuple[bool, Any]:
    """Return whether a call failed, and its result or the traceback: not every error can be sent."""
    try:
        with one_by_one():
            return False, function(*arguments)
    except Exception:
        return True, traceback.format_exc()


class Apart:
    """A process that has the device."""

    def __enter__(self) -> Callable[..., Any]:
        """Return what calls a function there, with its arguments, and returns what that returned."""
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_register)

        def call(*function_and_arguments: Any) -> Any:
            failed, result = self._pool.submit(_tried, *function_and_arguments).result()
            assert not failed, result
            return result

        return call

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
