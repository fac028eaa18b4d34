"""Data that are not there: no data and a count where they were never written, an error where the file ends early."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar import open_interferogram
from mvnet.data_loaders.insar.checks.tiff_blocks import tiff_blocks

rasterio = pytest.importorskip("rasterio", reason="needs mvnet[insar]")
h5py = pytest.importorskip("h5py", reason="needs mvnet[insar]")
zarr = pytest.importorskip("zarr", reason="needs mvnet[insar]")

ROWS, COLUMNS, SIDE = 40, 56, 16
PHASE = np.random.default_rng(0).uniform(-3, 3, (ROWS, COLUMNS)).astype(np.float32)


def written() -> np.ndarray:
    """Where blocks (0, 0), (1, 2) and (2, 3) are, the last cut off by the edges."""
    mask = np.zeros((ROWS, COLUMNS), bool)
    for row, column in ((0, 0), (1, 2), (2, 3)):
        mask[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE] = True
    return mask


def _windows() -> list[tuple[slice, slice]]:
    starts = [(row, column) for row in range(0, ROWS, SIDE) for column in range(0, COLUMNS, SIDE)]
    windows = [(slice(r, min(r + SIDE, ROWS)), slice(c, min(c + SIDE, COLUMNS))) for r, c in starts]
    return [window for window in windows if written()[window].any()]


def tiff(folder: Path, **profile) -> Path:
    shape = {"height": ROWS, "width": COLUMNS, "count": 1, "dtype": "float32"}
    layout = {"tiled": True, "blockxsize": SIDE, "blockysize": SIDE, "SPARSE_OK": True}
    with rasterio.open(folder / "a.tif", "w", driver="GTiff", **shape, **layout, **profile) as file:
        for rows, columns in _windows():
            place = rasterio.windows.Window.from_slices(rows, columns)
            file.write(PHASE[rows, columns], 1, window=place)
    return folder / "a.tif"


def zipped(folder: Path, method: int, **profile) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w", method) as archive:
        archive.write(tiff(folder, **profile), "a.tif")
    return folder / "a.zip"


def mosaic(folder: Path, split: int = 24) -> Path:
    """A VRT of two windows of a sparse GeoTIFF beside each other, the second through a VRT of its own."""
    tiff(folder)

    def write(name: str, width: int, parts: dict[str, tuple[int, int, int]]) -> Path:
        sources = "".join(
            f'<SimpleSource><SourceFilename relativeToVRT="1">{file}</SourceFilename><SourceBand>1</SourceBand>'
            f'<SrcRect xOff="{start}" yOff="0" xSize="{count}" ySize="{ROWS}"/>'
            f'<DstRect xOff="{place}" yOff="0" xSize="{count}" ySize="{ROWS}"/></SimpleSource>'
            for file, (start, count, place) in parts.items()
        )
        band = f'<VRTRasterBand dataType="Float32" band="1">{sources}</VRTRasterBand>'
        text = f'<VRTDataset rasterXSize="{width}" rasterYSize="{ROWS}">{band}</VRTDataset>'
        (folder / name).write_text(text)
        return folder / name

    right = COLUMNS - split
    write("right.vrt", right, {"a.tif": (split, right, 0)})
    return write("a.vrt", COLUMNS, {"a.tif": (0, split, 0), "right.vrt": (0, right, split)})


def hdf5(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        data = file.create_dataset("phase", PHASE.shape, "f4", chunks=(SIDE, SIDE))
        for window in _windows():
            data[window] = PHASE[window]
    return folder / "a.h5"


def hdf5_stack(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        data = file.create_dataset("phase", (3, *PHASE.shape), "f4", chunks=(1, SIDE, SIDE))
        data[0] = 1.0
        for window in _windows():
            data[(1, *window)] = PHASE[window]
    return folder / "a.h5"


def zarr_store(folder: Path, version: int = 2, shards: tuple[int, int] | None = None, index: str | None = None) -> Path:
    group = zarr.open_group(folder / "a.zarr", mode="w", zarr_format=version)
    placed: Any = shards if index is None else {"shape": shards, "index_location": index}
    data = group.create_array("phase", shape=PHASE.shape, dtype="f4", chunks=(SIDE, SIDE), shards=placed)
    for window in _windows():
        data[window] = PHASE[window]
    return folder / "a.zarr"


FILES: dict[str, Callable[[Path], Path]] = {
    "GeoTIFF": tiff,
    "GeoTIFF deflate": lambda folder: tiff(folder, compress="deflate"),
    "BigTIFF": lambda folder: tiff(folder, bigtiff="YES"),
    "GeoTIFF big-endian": lambda folder: tiff(folder, ENDIANNESS="BIG"),
    "GeoTIFF in a zip": lambda folder: zipped(folder, zipfile.ZIP_STORED),
    "GeoTIFF deflate in a zip": lambda folder: zipped(folder, zipfile.ZIP_DEFLATED, compress="deflate"),
    "GeoTIFF in a zip by its name": lambda folder: Path(f"/vsizip/{zipped(folder, zipfile.ZIP_DEFLATED)}/a.tif"),
    "VRT over GeoTIFF": mosaic,
    "HDF5": hdf5,
    "HDF5 stack": hdf5_stack,
    "Zarr 2": zarr_store,
    "Zarr 3": lambda folder: zarr_store(folder, 3),
    "Zarr 3 in shards, index first": lambda folder: zarr_store(folder, 3, (2 * SIDE, 2 * SIDE), "start"),
    "Zarr 3 in shards": lambda folder: zarr_store(folder, 3, (2 * SIDE, 2 * SIDE)),
}


@pytest.mark.parametrize("name", FILES)
def test_what_was_never_written_is_no_data(name: str, tmp_path: Path) -> None:
    image = open_interferogram(FILES[name](tmp_path), layer=1 if name == "HDF5 stack" else None)
    block = image.read(with_coherence=False)
    np.testing.assert_array_equal(block.valid, written())
    np.testing.assert_allclose(np.angle(block.values[written()]), PHASE[written()], atol=1e-5)
    window = (slice(5, 37), slice(11, 50))
    np.testing.assert_array_equal(image.read(window, with_coherence=False).valid, written()[window])
    missing = int((~written()).sum())
    assert [line for line in image.messages if f"{missing} pixels were never written" in line]


Write = Callable[[Path, np.ndarray, int, bool], Path]


def _to_hdf5(folder: Path, values: np.ndarray, fill: int, whole: bool) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file["phase"] = PHASE
        data = file.create_dataset("coherence", PHASE.shape, values.dtype, chunks=(SIDE, SIDE), fillvalue=fill)
        for window in [...] if whole else _windows():
            data[window] = values[window]
    return folder / "a.h5"


def _to_zarr(version: int) -> Write:
    def write(folder: Path, values: np.ndarray, fill: int, whole: bool) -> Path:
        group = zarr.open_group(folder / "a.zarr", mode="w", zarr_format=version)
        group.create_array("phase", shape=PHASE.shape, dtype="f4")[:] = PHASE
        layout = {"shape": PHASE.shape, "dtype": values.dtype, "chunks": (SIDE, SIDE), "fill_value": fill}
        data = group.create_array("coherence", **layout)
        for window in [...] if whole else _windows():
            data[window] = values[window]
        return folder / "a.zarr"

    return write


def _to_tiff(folder: Path, values: np.ndarray, fill: int, whole: bool) -> Path:
    profile = {"driver": "GTiff", "height": ROWS, "width": COLUMNS, "count": 1}
    with rasterio.open(folder / "a.tif", "w", dtype="float32", **profile) as file:
        file.write(PHASE, 1)
    layout = {"tiled": True, "blockxsize": SIDE, "blockysize": SIDE, "SPARSE_OK": True}
    with rasterio.open(folder / "coherence.tif", "w", dtype=values.dtype, **profile, **layout) as file:
        for rows, columns in [(slice(0, ROWS), slice(0, COLUMNS))] if whole else _windows():
            place = rasterio.windows.Window.from_slices(rows, columns)
            file.write(values[rows, columns], 1, window=place)
    return folder / "a.tif"


COHERENCES = {"HDF5": _to_hdf5, "Zarr 2": _to_zarr(2), "Zarr 3": _to_zarr(3), "GeoTIFF": _to_tiff}


@pytest.mark.parametrize("name", COHERENCES)
@pytest.mark.parametrize(("dtype", "full", "fill"), [("u1", 255, 0), ("u1", 255, 255), ("i2", 10000, -1)])
def test_an_integer_coherence_that_was_never_written_is_unknown(name, dtype, full, fill, tmp_path: Path) -> None:
    values = np.linspace(0.2 * full, 0.9 * full, PHASE.size).reshape(PHASE.shape).astype(dtype)
    for whole in (False, True):
        path = COHERENCES[name](tmp_path, values, fill, whole)
        image = open_interferogram(path, tmp_path / "coherence.tif" if name == "GeoTIFF" else None)
        block = image.read()
        assert block.valid.all()
        np.testing.assert_array_equal(np.isfinite(block.coherence), whole | written())
        np.testing.assert_allclose(block.coherence[written()], (values / full)[written()], atol=1e-6)
        line = f"coherence: {int((~written()).sum())} pixels were never written, 74 %: nothing is known there"
        assert (line in image.messages) != whole


@pytest.mark.parametrize("fill", [1, 255])
def test_a_mask_has_the_fill_value_where_it_was_never_written(fill: int, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("science/LSAR/GUNW/grids/frequencyA/wrappedInterferogram")
        group["HH/wrappedInterferogram"] = np.exp(1j * PHASE).astype(np.complex64)
        mask = group.create_dataset("mask", PHASE.shape, "u1", chunks=(SIDE, SIDE), fillvalue=fill)
        mask[:SIDE, :SIDE] = 1
        mask[0, 0] = 0
        expected = ~np.isin(mask[:], (0, 255))
    valid = open_interferogram(tmp_path / "a.h5").read(with_coherence=False).valid
    np.testing.assert_array_equal(valid, expected)


def test_a_whole_file_says_nothing(tmp_path: Path) -> None:
    for name in ("GeoTIFF", "HDF5", "Zarr 3"):
        folder = tmp_path / name
        folder.mkdir()
        path = FILES[name](folder)
        if path.suffix == ".tif":
            with rasterio.open(path, "r+") as file:
                file.write(PHASE, 1)
        elif path.suffix == ".h5":
            with h5py.File(path, "r+") as file:
                file["phase"][:] = PHASE
        else:
            zarr.open(path, mode="r+")["phase"][:] = PHASE
        image = open_interferogram(path)
        assert image.read(with_coherence=False).valid.all()
        assert not [line for line in image.messages if "never written" in line]


def test_a_dataset_without_any_data(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("phase", PHASE.shape, "f4")
    image = open_interferogram(tmp_path / "a.h5")
    assert not image.read(with_coherence=False).valid.any()
    assert [line for line in image.messages if f"{PHASE.size} pixels were never written, 1e+02 %" in line]


def entries(path: Path) -> dict[int, int]:
    """Places of the values of the tags of a little-endian TIFF."""
    data = path.read_bytes()
    start = int.from_bytes(data[4:8], "little")
    places = range(start + 2, start + 2 + 12 * int.from_bytes(data[start : start + 2], "little"), 12)
    return {int.from_bytes(data[place : place + 2], "little"): place for place in places}


@pytest.mark.parametrize(
    ("tag", "offset", "value", "words"),
    [
        (257, 8, 4000, r"found 12 blocks, expected 1000 for 4000 x 56 pixels"),  # rows
        (324, 8, 2**31, r"found \d+ bytes, expected at least \d+: the file is truncated"),  # where offsets are
        (324, 4, 2**28, r"found \d+ bytes, expected at least \d+: the file is truncated"),  # how many there are
        (324, 0, 65000, None),  # no list of blocks
        (322, 8, 0, None),  # tiles without extent
    ],
)
def test_a_directory_that_cannot_be(tag: int, offset: int, value: int, words: str | None, tmp_path: Path) -> None:
    path, data = tiff(tmp_path), bytearray((tmp_path / "a.tif").read_bytes())
    place = entries(path)[tag] + offset
    data[place : place + (4 if offset else 2)] = value.to_bytes(4 if offset else 2, "little")
    path.write_bytes(data)
    if words is None:
        assert tiff_blocks(path) is None
        return
    with pytest.raises(DataError, match=words):
        tiff_blocks(path)


def test_a_directory_of_far_too_many_tags(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0\xff\xff")
    with pytest.raises(DataError, match="found 65535 tags, expected at most 4096 of a TIFF file"):
        tiff_blocks(tmp_path / "a.tif")


def envi(folder: Path, offset: int) -> Path:
    (folder / "a.pha").write_bytes(bytes(offset) + PHASE.tobytes())
    header = f"ENVI\nsamples = {COLUMNS}\nlines = {ROWS}\nbands = 1\nheader offset = {offset}\ndata type = 4\n"
    (folder / "a.pha.hdr").write_text(header + "interleave = bsq\nbyte order = 0\n")
    return folder / "a.pha"


def vrt(folder: Path, offset: int) -> Path:
    (folder / "a.unw").write_bytes(bytes(offset) + PHASE.tobytes())
    source = '<SourceFilename relativeToVRT="1">a.unw</SourceFilename><ByteOrder>LSB</ByteOrder>'
    steps = f"<ImageOffset>{offset}</ImageOffset><PixelOffset>4</PixelOffset><LineOffset>{4 * COLUMNS}</LineOffset>"
    band = f'<VRTRasterBand dataType="Float32" band="1" subClass="VRTRawRasterBand">{source}{steps}</VRTRasterBand>'
    size = f'rasterXSize="{COLUMNS}" rasterYSize="{ROWS}"'
    (folder / "a.unw.vrt").write_text(f"<VRTDataset {size}>{band}</VRTDataset>")
    return folder / "a.unw.vrt"


def ehdr(folder: Path, offset: int) -> Path:
    (folder / "a.bil").write_bytes(bytes(offset) + PHASE.tobytes())
    lines = f"nrows {ROWS}\nncols {COLUMNS}\nnbands 1\nnbits 32\nbyteorder I\nlayout BIL\npixeltype float\n"
    (folder / "a.hdr").write_text(lines + f"skipbytes {offset}\n")
    return folder / "a.bil"


@pytest.mark.parametrize("offset", [0, 2048])
@pytest.mark.parametrize("write", [envi, vrt, ehdr])
def test_a_raw_raster_that_ends_early(write: Callable[[Path, int], Path], offset: int, tmp_path: Path) -> None:
    path = write(tmp_path, offset)
    np.testing.assert_array_equal(open_interferogram(path).read_stored(), PHASE)
    data = path.with_suffix("") if path.suffix == ".vrt" else path
    for lost in (1, 2000):
        data.write_bytes((bytes(offset) + PHASE.tobytes())[:-lost])
        with pytest.raises(DataError, match=r"found \d+ bytes, expected at least \d+: the file is truncated"):
            open_interferogram(path)


@pytest.mark.parametrize("name", ["GeoTIFF", "GeoTIFF deflate", "BigTIFF"])
def test_a_tiff_that_ends_early(name: str, tmp_path: Path) -> None:
    path = FILES[name](tmp_path)
    shutil.copy(path, tmp_path / "whole.tif")
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    with pytest.raises(DataError, match="truncated"):
        open_interferogram(path)
