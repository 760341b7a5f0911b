"""The notebooks of the documentation run from top to bottom, and hold small outputs of such a run."""

import json

import pytest
from paths import ROOT

NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_and_shows_what_it_holds(path, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(path, 4)
    held = [kinds(cell) for cell in notebook.cells]
    client.NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert [kinds(cell) for cell in notebook.cells] == held
    assert sum("image/png" in kind for cell in held for kind in cell) >= 4


def kinds(cell):
    """What a cell's outputs are, but for progress that has gone."""
    outputs = [
        output
        for output in cell.get("outputs", [])
        if output.output_type != "display_data" or "image/png" in output.data
    ]
    return [sorted(output.get("data", {output.output_type: ""})) for output in outputs]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_kept_small_and_without_errors(path):
    assert path.stat().st_size < 200_000
    cells = json.loads(path.read_text("utf-8"))["cells"]
    kinds = {output["output_type"] for cell in cells for output in cell.get("outputs", [])}
    assert kinds <= {"display_data", "execute_result", "stream"}
