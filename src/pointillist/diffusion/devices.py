"""Where tensors live and where randomness comes from."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor

from pointillist.diffusion.denoiser import Denoise
from pointillist.errors import PointillistError


def resolve(device: str) -> torch.device:
    """Return the device that `device` names; ``auto`` prefers cuda, then mps, then cpu.

    Raises
    ------
    PointillistError
        If the device is not there.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    resolved = torch.device(device)
    present = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }[resolved.type]
    if (resolved.index or 0) >= present:
        raise PointillistError(
            f"Device {device!r} is not available here. Use --params device=auto, or device=cpu."
        )
    return resolved


def generator(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator of its own for each `purpose`, so that stages never share draws."""
    mixed = (seed * 0x9E3779B97F4A7C15 + zlib.crc32(purpose.encode())) % 2**63
    return torch.Generator(device).manual_seed(mixed)


def reached_from_cpu(denoise: Denoise, device: torch.device) -> Denoise:
    """Return `denoise`, which computes on `device`, as one that takes and answers CPU tensors."""
    if device.type == "cpu":
        return denoise

    def reach(x: Tensor, t: Tensor) -> Tensor:
        return denoise(x.to(device), t.to(device)).cpu()

    return reach
