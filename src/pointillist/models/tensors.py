"""Tensors with metadata, as one safetensors file that carries its own digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pointillist.errors import PointillistError

if TYPE_CHECKING:
    import torch

_FORMAT = "pointillist/1"


@dataclass(frozen=True)
class Tensors:
    """What one safetensors file holds."""

    tensors: dict[str, torch.Tensor]
    metadata: dict[str, Any] = field(default_factory=dict)
    """Values that JSON can say. A loaded file has its ``digest`` among them."""


def encode(file: Tensors) -> bytes:
    """Return the bytes of a safetensors file, its format and digest added to the metadata."""
    from safetensors.torch import save

    metadata = sealed(file).metadata
    texts = {key: json.dumps(value, sort_keys=True) for key, value in metadata.items()}
    return save(file.tensors, texts | {"format": json.dumps(_FORMAT)})


def sealed(file: Tensors, version: str | None = None) -> Tensors:
    """Return the file with its digest, and the `version` under which it is saved, in its metadata."""
    metadata = {key: value for key, value in file.metadata.items() if key != "digest"}
    if version is not None:
        metadata["version"] = version
    texts = {key: json.dumps(value, sort_keys=True) for key, value in metadata.items()}
    return replace(file, metadata=metadata | {"digest": _digest(file.tensors, texts)})


def decode(content: bytes, name: str) -> Tensors:
    """Read what `encode` wrote; `name` is the file's, for messages. No pickle is ever read.

    Raises
    ------
    PointillistError
        If the bytes are not such a file, or not the bytes that were written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    cure = "Make it again, or load an older version with --load-versions."
    try:
        tensors = load(content)
        length = int.from_bytes(content[:8], "little")
        texts = json.loads(content[8 : 8 + length]).get("__metadata__", {})
        metadata = {key: json.loads(value) for key, value in texts.items()}
    except (SafetensorError, ValueError, KeyError, RecursionError) as error:
        what = "is empty" if not content else f"is damaged or no safetensors file ({error})"
        raise PointillistError(f"{name} {what}. {cure}") from None
    if metadata.get("format") != _FORMAT:
        raise PointillistError(
            f"{name} is a safetensors file, but not one of Pointillist's (format "
            f"{metadata.get('format')!r}, {_FORMAT!r} is needed). {cure}"
        )
    expected = texts.pop("digest", None)
    texts.pop("format")
    if expected != json.dumps(_digest(tensors, texts)):
        raise PointillistError(f"{name} is damaged: its digest does not fit its content. {cure}")
    return Tensors(tensors, {key: value for key, value in metadata.items() if key != "format"})


def _digest(tensors: dict[str, torch.Tensor], texts: dict[str, str]) -> str:
    """Return the SHA-256 over all names, types, sizes, values and metadata."""
    content = hashlib.sha256(json.dumps(sorted(texts.items())).encode())
    for name, tensor in sorted(tensors.items()):
        content.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        content.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()
