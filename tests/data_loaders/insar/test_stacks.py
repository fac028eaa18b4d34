"""Stacks are recognised, their pairs listed, and denoised pairs written back where they came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar import open_interferogram
from mvnet.data_loaders.insar.stacks.base import DenoisedPair, follow, state_of
from mvnet.data_loaders.insar.stacks.cube import slabs
from mvnet.data_loaders.insar.stacks.registry import find_kind, find_stack
from tests.data_loaders.insar.files import WRITERS as SCENES
from tests.data_loaders.insar.files import tiff
from tests.data_loaders.insar.stack_files import KINDS, NAMES, SHAPE, WRITERS, dataset, pairs

h5py: Any = pytest.importorskip("h5py", reason="needs mvnet[insar]")

Z, G = pairs()


@pytest.mark.parametrize("name", WRITERS)
def test_pairs_are_found_and_read(name, tmp_path):
    stack = find_stack(WRITERS[name](tmp_path, Z, G))
    assert stack is not None and stack.kind == KINDS[name] and stack.path.exists()
    assert [date in pair.name for date, pair in zip(NAMES, stack.pairs)] == [True] * 3
    for pair, z in zip(stack.pairs, Z):
        block = open_interferogram(pair.path, layer=pair.layer).read()
        known = z != 0
        np.testing.assert_array_equal(block.valid, known)
        np.testing.assert_allclose(np.angle(block.values[known] / z[known]), 0, atol=1e-5)
        np.testing.assert_allclose(block.coherence[known], 0.6, atol=1e-6)
        assert (all(path.exists() for path in pair.inputs) and pair.path in pair.inputs) or name == "isce2"


@pytest.mark.parametrize("name", SCENES)
def test_one_scene_is_no_stack(name, tmp_path):
    path = SCENES[name][0](tmp_path, Z[0], G[0])
    stack = find_stack(path)
    assert stack is None or name == "MintPy"  # the writer's has two pairs


def test_pairs_that_are_dropped_are_left_out_and_said(tmp_path):
    path = WRITERS["mintpy"](tmp_path, Z, G)
    with h5py.File(path, "r+") as file:
        file["dropIfgram"][1] = False
    stack = find_stack(path)
    assert stack is not None and [pair.name for pair in stack.pairs] == [NAMES[0], NAMES[2]]
    assert [pair.layer for pair in stack.pairs] == ["0", "2"] and stack.left_out == (NAMES[1],)
    assert any("dropIfgram" in text and NAMES[1] in text for text in stack.messages)
    with h5py.File(path, "r+") as file:
        file["dropIfgram"][:] = False
    with pytest.raises(DataError, match="drops all 3 pairs"):
        find_stack(path)


def test_a_stack_without_dates_or_with_one_pair(tmp_path):
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["wrapPhase"], file.attrs["FILE_TYPE"] = np.angle(Z[:1]), "ifgramStack"
    assert find_stack(tmp_path / "one.h5") is None
    path = WRITERS["mintpy"](tmp_path, Z, G)
    with h5py.File(path, "r+") as file:
        del file["date"]
    with pytest.raises(DataError, match="found no dates of 3 pairs"):
        find_stack(path)


def test_dates_that_come_twice_and_folders_without_a_phase(tmp_path):
    path = WRITERS["mintpy"](tmp_path, Z, G)
    with h5py.File(path, "r+") as file:
        file["date"][1] = file["date"][0]
    with pytest.raises(DataError, match="found a pair of dates twice, expected 3 different ones"):
        find_stack(path)
    (tmp_path / "products").mkdir()
    folder = WRITERS["products"](tmp_path / "products", Z, G)
    (folder / "empty").mkdir()
    stack = find_stack(folder)
    assert stack is not None and "1 folders without a phase are left out" in stack.messages


def test_what_is_no_stack_of_phases(tmp_path):
    zarr: Any = pytest.importorskip("zarr", reason="needs mvnet[insar]")
    zarr.save_array(tmp_path / "array.zarr", Z)  # an array that is a store
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["phase"], file["ifg"] = np.ones((3, 9, 9), np.int16), Z[:1]
        file["interferogram"] = h5py.SoftLink("/nowhere")
    assert find_stack(tmp_path / "array.zarr") is None and find_stack(tmp_path / "a.h5") is None


@pytest.mark.parametrize("kind", ["zarr", "netcdf", "mintpy"])
def test_a_copy_of_a_copy_has_the_new_quality(kind, tmp_path):
    path = WRITERS[kind](tmp_path, Z, G)
    if kind == "zarr":
        path = tmp_path / "2.zarr"
        data = dataset(Z, G)
        data.ifg.attrs["grid_mapping"] = "crs"
        data.chunk({"pair": 1}).to_zarr(path, zarr_format=2)
    for value in (0.25, 0.5):
        stack, target = find_stack(path), tmp_path / f"out_{value}{path.suffix}"
        gather = find_kind(kind).gather
        assert stack is not None and gather is not None
        rasters = DenoisedPair(*(tiff(tmp_path / f"{k}.tif", np.full(SHAPE, value, np.float32)) for k in range(2)))
        gather(stack, {pair.name: rasters for pair in stack.pairs}, target)
        path = target
    if kind == "mintpy":
        with h5py.File(path) as file:
            assert (file["mvnetQuality"][:] == 0.5).all()
        return
    import xarray

    with xarray.open_dataset(path, engine="zarr" if kind == "zarr" else "h5netcdf", decode_coords=False) as found:
        assert found.quality.dims == ("pair", "y", "x") and (found.quality == 0.5).all()
        assert found.quality.attrs.get("grid_mapping") == ("crs" if kind == "zarr" else None)


@pytest.mark.parametrize(("shape", "expected"), [((3, *SHAPE), True), ((*SHAPE, 3), False), ((70, *SHAPE), False)])
def test_axes_without_names_count_pairs_where_they_are_shortest(shape, expected, tmp_path):
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        file["ifgs"] = np.ones(shape, np.complex64)
    assert (find_stack(tmp_path / "stack.h5") is not None) == expected


@pytest.mark.parametrize(
    ("axes", "expected"), [(("time", "y", "x"), True), (("y", "x", "time"), False), (("pair", "lat", "lon"), True)]
)
def test_axes_with_names_count_pairs_by_them(axes, expected, tmp_path):
    import xarray

    data = xarray.Dataset({"phase": (axes, np.zeros((9, 9, 9), np.float32))}, {name: np.arange(9.0) for name in axes})
    data.to_netcdf(tmp_path / "stack.nc", engine="h5netcdf")
    data.to_zarr(tmp_path / "stack.zarr", zarr_format=2)
    for path in ("stack.nc", "stack.zarr"):
        assert (find_stack(tmp_path / path) is not None) == expected


def test_images_of_one_date_are_no_interferograms(tmp_path):
    with h5py.File(tmp_path / "slcStack.h5", "w") as file:
        file["slc"] = Z
    assert find_stack(tmp_path / "slcStack.h5") is None


def test_isce_reads_what_is_not_filtered(tmp_path):
    path = WRITERS["isce2"](tmp_path, Z, G)
    for end in ("", ".xml"):
        (path / "interferograms" / NAMES[1] / f"fine.int{end}").unlink()
        (path / "interferograms" / NAMES[2] / f"fine.int{end}").unlink()
        (path / "interferograms" / NAMES[2] / f"filt_fine.int{end}").unlink()
    stack = find_stack(path)
    assert stack is not None and [pair.path.name for pair in stack.pairs] == ["fine.int", "filt_fine.int"]
    assert any("1 of 2 pairs have no fine.int" in text for text in stack.messages)
    assert any("1 folders without" in text for text in stack.messages)


def test_an_empty_folder_or_other_files_are_no_stack(tmp_path):
    assert find_stack(tmp_path) is None
    tiff(tmp_path / "pair.tif", Z[0])
    assert find_stack(tmp_path) is None and find_stack(tmp_path / "pair.tif") is None


def test_unwrapped_phases_keep_their_ambiguities():
    rng = np.random.default_rng(1)
    smooth = np.linspace(-20, 40, 100, dtype=np.float32).reshape(10, 10)
    measured = smooth + rng.uniform(-3, 3, smooth.shape).astype(np.float32)
    measured[0, 0], quality = 0, np.ones_like(smooth)
    quality[1, 1] = np.nan
    found = follow(measured, np.angle(np.exp(1j * smooth)).astype(np.float32), quality)
    assert found[0, 0] == 0 and found[1, 1] == measured[1, 1] and found.dtype == np.float32
    found[0, 0], found[1, 1] = smooth[0, 0], smooth[1, 1]
    np.testing.assert_allclose(found, smooth, atol=1e-4)


@pytest.mark.parametrize("chunks", [(1, 512, 512), (2, 16, 24), (5, 700, 10)])
def test_slabs_cover_a_cube_once_and_hold_whole_chunks(chunks):
    shape, count = (5, 1100, 530), np.zeros((5, 1100, 530), np.uint8)
    for slab in slabs(shape, chunks):
        count[slab.place] += 1
        starts = (slab.positions.start, slab.window[0].start, slab.window[1].start)
        assert all(start % chunk == 0 for start, chunk in zip(starts, chunks))
    assert (count == 1).all()


def test_another_state_is_noticed(tmp_path):
    stored = dataset(Z, G).to_zarr(tmp_path / "a.zarr") and tmp_path / "a.zarr"
    before = state_of(stored)
    assert state_of(Path(stored)) == before
    chunk = next(path for path in (stored / "ifg").rglob("*") if path.is_file() and path.name != "zarr.json")
    chunk.write_bytes(chunk.read_bytes() + b"1")
    assert state_of(stored) != before
