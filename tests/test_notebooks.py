"""Every notebook runs from top to bottom in a fresh project, and is committed without outputs."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, project, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(project / "src"))
    (project / "notebooks").mkdir()
    shutil.copy(path, project / "notebooks")
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(project / "notebooks")}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_without_outputs(path):
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert cells
    assert all(not c.outputs and c.execution_count is None for c in cells)
