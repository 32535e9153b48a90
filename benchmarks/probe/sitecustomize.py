"""Notes when a training has made its first step: seen from outside, whatever release is measured.

Python imports this module as it starts, where its folder is on PYTHONPATH (start.py puts it there).
With training.report_every=1 the first report of `pointillist.diffusion.training.train` is that of its
first step.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_TRAINING = "pointillist.diffusion.training"


class _Finder:
    """Finds the module of the training once, and has its `train` watched when it is imported."""

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        if name != _TRAINING:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_watch(module: ModuleType) -> None:
            execute(module)
            module.train = _watched(module.train)  # type: ignore[attr-defined]

        spec.loader.exec_module = execute_and_watch  # type: ignore[method-assign]
        return spec


def _watched(train: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    def watched(*arguments: Any, **options: Any) -> Iterator[Any]:
        place = Path(os.environ["FIRST_STEP"])
        for report in train(*arguments, **options):
            if not place.exists():
                place.write_text(json.dumps({"at": time.time(), "cpu": time.process_time()}))
            yield report

    return watched


if "FIRST_STEP" in os.environ:
    sys.meta_path.insert(0, _Finder())
