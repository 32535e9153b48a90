"""Pages, figures and animations as files; `AtomicDataset` gives them versions."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io.core import AbstractDataset
from kedro_datasets._typing import HTMLPreview, ImagePreview

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _PictureDataset(AbstractDataset[Any, bytes]):
    """A file that Kedro-Viz shows as a picture."""

    def __init__(self, *, filepath: str) -> None:
        self._path = Path(filepath)

    def load(self) -> bytes:
        """Read the file."""
        return self._path.read_bytes()

    def preview(self) -> ImagePreview:
        """Return the picture as Kedro-Viz shows it: base64."""
        return ImagePreview(base64.b64encode(self.load()).decode())

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._path}


class FigureDataset(_PictureDataset):
    """A figure of matplotlib as PNG.

    That of kedro-datasets imports pyplot, which nothing here uses, before a run begins.
    """

    def save(self, data: Figure) -> None:
        """Draw the figure."""
        data.savefig(self._path, format="png")


class AnimationDataset(_PictureDataset):
    """An animation in one or more formats, side by side: the GIF, which Kedro-Viz shows, and others."""

    def save(self, data: bytes | dict[str, bytes]) -> None:
        """Write a GIF, or the files by suffix."""
        formats = {"gif": data} if isinstance(data, bytes) else data
        for suffix, content in formats.items():
            self._path.with_suffix(f".{suffix}").write_bytes(content)


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
