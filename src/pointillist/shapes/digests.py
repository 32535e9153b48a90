"""Identities of shapes: of their points, and of the files that hold them. SHA-256, 16 digits."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any


def digest(points: Any) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of `points` (N, 2) as little-endian doubles.

    Weights, where there are any, are a third column.
    """
    import numpy as np

    content = np.ascontiguousarray(points, dtype="<f8").tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


def of_file(path: Path) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
