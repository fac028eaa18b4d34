"""Archives of arrays: read whole, or refused when they cannot hold what they declare."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mvnet.data_loaders import npz_files
from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.npz_files import read_npy_header, read_npz

ARRAYS = {
    "a": np.arange(12.0).reshape(3, 4),
    "empty": np.zeros((0, 5)),
    "scalar": np.array(2),
    "text": np.array(["x", "yz"]),
    "columns": np.asfortranarray(np.ones((4, 3), np.float32)),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_was_saved_is_read(save, tmp_path: Path) -> None:
    save(tmp_path / "a.npz", **ARRAYS)
    found = read_npz(tmp_path / "a.npz")
    assert set(found) == set(ARRAYS)
    for name, values in ARRAYS.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype


def header(shape: tuple[int, ...], dtype: str = "<f8") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


MEMBERS = {
    "too long": header((10**12,)),
    "two long axes": header((10**10, 10**10)),
    "below zero": header((-5,)) + bytes(100),
    "cut": header((100,)) + bytes(700),
    "a header that is longer than any": b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + bytes(700),
    "no array": b"no array",
    "nothing": b"",
}


@pytest.mark.parametrize("content", MEMBERS.values(), ids=MEMBERS)
def test_arrays_that_are_not_all_there(content: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(DataError, match=r"a\.npz: found .*expected"):
        read_npz(tmp_path / "a.npz")


def test_a_header_that_is_longer_than_any_is_not_asked_for() -> None:
    with pytest.raises(DataError, match=r"a\.npy: found a header of 2147483648 bytes, expected at most 65536"):
        read_npy_header(io.BytesIO(MEMBERS["a header that is longer than any"]), "a.npy")
    assert read_npy_header(io.BytesIO(header((2, 3))), "a.npy") == ((2, 3), False, np.dtype("<f8"))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(DataError, match=r"a\.npz: found .*(pickle|Object)"):
        read_npz(tmp_path / "a.npz")


def test_members_that_lie_over_each_other(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", header((1 << 21,)) + bytes(8 << 21))
        first = archive.infolist()[0]
        for k in range(400):  # entries of the directory that all point to the first
            other = zipfile.ZipInfo(f"b{k}.npy")
            for name in ("compress_type", "header_offset", "CRC", "compress_size", "file_size"):
                setattr(other, name, getattr(first, name))
            archive.filelist.append(other)
            archive.NameToInfo[other.filename] = other
    with pytest.raises(DataError, match=r"a\.npz: found \d+ bytes that declare \d+, expected what arrays of numbers"):
        read_npz(tmp_path / "a.npz")


def test_zeros_pack_tightly_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(1 << 20))
    assert not read_npz(tmp_path / "a.npz")["a"].any()
    monkeypatch.setattr(npz_files, "_MODEST", 1 << 22)
    with pytest.raises(DataError, match=r"a\.npz: found \d+ bytes that declare 8388736, expected what arrays"):
        read_npz(tmp_path / "a.npz")
