"""Versions are written atomically, a run loads its own, and objects are read from a file once."""

import inspect
import json
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import torch
from kedro.io.core import AbstractVersionedDataset, DatasetError, Version, VersionNotFoundError

from pointillist.datasets import AtomicDataset, ModelDataset, ModelsDataset
from pointillist.errors import PointillistError
from pointillist.models import Stored
from pointillist.models.tensors import Tensors, decode, encode

ONE, TWO = "2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"


@dataclass(frozen=True, kw_only=True)
class Thing(Stored):
    """The simplest object that a file can hold."""

    kind = "thing"
    made_by = "train"
    values: torch.Tensor

    def to_tensors(self):
        return Tensors({"values": self.values}, {"kind": self.kind, "shape": self.shape})

    @classmethod
    def from_tensors(cls, file):
        cls.require_kind(file)
        about = {name: file.metadata.get(name) for name in ("shape", "version", "digest")}
        return cls(values=file.tensors["values"], **about)


THING = Thing(shape="dino", values=torch.arange(3.0))


def model(folder, version=ONE, load=None):
    return ModelDataset(
        filepath=str(folder / "thing.safetensors"),
        holds=f"{__name__}.Thing",
        version=Version(load, version),
    )


def table(folder, version=ONE, load=None, name="table.csv"):
    return AtomicDataset(
        filepath=str(folder / name),
        dataset={"type": "pandas.CSVDataset", "save_args": {"index": False}},
        version=Version(load, version),
    )


TABLE = pd.DataFrame({"x": [1.0, 2.0]})


def test_what_is_saved_is_loaded(tmp_path):
    table(tmp_path).save(TABLE)
    pd.testing.assert_frame_equal(table(tmp_path).load(), TABLE)
    assert table(tmp_path).load_path == tmp_path / "table.csv" / ONE / "table.csv"


def test_a_version_is_never_replaced(tmp_path):
    table(tmp_path).save(TABLE)
    with pytest.raises(DatasetError, match="must not exist"):
        table(tmp_path).save(TABLE * 2)
    pd.testing.assert_frame_equal(table(tmp_path).load(), TABLE)


def test_a_run_loads_what_it_saved_and_others_the_newest(tmp_path):
    table(tmp_path, ONE).save(TABLE)
    table(tmp_path, TWO).save(TABLE * 2)
    assert table(tmp_path, ONE).load()["x"][0] == 1
    assert table(tmp_path, "2026-01-03T00.00.00.000Z").load()["x"][0] == 2
    assert table(tmp_path, TWO, load=ONE).load()["x"][0] == 1
    pinned = table(tmp_path, TWO)
    pinned.pin(ONE)
    assert pinned.load()["x"][0] == 1


@pytest.mark.parametrize("name", ["what?.csv", "a[1].csv", "o'brien {x}.csv", "ä*.csv"])
def test_any_name_of_a_file_has_versions(tmp_path, name):
    folder = tmp_path / "a [b]?"
    table(folder, name=name).save(TABLE)
    later = table(folder, TWO, name=name)
    assert later.exists()
    pd.testing.assert_frame_equal(later.load(), TABLE)


@pytest.mark.parametrize("dataset", [table, model])
def test_a_failed_write_leaves_no_version_behind(tmp_path, monkeypatch, dataset):
    data = TABLE if dataset is table else THING
    dataset(tmp_path, ONE).save(data)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pointillist.datasets.atomic.os.fsync", full)
    with pytest.raises(DatasetError, match="No space left"):
        dataset(tmp_path, TWO).save(data)
    monkeypatch.undo()
    (folder,) = tmp_path.iterdir()
    assert [p.name for p in folder.iterdir()] == [ONE]
    dataset(tmp_path, TWO).load()


def test_nothing_saved_is_nothing_found(tmp_path):
    assert not table(tmp_path).exists()
    with pytest.raises(VersionNotFoundError):
        table(tmp_path).load()


def test_without_versions_a_file_is_replaced(tmp_path):
    plain = AtomicDataset(filepath=str(tmp_path / "a.json"), dataset="json.JSONDataset")
    plain.save({"a": 1})
    plain.save({"a": 2})
    assert plain.load() == {"a": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_kedro_viz_sees_the_preview_of_what_is_wrapped(tmp_path):
    table(tmp_path).save(TABLE)
    preview = table(tmp_path).preview
    assert inspect.signature(preview).return_annotation == "TablePreview"
    assert preview(nrows=1)["data"] == [[1.0]]
    plain = AtomicDataset(filepath=str(tmp_path / "a.txt"), dataset="text.TextDataset")
    assert not hasattr(plain, "preview")


def test_a_saved_object_knows_its_version_and_digest_and_is_not_read_again(tmp_path, monkeypatch):
    dataset = model(tmp_path)
    dataset.save(THING)
    file = decode(dataset.load_path.read_bytes(), "x")
    dataset.load_path.unlink()
    kept = dataset.load()
    assert kept is dataset.load()
    assert torch.equal(kept.values, THING.values)
    assert (kept.version, kept.digest) == (ONE, file.metadata["digest"])
    dataset.release()
    with pytest.raises(DatasetError):
        dataset.load()


def test_an_object_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "thing.safetensors" / ONE / "thing.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(encode(Tensors({}, {"kind": "other"})))
    with pytest.raises(DatasetError, match="holds 'other', not 'thing'"):
        model(tmp_path, TWO).load()


def test_a_pickle_by_another_name_is_refused_and_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    path = tmp_path / "thing.safetensors" / ONE / "thing.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises((PointillistError, DatasetError)):
        model(tmp_path).load()
    assert not (tmp_path / "exploded").exists()


def test_what_a_file_holds_is_shown_by_kedro_viz(tmp_path):
    model(tmp_path).save(THING)
    shown = json.loads(model(tmp_path).preview())
    assert shown["kind"] == "thing"
    assert shown["tensors"] == {"values": [3]}


def test_models_are_found_by_version_oldest_first(tmp_path):
    for shape, version in (("cat", "1"), ("dino", "3"), ("cat", "2")):
        path = tmp_path / shape / "denoiser.safetensors"
        ModelDataset(
            filepath=str(path), holds=f"{__name__}.Thing", version=Version(None, version)
        ).save(THING)
    history = tmp_path / "cat" / "training_history.csv" / "2" / "training_history.csv"
    history.parent.mkdir(parents=True)
    history.write_text("step,loss\n1,0.5\n")
    found = ModelsDataset(filepath=str(tmp_path)).load()
    assert list(found) == ["cat/1", "cat/2", "dino/3"]
    assert found["cat/2"].history()["loss"].tolist() == [0.5]
    assert found["cat/1"].history() is None
    with pytest.raises(PointillistError, match="holds 'thing', not 'denoiser'"):
        found["dino/3"].read()


def test_no_folder_holds_no_models(tmp_path):
    assert ModelsDataset(filepath=str(tmp_path / "no")).load() == {}


def test_kedro_still_has_what_versioned_files_rely_on():
    """Names with an underscore that Kedro's documentation shows, and one that it doesn't."""
    for name in ("_get_load_path", "_get_save_path", "_get_versioned_path", "_release"):
        assert callable(getattr(AbstractVersionedDataset, name))
    made = table(Path("x"))
    assert made._filepath.as_posix() == "x/table.csv"
    assert made._version == Version(None, ONE)
