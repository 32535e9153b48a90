"""Damaged outputs, and models of strangers, are refused by name and with the cure."""

import pickle
import shutil

import pytest

from pointillist.errors import PointillistError
from pointillist.models import tensors
from pointillist.models.tensors import Tensors, decode, encode
from tests.projects import run, saved

READ_BY = {
    "denoiser": ("sample", None),
    "reverse_chain": ("evaluate", None),
    "samples": ("evaluate", None),
    "metrics": ("render", None),
    "risk_by_noise": ("render", None),
    "training_history": ("render", None),
    # What explain draws before is slow.
    "training_snapshots": ("explain", "explain.film_training"),
}
DAMAGE = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "flipped": lambda content: content[:9] + bytes([content[9] ^ 255]) + content[10:],
    "of another kind": lambda content: b"GIF89a" + content,
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory, copy_project):
    project = copy_project(tmp_path_factory.mktemp("sound") / "project")
    run(project, tracking=False)
    return project


@pytest.fixture
def project(sound, tmp_path):
    shutil.copytree(sound, tmp_path / "project")
    return tmp_path / "project"


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", READ_BY)
def test_what_is_damaged_is_named_with_the_cure(project, name, damage):
    path = next(p for p in saved(project, name) if p.stem == name)
    content = DAMAGE[damage](path.read_bytes())
    if damage == "flipped" and path.suffix == ".csv":
        pytest.skip("a text has no digest: another digit in it is another number")
    path.write_bytes(content)
    pipeline, node = READ_BY[name]
    with pytest.raises(PointillistError) as caught:
        run(project, pipeline, node=node, tracking=False)
    said = str(caught.value)
    assert path.name in said
    assert "again" in said
    assert len(said.splitlines()) <= 2


def test_words_in_a_column_of_numbers_are_refused(project):
    path = saved(project, "training_history")[0]
    head, *rows = path.read_text().splitlines()
    rows[1] = rows[1].replace(rows[1].split(",")[1], "abc")
    path.write_text("\n".join([head, *rows, ""]))
    with pytest.raises(PointillistError, match="its loss holds something else than numbers"):
        run(project, "render", tracking=False)


def test_a_model_of_another_shape_is_refused(project):
    theirs = project / "data/06_models/cat/denoiser.safetensors/2026-01-01T00.00.00.000Z"
    theirs.mkdir(parents=True)
    shutil.copy(saved(project, "denoiser")[0], theirs / "denoiser.safetensors")
    with pytest.raises(PointillistError, match="denoiser of 'cat' holds what was made for 'dino'"):
        run(project, "sample", shape="cat", tracking=False)


def test_a_model_of_another_version_is_said_and_used_if_it_fits(project, caplog):
    path = saved(project, "denoiser")[0]
    file = decode(path.read_bytes(), str(path))
    path.write_bytes(encode(Tensors(file.tensors, file.metadata | {"package_version": "9.9"})))
    run(project, "sample", tracking=False)
    assert "denoiser was written by version 9.9 of Pointillist" in caplog.text


def test_a_model_whose_weights_do_not_fit_its_parameters_is_refused(project):
    path = saved(project, "denoiser")[0]
    file = decode(path.read_bytes(), str(path))
    wider = {**file.metadata["network"], "width": 64}
    changed = file.metadata | {"network": wider, "package_version": "9.9"}
    path.write_bytes(encode(Tensors(file.tensors, changed)))
    with pytest.raises(PointillistError, match=r"written by version 9\.9, does not fit version"):
        run(project, "sample", tracking=False)


def test_a_file_of_another_kind_in_the_place_of_a_model_is_refused(project):
    path = saved(project, "denoiser")[0]
    chain = saved(project, "reverse_chain")[0]
    path.write_bytes(chain.read_bytes())
    with pytest.raises(PointillistError, match="holds 'reverse_chain', not 'denoiser'"):
        run(project, "sample", tracking=False)


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


def test_a_pickle_that_calls_itself_a_model_is_refused_and_not_executed(project):
    saved(project, "denoiser")[0].write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(PointillistError, match="is damaged or no safetensors file"):
        run(project, "sample", tracking=False)


def test_the_digest_covers_names_sizes_and_metadata(project):
    path = saved(project, "denoiser")[0]
    file = decode(path.read_bytes(), str(path))
    digest = tensors._digest(file.tensors, {"a": "1"})
    renamed = {f"{name}x": tensor for name, tensor in file.tensors.items()}
    turned = {name: tensor.flatten() for name, tensor in file.tensors.items()}
    others = [tensors._digest(renamed, {"a": "1"}), tensors._digest(turned, {"a": "1"})]
    others.append(tensors._digest(file.tensors, {"a": "2"}))
    assert digest not in others
