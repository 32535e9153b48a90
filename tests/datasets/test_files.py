"""Pages and films as Kedro-Viz shows them; shapes are read only."""

import base64

import pytest
from kedro.io.core import DatasetError, Version

from pointillist.datasets import AnimationDataset, AtomicDataset, HtmlDataset, ShapeDataset

PAGE = """<!DOCTYPE html><html><head><style>p_q {}</style></head>
<body>
<h1>cat &lt;script&gt;</h1>
<section data-preview="no"><canvas></canvas><script type="application/json">{}</script></section>
<table><tr><td>distance <code class="faint" data-preview="no">sw2_x</code></td>
<td>0.1</td></tr></table>
<script>play()</script>
</body></html>"""


def test_gif_is_shown_by_kedro_viz(tmp_path):
    gif = AnimationDataset(filepath=str(tmp_path / "a.gif"))
    gif.save(b"GIF89a...")
    assert gif.load() == b"GIF89a..."
    assert base64.b64decode(gif.preview()) == b"GIF89a..."


def test_shapes_are_read_only_and_previewed(tmp_path):
    shape = ShapeDataset(shape="dino", filepath=str(tmp_path))
    preview = shape.preview(nrows=3)
    assert preview["columns"] == ["x", "y"]
    assert len(preview["data"]) == 3
    with pytest.raises(DatasetError, match="read only"):
        shape.save(shape.load())


def test_a_films_formats_stand_side_by_side(tmp_path):
    film = AtomicDataset(
        filepath=str(tmp_path / "film.gif"),
        dataset="pointillist.datasets.AnimationDataset",
        version=Version(None, "1"),
    )
    film.save({"webp": b"WEBP", "gif": b"GIF"})
    folder = tmp_path / "film.gif" / "1"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "film.gif": b"GIF",
        "film.webp": b"WEBP",
    }
    assert film.load() == b"GIF"
    assert [path.name for path in film.saved] == ["film.gif", "film.webp"]


def test_a_page_is_previewed_without_what_needs_its_script_or_style(tmp_path):
    page = HtmlDataset(filepath=str(tmp_path / "page_<1>.html"))
    page.save(PAGE)
    assert page.load() == PAGE
    where = f"{tmp_path}/page_&lt;1&gt;.html"
    assert page.preview() == (
        "<h1>cat &lt;script&gt;</h1> <table><tr><td>distance </td> <td>0.1</td></tr></table> "
        f"<p>The page itself: {where}</p>"
    )
