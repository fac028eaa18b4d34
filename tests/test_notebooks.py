"""Every notebook runs from top to bottom, and is stored with what it shows, small and of no one machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

LIMIT = 320 * 1024
PLACES = ("/home/", "/root/", "/tmp/", "/Users/", "site-packages")
NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def read(path: Path):
    nbformat = pytest.importorskip("nbformat", reason="nbformat is in the extra `dev`")
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # two threads of a small network wait for each other on a busy machine
    nbclient = pytest.importorskip("nbclient", reason="nbclient is in the extra `dev`")
    pytest.importorskip("ipykernel", reason="ipykernel is in the extra `dev`")
    nbclient.NotebookClient(read(path), timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_with_its_outputs(path):
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run `make notebooks`"
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs and not any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs)
    assert not any("execution" in cell.metadata for cell in cells), "it holds when cells ran"
    assert not any(place in json.dumps(output) for output in outputs for place in PLACES)
    assert path.stat().st_size < LIMIT
