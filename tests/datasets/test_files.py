"""One file, whole or not at all; what is damaged is refused by name."""

import base64
import json
import os
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io.core import DatasetError, Version, VersionNotFoundError

from pointillist.datasets import (
    AnimationDataset,
    GifDataset,
    HtmlDataset,
    ModelsDataset,
    ShapeDataset,
    Tensors,
    TensorsDataset,
)
from pointillist.datasets.tensors import decode, encode
from pointillist.errors import PointillistError

PAGE = """<!DOCTYPE html><html><head><style>p_q {}</style></head>
<body>
<h1>cat &lt;script&gt;</h1>
<section data-preview="no"><canvas></canvas><script type="application/json">{}</script></section>
<table><tr><td>distance <code class="faint" data-preview="no">sw2_x</code></td>
<td>0.1</td></tr></table>
<script>play()</script>
</body></html>"""

FILE = Tensors(
    {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])},
    {"kind": "test", "nested": {"x": [1, 2.5, None]}, "text": "ä <script>"},
)


def dataset(folder, version="2026-01-01T00.00.00.000Z", load=None):
    return TensorsDataset(filepath=str(folder / "file.safetensors"), version=Version(load, version))


def test_what_is_saved_is_loaded(tmp_path):
    dataset(tmp_path).save(FILE)
    loaded = dataset(tmp_path).load()
    assert all(torch.equal(loaded.tensors[k], FILE.tensors[k]) for k in FILE.tensors)
    assert FILE.metadata.items() <= loaded.metadata.items()
    assert loaded.metadata["version"] == "2026-01-01T00.00.00.000Z"
    assert len(loaded.metadata["digest"]) == 64


def test_a_loaded_file_can_be_saved_again(tmp_path):
    dataset(tmp_path, "1").save(FILE)
    once = dataset(tmp_path, "1").load()
    dataset(tmp_path, "2").save(once)
    twice = dataset(tmp_path, "2").load()
    assert twice.metadata["version"] == "2"
    assert twice.metadata["digest"] != once.metadata["digest"]


@settings(max_examples=300)
@given(data=st.data())
def test_any_changed_byte_is_noticed(data):
    """Every bit of the file is covered by the digest or by the format's own checks."""
    content = bytearray(encode(FILE))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        loaded = decode(bytes(content), "file")
    except PointillistError as error:
        assert str(error).startswith("file ")
        return
    # JSON has bytes without meaning (padding); then the content must be what it was.
    assert all(torch.equal(loaded.tensors[k], FILE.tensors[k]) for k in FILE.tensors)
    assert FILE.metadata.items() <= loaded.metadata.items()


@given(content=st.binary(max_size=300))
def test_any_other_bytes_are_refused(content):
    with pytest.raises(PointillistError, match="load an older version"):
        decode(content, "file")


@given(cut=st.integers(0, len(encode(FILE)) - 1))
def test_truncated_files_are_refused(cut):
    with pytest.raises(PointillistError, match="file is"):
        decode(encode(FILE)[:cut], "file")


def test_a_pickle_by_another_name_is_refused_and_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    path = tmp_path / "file.safetensors" / "1" / "file.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises((PointillistError, DatasetError)):
        dataset(tmp_path, load="1").load()
    assert not (tmp_path / "exploded").exists()


def test_files_of_another_tool_are_refused(tmp_path):
    from safetensors.torch import save

    with pytest.raises(PointillistError, match="not one of Pointillist's"):
        decode(save({"a": torch.zeros(1)}), "file")


def test_a_failed_write_leaves_no_version_behind(tmp_path, monkeypatch):
    dataset(tmp_path, "1").save(FILE)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pointillist.datasets.atomic.os.fsync", full)
    with pytest.raises(DatasetError, match="No space left"):
        dataset(tmp_path, "2").save(FILE)
    monkeypatch.undo()
    assert [p.name for p in (tmp_path / "file.safetensors").iterdir()] == ["1"]
    assert dataset(tmp_path, "3").load().metadata["version"] == "1"


def test_nothing_saved_is_nothing_found(tmp_path):
    with pytest.raises(VersionNotFoundError):
        dataset(tmp_path).load()


def test_what_a_file_holds_is_shown_by_kedro_viz(tmp_path):
    dataset(tmp_path).save(FILE)
    shown = json.loads(dataset(tmp_path).preview())
    assert shown["kind"] == "test"
    assert shown["tensors"] == {"a": [2, 3], "b": [2]}


def test_gif_is_shown_by_kedro_viz(tmp_path):
    gif = GifDataset(filepath=str(tmp_path / "a.gif"))
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


def test_models_are_found_by_version_oldest_first(tmp_path):
    for shape, version in (("cat", "1"), ("dino", "3"), ("cat", "2")):
        path = tmp_path / shape / "denoiser.safetensors"
        TensorsDataset(filepath=str(path), version=Version(None, version)).save(FILE)
    history = tmp_path / "cat" / "training_history.csv" / "2" / "training_history.csv"
    history.parent.mkdir(parents=True)
    history.write_text("step,loss\n1,0.5\n")
    found = ModelsDataset(filepath=str(tmp_path)).load()
    assert list(found) == ["cat/1", "cat/2", "dino/3"]
    assert found["dino/3"].read().metadata["version"] == "3"
    assert found["cat/2"].history()["loss"].tolist() == [0.5]
    assert found["cat/1"].history() is None


def test_no_folder_holds_no_models(tmp_path):
    assert ModelsDataset(filepath=str(tmp_path / "no")).load() == {}


def test_a_films_formats_stand_side_by_side(tmp_path):
    film = AnimationDataset(filepath=str(tmp_path / "film.gif"), version=Version(None, "1"))
    film.save({"webp": b"WEBP", "gif": b"GIF"})
    folder = tmp_path / "film.gif" / "1"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "film.gif": b"GIF",
        "film.webp": b"WEBP",
    }
    assert film.load() == b"GIF"


def test_a_page_is_previewed_without_what_needs_its_script_or_style(tmp_path):
    page = HtmlDataset(filepath=str(tmp_path / "page_<1>.html"))
    page.save(PAGE)
    assert page.load() == PAGE
    where = f"{tmp_path}/page_&lt;1&gt;.html"
    assert page.preview() == (
        "<h1>cat &lt;script&gt;</h1> <table><tr><td>distance </td> <td>0.1</td></tr></table> "
        f"<p>The page itself: {where}</p>"
    )
