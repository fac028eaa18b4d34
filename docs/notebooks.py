"""Run notebooks and store what they show: `make notebooks`, or `python docs/notebooks.py [NAME ...]`.

Pictures are drawn small. What goes to stderr, and when a cell ran, is not stored.
"""

from __future__ import annotations

import base64
import io
import os
import sys
import tempfile
from pathlib import Path

from drawing import with_palette

FOLDER = Path(__file__).parent.parent / "notebooks"
DOTS, COLOURS = 60, 64  # an inch of a picture, and of it


def main(names: list[str]) -> None:
    for path in sorted(FOLDER.glob("*.ipynb")):
        if not names or path.stem in names:
            print(path.stem, flush=True)
            store(path)


def store(path: Path) -> None:
    """Run a notebook in an empty folder, with one thread, and write it with its outputs."""
    import nbclient
    import nbformat

    os.environ["OMP_NUM_THREADS"] = "1"
    book = nbformat.read(path, as_version=4)
    dots = nbformat.v4.new_code_cell(f"%config InlineBackend.rc = {{'figure.dpi': {DOTS}}}")
    book.cells.insert(0, dots)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        nbclient.NotebookClient(book, timeout=600, resources=resources, record_timing=False).execute()
    del book.cells[0]
    for count, cell in enumerate((cell for cell in book.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            if picture := output.get("data", {}).get("image/png"):
                output.data["image/png"] = with_few_colours(picture)
            if "execution_count" in output:
                output.execution_count = count
    nbformat.write(book, path)


def with_few_colours(picture: str) -> str:
    """A PNG in base64 with fewer colours."""
    from PIL import Image

    written = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        with_palette(image, COLOURS).save(written, "png", optimize=True)
    return base64.b64encode(written.getvalue()).decode()


if __name__ == "__main__":
    main(sys.argv[1:])
