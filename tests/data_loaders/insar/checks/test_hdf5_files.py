"""HDF5 dies of some damaged files, attributes included: no file is opened here that another process did not survive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar import open_interferogram
from mvnet.data_loaders.insar.checks import hdf5_files
from mvnet.data_loaders.insar.formats.arrays import grid_transform
from mvnet.data_loaders.insar.stacks.registry import find_stack

h5py = pytest.importorskip("h5py", reason="needs mvnet[insar]")
pytest.importorskip("rasterio", reason="needs mvnet[insar]")


@pytest.mark.parametrize("look", [open_interferogram, find_stack, grid_transform])
def test_what_ends_its_parser_is_not_opened(look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["FILE_TYPE"] = "ifgramStack"
        file["unwrapPhase"] = np.zeros((1, 8, 8), np.float32)

    def dies(parser: str, file: Path) -> None:
        raise DataError(f"{file}: found damaged data that end its parser, expected a whole {parser} file")

    opened = []
    monkeypatch.setattr(hdf5_files, "parse_isolated", dies)
    monkeypatch.setattr(h5py, "File", lambda *arguments, **options: opened.append(arguments))
    try:
        look(path)
    except DataError as error:
        assert "a.h5: found " in str(error)
    assert opened == []
