"""Damaged chunks end in an error that names the store: compiled code does not follow what they say."""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar import open_interferogram
from mvnet.data_loaders.insar.checks import zarr_chunks

zarr = pytest.importorskip("zarr", reason="needs mvnet[insar]")
pytest.importorskip("rasterio", reason="needs mvnet[insar]")


def store(folder: Path, version: int) -> Path:
    """An interferogram of one chunk."""
    import numcodecs

    blosc = numcodecs.Blosc("lz4") if version == 2 else zarr.codecs.BloscCodec(cname="lz4", typesize=8)
    group = zarr.open_group(folder / "a.zarr", mode="w", zarr_format=version)
    z = np.exp(1j * np.random.default_rng(0).uniform(-3, 3, (16, 16))).astype(np.complex64)
    group.create_array("ifg", data=z, chunks=(16, 16), compressors=blosc)
    return folder / "a.zarr"


@pytest.mark.parametrize("version, chunk", [(2, "ifg/0.0"), (3, "ifg/c/0/0")])
@pytest.mark.parametrize("length", [2**31 - 1, 16, None])
def test_blosc_reads_no_more_than_the_chunk(version: int, chunk: str, length: int | None, tmp_path: Path) -> None:
    path = store(tmp_path, version)
    whole = (path / chunk).read_bytes()
    assert open_interferogram(path).read((slice(0, 16), slice(0, 16))).valid.all()
    (path / chunk).write_bytes(b"\2\1" if length is None else whole[:12] + struct.pack("<I", length) + whole[16:])
    said = "without a head" if length is None else f"that say to be {length}"
    with pytest.raises(DataError, match=rf"a\.zarr: .*found .*a chunk of blosc of \d+ bytes {said}.*expected"):
        open_interferogram(path).read((slice(0, 16), slice(0, 16)))


CODECS: dict[str, dict] = {
    **{f"Blosc {name}": {"cname": name} for name in ("lz4", "zstd", "zlib", "blosclz")},
    "BZ2": {},
    "GZip": {},
    "LZ4": {},
    "LZMA": {},
    "LZMA without a head": {"format": lzma.FORMAT_RAW, "filters": [{"id": lzma.FILTER_LZMA2}]},
    "Zlib": {},
    "Zstd": {},
}


@pytest.mark.parametrize("name", CODECS)
def test_chunks_unpack_into_no_more_than_an_array_asks_for(name: str, tmp_path: Path, monkeypatch) -> None:
    import numcodecs

    open_interferogram(store(tmp_path, 2))
    codec = getattr(numcodecs, name.split()[0])(**CODECS[name])
    values = np.random.default_rng(0).integers(0, 4, 300_000).astype("u1")
    for out in (None, np.empty_like(values)):
        np.testing.assert_array_equal(np.frombuffer(codec.decode(codec.encode(values), out), "u1"), values)
    monkeypatch.setattr(zarr_chunks, "_limit", 100_000)
    for bomb in (values, np.zeros(300_000, "u1")):
        with pytest.raises(RuntimeError, match="a chunk that unpacks into more than 100000 bytes"):
            codec.decode(codec.encode(bomb))
    assert len(codec.decode(codec.encode(values[:90_000]))) == 90_000


def test_the_blocks_of_a_zstandard_frame_are_counted_where_its_head_names_no_length(monkeypatch) -> None:
    monkeypatch.setattr(zarr_chunks, "_limit", 300_000)
    block = (200_000 << 3 | 0b010).to_bytes(3, "little") + b"x"  # 200,000 times one byte
    head = b"\x28\xb5\x2f\xfd" + bytes([0, 0x70])  # a window, no length
    zarr_chunks._check_zstd(memoryview(head + block + bytes(9)))
    with pytest.raises(RuntimeError, match="unpacks into more than 300000"):
        zarr_chunks._check_zstd(memoryview(head + 3 * block + bytes(9)))


@pytest.mark.parametrize("name", ["VLenUTF8", "VLenBytes", "VLenArray"])
def test_items_are_counted_before_they_are_allocated(name: str, tmp_path: Path) -> None:
    import numcodecs

    open_interferogram(store(tmp_path, 2))
    codec = getattr(numcodecs, name)(*(["f4"] if name == "VLenArray" else []))
    items = {"VLenUTF8": ["a", "bc"], "VLenBytes": [b"a", b"bc"], "VLenArray": [np.ones(1, "f4"), np.ones(2, "f4")]}
    values = np.empty(2, dtype=object)
    values[:] = items[name]
    chunk = bytes(codec.encode(values))
    assert len(codec.decode(chunk)) == 2
    with pytest.raises(RuntimeError, match=f"a chunk of {len(chunk)} bytes for 2147483647 items"):
        codec.decode(struct.pack("<I", 2**31 - 1) + chunk[4:])
