"""The package without Kedro: what the README shows runs, also from a wheel in an empty place."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import pointillist
from tests.projects import run

ROOT = Path(__file__).parents[1]
LOADING, EXAMPLE = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
QUICK = EXAMPLE.replace("Training()", "Training(steps=40, batch_size=64)")


def test_every_name_that_is_offered_is_there():
    for name in pointillist.__all__:
        assert getattr(pointillist, name) is not None
    assert set(pointillist.__all__) <= set(dir(pointillist)) | {"load_shape"}
    with pytest.raises(AttributeError):
        pointillist.nonesuch  # noqa: B018 - that it raises is the point


def test_the_example_of_the_readme_trains_and_samples(capsys):
    assert QUICK != EXAMPLE
    scope = {}
    exec(QUICK, scope)
    drawn = scope["normalizer"].invert(scope["samples"].numpy())
    assert drawn.shape == (2000, 2)
    spread = drawn.std(0) / scope["points"].std(0)
    assert ((spread > 0.5) & (spread < 2)).all()
    assert np.isfinite(drawn).all()


def test_a_trained_model_is_loaded_in_a_script(project, monkeypatch, capsys):
    """The README's lines, where a run was; a version, a file and a registered model give the same."""
    first = run(project, "train")
    run(project, "train", "sample", "evaluate", seed=1)
    monkeypatch.chdir(project)
    exec(LOADING, {})
    assert "]]" in capsys.readouterr().out
    versions = project / "data/06_models/dino/denoiser.safetensors"
    old, newest = pointillist.load(versions / first), pointillist.load(versions)
    assert (old.version, old.parameters["seed"], newest.parameters["seed"]) == (first, 0, 1)
    drawn = newest.sample(7, seed=3)
    assert drawn.shape == (7, 2)
    assert (drawn == pointillist.load(versions.parent).sample(7, seed=3)).all()
    run(project, "promote")
    champion = pointillist.load("models:/pointillist-dino@champion")
    assert (champion.digest, champion.sampling.steps) == (newest.digest, 6)
    with pytest.raises(pointillist.PointillistError, match="No trained model at"):
        pointillist.load(project / "conf")


def test_the_package_loads_nothing_heavy_by_itself():
    code = "import sys, pointillist; print({'torch', 'mlflow', 'kedro', 'pandas'} & {*sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )
    assert result.stdout.strip() == "set()"


def test_a_wheel_works_elsewhere(tmp_path):
    """Built as `kedro package` builds it, unpacked into an empty folder, far from the project."""
    source = tmp_path / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    build += ["--disable-pip-version-check", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(build, check=True, capture_output=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("pointillist-*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    where = "import pointillist; print(pointillist.__file__)"
    elsewhere = {"cwd": tmp_path, "capture_output": True, "text": True, "check": True}
    elsewhere["env"] = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    shown = subprocess.run([sys.executable, "-c", where], **elsewhere)
    assert shown.stdout.startswith(str(tmp_path / "site"))
    result = subprocess.run([sys.executable, "-c", QUICK], **elsewhere)
    assert len(result.stdout.splitlines()) > 2
    page = "from pointillist.rendering import player; player._asset('page.css')"
    subprocess.run([sys.executable, "-c", page], **elsewhere)
