"""HDF5 dies of some damaged files, attributes included: no file is opened here that another process did not survive.

And it unpacks whatever a chunk holds: no more is unpacked here than the chunk is long."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar import open_interferogram
from mvnet.data_loaders.insar.checks import hdf5_chunks, hdf5_files
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


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_chunk_unpacks_into_no_more_than_it_is(
    shuffle: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5_chunks, "_HARMLESS", 0)
    path, values = tmp_path / "a.h5", np.random.default_rng(0).uniform(-3, 3, (32, 32)).astype(np.float32)
    with h5py.File(path, "w") as file:
        packed = {"chunks": (16, 16), "compression": "gzip", "shuffle": shuffle, "fletcher32": True}
        file.create_dataset("phase", data=values, **packed)
    assert open_interferogram(path).read(with_coherence=False).valid.all()
    with h5py.File(path, "r+") as file:
        file["phase"].id.write_direct_chunk((16, 16), zlib.compress(bytes(100_000)))
        np.testing.assert_array_equal(hdf5_chunks.read_checked(file["phase"], (slice(0, 16),)), values[:16])
        np.testing.assert_array_equal(hdf5_chunks.read_checked(file["phase"], (20, slice(0, 16))), values[20, :16])
    with pytest.raises(DataError, match=r"a\.h5: found a chunk of /phase that unpacks into more than its 5120 bytes"):
        open_interferogram(path).read(with_coherence=False)


def test_a_chunk_of_an_axis_too(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["phase"] = np.ones((8, 2048), np.float32)
        file["y"] = np.arange(8.0)
        axis = file.create_dataset("x", (2048,), "f8", chunks=(1024,), compression="gzip")
        axis[:] = np.arange(2048)
        assert hdf5_chunks.read_checked(axis).shape == (2048,)
        axis.id.write_direct_chunk((1024,), zlib.compress(bytes(1 << 28)))
    with pytest.raises(DataError, match=r"a\.h5: found a chunk of /x that unpacks into more than its 12288 bytes"):
        open_interferogram(path)
