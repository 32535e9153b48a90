"""What the figures depend on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks.common import Figures, Options

TITLE = "Machine"


def measure(options: Options) -> Figures:  # noqa: ARG001 - every part has one signature
    """Return processor, cores, versions and accelerator."""
    import torch

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "kedro", "mlflow", "numpy", "pointillist")},
        "vector instructions": torch.backends.cpu.get_cpu_capability(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def report(figures: Figures) -> Iterator[str]:
    """Yield a sentence each for what is there and what is not."""
    yield ", ".join(f"{name} {value}" for name, value in figures.items() if value) + "."
    yield ""
    if figures["accelerator"] is None:
        yield "No accelerator was available here."
    yield "Everything below is measured on the CPU, but for a section that names another device."
    yield ""


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
