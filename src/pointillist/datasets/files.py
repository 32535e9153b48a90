"""Pages and animations as files; `AtomicDataset` gives them versions."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path
from typing import Any

from kedro.io.core import AbstractDataset
from kedro_datasets._typing import HTMLPreview, ImagePreview


class AnimationDataset(AbstractDataset["bytes | dict[str, bytes]", bytes]):
    """An animation in one or more formats, side by side: the GIF, which Kedro-Viz shows, and others."""

    def __init__(self, *, filepath: str) -> None:
        self._path = Path(filepath)

    def load(self) -> bytes:
        """Read the GIF."""
        return self._path.read_bytes()

    def save(self, data: bytes | dict[str, bytes]) -> None:
        """Write a GIF, or the files by suffix."""
        formats = {"gif": data} if isinstance(data, bytes) else data
        for suffix, content in formats.items():
            self._path.with_suffix(f".{suffix}").write_bytes(content)

    def preview(self) -> ImagePreview:
        """Return the picture as Kedro-Viz shows it: base64."""
        return ImagePreview(base64.b64encode(self.load()).decode())

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._path}


_NOT_PREVIEWED = re.compile(r'<(\w+)[^<>]* data-preview="no">.*?</\1>', re.DOTALL)


class HtmlDataset(AbstractDataset[str, str]):
    """A page, UTF-8, whose words and tables Kedro-Viz shows."""

    def __init__(self, *, filepath: str) -> None:
        self._path = Path(filepath)

    def load(self) -> str:
        """Read the page."""
        return self._path.read_text(encoding="utf-8")

    def save(self, data: str) -> None:
        """Write the page."""
        self._path.write_text(data, encoding="utf-8", newline="")

    def preview(self) -> HTMLPreview:
        """Return what of the page makes sense without its style and script, for Kedro-Viz.

        It is on one line: Kedro-Viz takes line breaks for Markdown's.
        """
        _, _, body = self.load().partition("<body>")
        body = _NOT_PREVIEWED.sub("", body.partition("<script>")[0])
        where = f"<p>The page itself: {html.escape(str(self._path))}</p>"
        return HTMLPreview(" ".join((body + where).split()))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._path}
