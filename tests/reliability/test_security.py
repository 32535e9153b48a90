"""Nothing leaves the project's folder, listens to the world, or executes what it was given."""

import ast
import re
from pathlib import Path

import pytest

from pointillist.rendering import report
from tests.projects import QUICK_TEXT, kedro, kedro_here, run, saved

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
FORBIDDEN = {"eval", "exec", "compile", "__import__"}
LOADERS = {("pickle", "load"), ("pickle", "loads"), ("torch", "load"), ("yaml", "load")}
LOADERS |= {("yaml", "unsafe_load"), ("yaml", "full_load"), ("joblib", "load"), ("os", "system")}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT / "src")))
def test_no_code_is_executed_from_data(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            assert (node.func.value.id, node.func.attr) not in LOADERS
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        for name in ("allow_pickle", "shell"):
            value = given.get(name)
            assert value is None or (isinstance(value, ast.Constant) and value.value is False)


NAMES = ("../x", "/etc/passwd", "<script>")
MORE = ("..", "a/b", "a\\b", "a\nb", "", "x" * 65, "con/../../x")


@pytest.mark.parametrize("name", [*NAMES, *(pytest.param(n, marks=pytest.mark.soak) for n in MORE)])
def test_names_of_shapes_cannot_leave_the_data_folder(project, name):
    before = sorted(project.parent.rglob("*"))
    result = kedro_here(project, "run", "--params", f"shape={name}")
    assert result.exit_code != 0
    assert "Traceback" not in result.stderr
    new = set(set(project.parent.rglob("*")) - set(before))
    assert all({".viz", ".versions", "__pycache__"} & set(p.parts) for p in new)


@pytest.mark.parametrize(
    "version",
    ["../../../secret", *(pytest.param(v, marks=pytest.mark.soak) for v in ("/etc", "..", "a/b"))],
)
def test_versions_cannot_leave_the_data_folder(project, version):
    run(project, "train", tracking=False)
    result = kedro(
        project,
        *("run", "--pipelines", "sample", "--params", QUICK_TEXT),
        *("--load-versions", f"denoiser:{version}"),
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "Error:" in result.stderr


def test_a_report_shows_a_script_as_text(project):
    """As a word to learn, and wherever else a stranger's text gets into a page."""
    evil = "<script>alert(1)</script>"
    session = run(project, text=evil, tracking=False)
    shape = next((project / "data/06_models").iterdir()).name
    assert "<" not in shape
    run(project, "report", text=evil, player={"points": 20}, tracking=False)
    page = saved(project, "report")[0].read_text()
    assert session in page
    assert "<script>alert" not in page


def test_every_place_of_a_comparison_is_escaped():
    evil = "<script>alert(1)</script>"
    rows = {"sw2": 1.0, "sw2_floor": 0.5}
    page = report.comparison_page(
        names=(evil, evil),
        scenes=[_scene(evil), _scene(evil)],
        metrics=(rows, rows),
        losses=None,
        differing=[(evil, (evil, evil))],
        conditions=evil,
    )
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert") >= 5


def _scene(name):
    import numpy as np

    from pointillist.rendering.player import Scene

    states = np.zeros((2, 3, 2))
    ratios = np.array([1.0, 0.0])
    return Scene(
        name,
        states,
        ratios,
        states[0],
        states[0],
        states[0] + [[0.0, 1.0]],
        (0.0, 0.0),
        (1.0, 1.0),
        1,
    )


def test_every_server_that_is_started_listens_to_this_machine_only():
    makefile = (ROOT / "Makefile").read_text()
    for words in re.findall(r"kedro (?:viz run|jupyter lab)[^\n]*", makefile):
        assert "127.0.0.1" in words
    server = (ROOT / "src/pointillist/tracking/__main__.py").read_text()
    assert "127.0.0.1" in server
    assert "0.0.0.0" not in makefile + server


def test_the_lock_names_every_version_and_no_address():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert all(re.match(r"[A-Za-z0-9._-]+==\S+", pin) for pin in pins)
    assert not [line for line in lines if "://" in line or line.startswith("-")]
