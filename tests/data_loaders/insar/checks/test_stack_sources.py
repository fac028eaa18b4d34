"""A stack reads nothing but what lies beside it unless that is allowed, and writing its copy changes no source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar import open_interferogram
from mvnet.data_loaders.insar.checks.sources import Access
from mvnet.data_loaders.insar.stacks.base import DenoisedPair, Stack
from mvnet.data_loaders.insar.stacks.registry import find_kind, find_stack
from tests.apps.files import tree
from tests.data_loaders.insar.files import tiff
from tests.data_loaders.insar.stack_files import NAMES, WRITERS, pairs

h5py: Any = pytest.importorskip("h5py", reason="needs mvnet[insar]")

Z, G = pairs()
EXTERNAL = Access(external=True)
OUTSIDE = "found a source outside of its folder, .*expected files beside it, or --allow-external"
VARIABLES = {"mintpy": "wrapPhase", "netcdf": "phase"}


def external(file: Any, name: str, elsewhere: Path) -> None:
    raw = elsewhere / "data.bin"
    raw.write_bytes(file[name][:].tobytes())
    shape, dtype, size = file[name].shape, file[name].dtype, raw.stat().st_size
    moved(file, name, lambda fresh: file.create_dataset(fresh, shape, dtype, external=[(str(raw), 0, size)]))


def virtual(file: Any, name: str, elsewhere: Path) -> None:
    with h5py.File(elsewhere / "data.h5", "w") as other:
        other["values"] = file[name][:]
        source = h5py.VirtualSource(other["values"])
    layout = h5py.VirtualLayout(file[name].shape, file[name].dtype)
    layout[:] = source
    moved(file, name, lambda fresh: file.create_virtual_dataset(fresh, layout, fillvalue=-1))


def moved(file: Any, name: str, create: Any) -> None:
    """Another data set in place of one, with its attributes and axes."""
    old, made = file[name], create("made")
    for key in set(old.attrs) - {"DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME", "_Netcdf4Coordinates"}:
        made.attrs[key] = old.attrs[key]
    for axis, like in zip(made.dims, old.dims):
        for scale in like.values():
            axis.attach_scale(scale)
            like.detach_scale(scale)
    del file[name]
    file.move("made", name)


def linked(file: Any, name: str, elsewhere: Path) -> None:
    with h5py.File(elsewhere / "data.h5", "w") as other:
        other[name] = file[name][:]
    del file[name]
    file[name] = h5py.ExternalLink(str(elsewhere / "data.h5"), name)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """That of the stack, and another."""
    for name in ("in", "elsewhere"):
        (tmp_path / name).mkdir()
    return tmp_path / "in", tmp_path / "elsewhere"


def denoised(folder: Path, stack: Stack) -> dict[str, DenoisedPair]:
    """A phase of 1 with quality 0.5 for every pair."""
    shape = Z[0].shape
    values, quality = tiff(folder / "values.tif", np.ones(shape, np.float32)), np.full(shape, 0.5, np.float32)
    return {pair.name: DenoisedPair(values, tiff(folder / "quality.tif", quality)) for pair in stack.pairs}


@pytest.mark.parametrize("refer", [external, virtual, linked])
@pytest.mark.parametrize("kind", VARIABLES)
def test_data_elsewhere_are_refused_or_read_and_stay(refer, kind: str, folders: tuple[Path, Path]) -> None:
    folder, elsewhere = folders
    path, name = WRITERS[kind](folder, Z, G), VARIABLES[kind]
    with h5py.File(path, "r+") as file:
        expected = file[name][:]
        refer(file, name, elsewhere)
    with pytest.raises(DataError, match=OUTSIDE):
        find_stack(path)
    stack = find_stack(path, EXTERNAL)
    assert stack is not None and len(stack.pairs) == 3 and stack.access == EXTERNAL
    with pytest.raises(DataError, match=OUTSIDE):
        open_interferogram(path, layer="1")
    stored = open_interferogram(path, layer="1", allow_external=True).read_stored()
    np.testing.assert_array_equal(stored, expected[1])
    before, target = tree(folder.parent), elsewhere.parent / f"out{path.suffix}"
    results = denoised(elsewhere.parent, stack)
    gather = find_kind(stack.kind).gather
    assert gather is not None
    gather(stack, {NAMES[1] if kind == "mintpy" else stack.pairs[1].name: results[stack.pairs[1].name]}, target)
    assert {path: state for path, state in tree(folder.parent).items() if path in before} == before
    for place in elsewhere.iterdir():
        place.unlink()
    with h5py.File(target) as file:  # by itself
        np.testing.assert_array_equal(file[name][0], expected[0])
        np.testing.assert_array_equal(file[name][1], 1)
        assert not file[name].is_virtual and not file[name].external
    assert find_stack(target) is not None


def test_axes_and_attributes_are_kept_where_all_lies_elsewhere(folders: tuple[Path, Path]) -> None:
    import xarray

    folder, elsewhere = folders
    path = WRITERS["netcdf"](folder, Z, G)
    with h5py.File(path, "r+") as file:
        file["phase"].attrs["sensor"] = "S1"
        virtual(file, "phase", elsewhere)
        x = file["x"][:]
        (elsewhere / "x.bin").write_bytes(x.tobytes())
        users = [file[name] for name in ("phase", "coherence")]
        made = file.create_dataset("made", x.shape, x.dtype, external=[(str(elsewhere / "x.bin"), 0, x.nbytes)])
        made.make_scale("x")
        for user in users:
            user.dims[2].detach_scale(file["x"])
            user.dims[2].attach_scale(made)
        del file["x"]
        file.move("made", "x")
    stack = find_stack(path, EXTERNAL)
    gather = find_kind("netcdf").gather
    assert stack is not None and gather is not None
    gather(stack, denoised(elsewhere.parent, stack), elsewhere.parent / "out.nc")
    for place in elsewhere.iterdir():
        place.unlink()
    with xarray.open_dataset(elsewhere.parent / "out.nc", engine="h5netcdf") as data:
        assert data.phase.dims == data.quality.dims == ("pair", "y", "x") and data.phase.attrs["sensor"] == "S1"
        np.testing.assert_array_equal(data.x, x)


def test_a_link_that_leads_nowhere(folders: tuple[Path, Path]) -> None:
    folder, elsewhere = folders
    path = WRITERS["netcdf"](folder, Z, G)
    with h5py.File(path, "r+") as file:
        file["other"] = h5py.ExternalLink(str(elsewhere / "gone.h5"), "other")
    stack = find_stack(path, EXTERNAL)
    gather = find_kind("netcdf").gather
    assert stack is not None and gather is not None
    with pytest.raises(DataError, match="found nothing where its link other leads"):
        gather(stack, denoised(elsewhere.parent, stack), elsewhere.parent / "out.nc")


def test_an_unwrapped_phase_of_a_product_that_is_a_text(folders: tuple[Path, Path]) -> None:
    folder, elsewhere = folders
    stack = find_stack(WRITERS["products"](folder, Z, G))
    assert stack is not None
    unwrapped = next(stack.pairs[0].path.parent.glob("*_unw_phase.tif"))
    unwrapped.rename(elsewhere / "data.tif")
    source = f'<SimpleSource><SourceFilename relativeToVRT="0">{elsewhere}/data.tif</SourceFilename></SimpleSource>'
    band = f'<VRTRasterBand dataType="Float32" band="1">{source}</VRTRasterBand>'
    unwrapped.write_text(f'<VRTDataset rasterXSize="64" rasterYSize="48">{band}</VRTDataset>')
    for access in (Access(), EXTERNAL):
        target = elsewhere / f"out{access.external}"
        target.mkdir()
        result = denoised(elsewhere, stack)[stack.pairs[0].name]
        if access.external:
            find_kind("products").store(stack.pairs[0], result, target, access)
            assert (target / stack.pairs[0].outputs[-2]).is_file()
        else:
            with pytest.raises(DataError, match=OUTSIDE):
                find_kind("products").store(stack.pairs[0], result, target, access)
