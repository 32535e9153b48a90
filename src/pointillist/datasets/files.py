"""Versioned datasets of one file each, written atomically."""

from __future__ import annotations

import base64
import html
import json
import re
from contextlib import AbstractContextManager
from glob import glob
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io.core import AbstractVersionedDataset, Version
from kedro_datasets._typing import HTMLPreview, ImagePreview, JSONPreview

from pointillist.datasets import atomic
from pointillist.datasets.tensors import Tensors, decode, encode, stamped
from pointillist.datasets.whole import OwnVersion


class _FileDataset(OwnVersion, AbstractVersionedDataset[Any, Any]):
    """A local file, versioned or not, that is written whole or not at all."""

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.metadata = metadata
        path = PurePosixPath(Path(filepath).as_posix())
        super().__init__(
            filepath=path,
            version=version,
            exists_function=lambda name: Path(name).is_file(),
            glob_function=glob,
        )

    def _exists(self) -> bool:
        return Path(self._get_load_path()).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "version": self._version}

    def _read(self) -> bytes:
        return Path(self._get_load_path()).read_bytes()

    def _write(self, content: bytes) -> None:
        with self._whole() as draft:
            draft.write_bytes(content)

    def _whole(self) -> AbstractContextManager[Path]:
        versioned = bool(self.resolve_save_version())
        return atomic.whole(Path(self._get_save_path()), versioned=versioned)


class TensorsDataset(_FileDataset):
    """`Tensors` as one safetensors file; the save version is noted in the metadata."""

    def load(self) -> Tensors:
        """Read and verify the file. Raises PointillistError if it is damaged."""
        return decode(self._read(), str(self._get_load_path()))

    def save(self, data: Tensors) -> None:
        """Write the file."""
        self._write(encode(stamped(data, self.resolve_save_version())))

    def preview(self) -> JSONPreview:
        """Return metadata and the sizes of the tensors for Kedro-Viz."""
        file = self.load()
        sizes = {name: list(tensor.shape) for name, tensor in file.tensors.items()}
        return JSONPreview(json.dumps(file.metadata | {"tensors": sizes}))


class GifDataset(_FileDataset):
    """The bytes of a GIF; Kedro-Viz shows it."""

    def load(self) -> bytes:
        """Read the file."""
        return self._read()

    def save(self, data: bytes) -> None:
        """Write the file."""
        self._write(data)

    def preview(self) -> ImagePreview:
        """Return the picture as Kedro-Viz shows it: base64."""
        return ImagePreview(base64.b64encode(self.load()).decode())


class AnimationDataset(GifDataset):
    """An animation in one or more formats, side by side: the GIF, and what else there is."""

    def save(self, data: bytes | dict[str, bytes]) -> None:
        """Write the files by suffix."""
        formats = {"gif": data} if isinstance(data, bytes) else data
        with self._whole() as gif:
            for suffix, content in formats.items():
                gif.with_suffix(f".{suffix}").write_bytes(content)


_NOT_PREVIEWED = re.compile(r'<(\w+)[^<>]* data-preview="no">.*?</\1>', re.DOTALL)


class HtmlDataset(_FileDataset):
    """A page, UTF-8, whose words and tables Kedro-Viz shows."""

    def load(self) -> str:
        """Read the file."""
        return self._read().decode("utf-8")

    def save(self, data: str) -> None:
        """Write the file."""
        self._write(data.encode("utf-8"))

    def preview(self) -> HTMLPreview:
        """Return what of the page makes sense without its style and script, for Kedro-Viz.

        It is on one line: Kedro-Viz takes line breaks for Markdown's.
        """
        _, _, body = self.load().partition("<body>")
        body = _NOT_PREVIEWED.sub("", body.partition("<script>")[0])
        where = f"<p>The page itself: {html.escape(str(self._get_load_path()))}</p>"
        return HTMLPreview(" ".join((body + where).split()))
