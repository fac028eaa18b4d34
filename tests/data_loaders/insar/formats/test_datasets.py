"""HDF5, NetCDF and Zarr: axes in any order, parts, scales, pairs of a stack, masks, single images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")
import h5py
import xarray
import zarr

from mvnet.data_loaders.insar import DataError, open_interferogram
from mvnet.data_loaders.insar.formats.axes import find_axes
from tests.data_loaders.insar.scene import SHAPE, deviation, fringes, smooth

Z, PHASE = fringes()
UNIT = Z / np.abs(Z)
T, G = np.angle(Z), smooth()
STACK: Any = np.stack([Z, Z.conj(), 1j * Z])
LAST: Any = np.moveaxis(STACK, 0, -1)


def hdf5(path: Path, data: dict[str, np.ndarray], **attributes: object) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in data.items():
            file[name] = values
        file.attrs.update(attributes)
    return path


def compound(values: Any, dtype: str, names: Any) -> np.ndarray:
    return np.rec.fromarrays([values.real.astype(dtype), values.imag.astype(dtype)], names=names)


PLAIN = {
    "SARvey": ({"ifgs": LAST}, "1", UNIT.conj(), "ifgs, image, --layer 1 of 0 to 2"),
    "stack in front": ({"ifg": STACK}, 2, UNIT * 1j, "--layer 2"),
    "stack of phases behind": ({"phase": np.angle(LAST)}, 2, UNIT * 1j, "--layer 2"),
    "two phases behind": ({"phase": np.stack([T, -T], -1)}, 1, UNIT.conj(), "--layer 1 of 0 to 1"),
    "parts in front": ({"ifg": np.stack([Z.real, Z.imag])}, None, UNIT, "along axis 0, by their values"),
    "parts behind": ({"ifg": np.stack([Z.real, Z.imag], -1)}, None, UNIT, "along axis 2, by their values"),
    "stack of parts": ({"ifg": np.stack([STACK.real, STACK.imag], 1)}, 1, UNIT.conj(), "along axis 1"),
    "axes of length 1": ({"phase": T[None, None]}, None, UNIT, "phase"),
    "named and both at once": ({"VV/ifg": STACK, "VH/ifg": STACK[::-1]}, "VH/ifg:0", UNIT * 1j, "VH/ifg"),
    "half precision": ({"ifg": compound(Z, "f2", "r,i")}, None, UNIT, "ifg"),
    "compound": ({"a": compound(STACK, "f4", "real,imag")}, "1", UNIT.conj(), "--layer 1"),
    "two datasets": ({"ifg_real": Z.real, "ifg_imag": Z.imag, "ifg_amp": G}, None, UNIT, "ifg_real and ifg_imag"),
    "two asked": ({"a": Z.real, "b": Z.imag}, "a+b", UNIT, "a and b"),
    "names of its own": ({"my_wrapped": T, "my_unw_phase": PHASE}, None, UNIT, "my_wrapped; also my_unw_phase"),
    "the only raster": ({"data": T}, None, UNIT, "data"),
    "a polarisation": ({"VV/ifg": Z, "VH/ifg": Z.conj()}, "VV", UNIT, "VV/ifg"),
    "no choice made": ({"VV/ifg": Z.conj(), "VH/ifg": Z}, None, UNIT, "also VV/ifg"),
}


@pytest.mark.parametrize("case", PLAIN)
def test_datasets(case, tmp_path):
    data, layer, truth, said = PLAIN[case]
    image = open_interferogram(hdf5(tmp_path / "stack.h5", data), layer=layer)
    assert deviation(image, truth) < (2e-3 if case == "half precision" else 1e-5)
    assert said in image.messages[0]
    whole, window = image.read(with_coherence=False), (slice(7, 40), slice(31, 90))
    np.testing.assert_array_equal(image.read(window, with_coherence=False).values, whole.values[window])


REFUSED = {
    "MiaplPy": ("slcStack.h5", {"slc": STACK}, None, "SLC"),
    "MiaplPy, asked": ("slcStack.h5", {"slc": STACK}, "slc", "SLC"),
    "named by the file": ("slcs.h5", {"real": LAST.real, "imag": LAST.imag}, None, "SLC"),
    "RSLC": ("a.h5", {"science/LSAR/RSLC/swaths/frequencyA/HH": Z}, None, "SLC"),
    "axes": ("a.h5", {"ifg": np.moveaxis(STACK, 0, 1)}, None, r"96, 3, 120 in .*a.h5:ifg"),
    "shape": ("a.h5", {"ifg": np.ones((60, 96, 120), np.complex64)}, None, "60, 96, 120"),
    "complex": ("a.h5", {"a": Z, "b": Z}, None, r"a \(96, 120\), b"),
    "position": ("a.h5", {"ifg": STACK}, 3, "expected 0 to 2"),
    "no stack": ("a.h5", {"ifg": Z}, 5, "is one image"),
    "name": ("a.h5", {"ifg": STACK}, "unw:1", "expected 'unw'"),
    "several stacks": ("a.h5", {"ifg": np.ones((3, 4, 9, 9), np.complex64)}, None, r"found shape \(3, 4, 9, 9\)"),
    "five axes": (
        "a.h5",
        {"ifg": np.ones((3, 4, 2, 9, 9), np.complex64)},
        None,
        r"expected \(y, x\), or one",
    ),
    "only a velocity": ("a.h5", {"velocity": PHASE}, None, "velocity"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused(case, tmp_path):
    name, data, layer, message = REFUSED[case]
    with pytest.raises(DataError, match=message) as caught:
        open_interferogram(hdf5(tmp_path / name, data), layer=layer)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [{"coherence": G}, {"z": G}, {"phase": T, "my_coh": G}, {"coh": np.stack([G] * 3)}])
def test_a_coherence_in_a_file_of_its_own(data, tmp_path):
    image = open_interferogram(hdf5(tmp_path / "a.h5", {"ifg": Z}), hdf5(tmp_path / "b.h5", data))
    np.testing.assert_array_equal(image.read().coherence, G)


def test_axes_by_attributes_and_other_images():
    shape = (60, 96, 120)
    assert find_axes("a", shape, [""] * 3, [(96, 120)]) == ("stack", "y", "x")
    assert find_axes("a", shape, [""] * 3, [(60, 96)]) == ("y", "x", "stack")
    assert find_axes("f:ifgs", shape, [""] * 3, []) == ("y", "x", "stack")
    assert find_axes("a", shape, [""] * 3, [], first=True) == ("stack", "y", "x")
    assert find_axes("a", shape, ["azimuth", "range", "time"], []) == ("y", "x", "stack")
    assert find_axes("a", (1, 96), [""] * 2, []) == ("y", "x")


DATES = np.array([["20200101", "20200113"], ["20200113", "20200125"], ["20200101", "20200125"]], dtype="S8")


def mintpy(path: Path, **attributes: object) -> Path:
    keys = {"FILE_TYPE": "ifgramStack", "LENGTH": "96", "WIDTH": "120", **attributes}
    data = {"unwrapPhase": np.stack([PHASE, PHASE + 1, PHASE + 2]), "wrapPhase": np.angle(STACK), "date": DATES}
    return hdf5(path, {**data, "coherence": np.stack([G] * 3), "dropIfgram": np.array([False, True, True])}, **keys)


@pytest.mark.parametrize(
    ("layer", "truth", "said"),
    [
        (None, UNIT.conj(), "wrapPhase, pair 20200113_20200125, --layer 1 of 0 to 2; dropIfgram leaves out 1 of 3"),
        (0, UNIT, "this one too"),
        ("20200101-20200125", UNIT * 1j, "pair 20200101_20200125"),
        ("unwrapPhase:20200101_20200125", np.exp(1j * (PHASE + 2)), "unwrapPhase, pair 20200101_20200125"),
        ("unwrapPhase-20200101_20200125", np.exp(1j * (PHASE + 2)), "unwrapPhase, pair 20200101_20200125"),
        ("unwrapPhase:0", np.exp(1j * PHASE), "unwrapPhase"),
        ("unwrapPhase", np.exp(1j * (PHASE + 1)), "unwrapPhase"),
    ],
)
def test_pairs_of_mintpy(layer, truth, said, tmp_path):
    image = open_interferogram(mintpy(tmp_path / "ifgramStack.h5"), layer=layer)
    assert deviation(image, truth) < 1e-5 and said in image.messages[0]
    assert image.coherence is not None


@pytest.mark.parametrize(
    ("keys", "epsg"),
    [
        ({"UTM_ZONE": "11N", "X_UNIT": "meters"}, 32611),
        ({"UTM_ZONE": "32S", "X_UNIT": "meters"}, 32732),
        ({"UTM_ZONE": "33T", "X_UNIT": "meters"}, 32633),
        ({"EPSG": "32611", "X_UNIT": "meters"}, 32611),
        ({"X_UNIT": "meters"}, None),
        ({}, None),
        ({"X_FIRST": "10", "Y_FIRST": "45", "X_UNIT": "degrees"}, 4326),
    ],
)
def test_crs_of_mintpy(keys, epsg, tmp_path):
    corner = {"X_FIRST": "500000", "Y_FIRST": "4000000", "X_STEP": "80", "Y_STEP": "-80"}
    image = open_interferogram(mintpy(tmp_path / "ifgramStack.h5", **(corner | keys)))
    assert (image.crs and image.crs.to_epsg()) == epsg and image.transform.a == 80


COORDINATES = {"x": 10 + 0.001 * np.arange(SHAPE[1]), "y": 45 - 0.002 * np.arange(SHAPE[0])}
PACKED = {"phase": {"dtype": "int16", "scale_factor": 2e-4, "add_offset": 0.5, "_FillValue": -32768}}
HOLE = np.where(np.arange(SHAPE[1]) < 30, np.nan, T).astype(np.float32)
LABELLED = {
    "packed": ({"phase": (("y", "x"), HOLE)}, None, UNIT, 0.75),
    "real and imaginary": ({"real": (("y", "x"), Z.real), "imag": (("y", "x"), Z.imag)}, None, UNIT, 1),
    "parts": ({"ifg": (("ri", "y", "x"), np.stack([Z.real, Z.imag]))}, None, UNIT, 1),
    "parts behind": ({"ifg": (("y", "x", "complex"), np.stack([Z.real, Z.imag], -1))}, None, UNIT, 1),
    "time behind": ({"phase": (("y", "x", "time"), np.angle(LAST))}, "1", UNIT.conj(), 1),
    "radar geometry": (
        {"real": (("azimuth", "range", "time"), LAST.real), "imag": (("azimuth", "range", "time"), LAST.imag)},
        "2",
        UNIT * 1j,
        1,
    ),
    "columns first": ({"phase": (("x", "y"), T.T)}, None, UNIT, 1),
    "many pairs": ({"ifg_phase": (("pair", "y", "x"), np.stack([T] * 150))}, 149, UNIT, 1),
    "length 1": ({"phase": (("time", "band", "y", "x"), T[None, None])}, None, UNIT, 1),
    "bands": ({"data": (("band", "y", "x"), np.stack([G, T]))}, None, UNIT, 1),
    "cycles": ({"phase": (("y", "x"), T / (2 * np.pi), {"units": "cycles"})}, None, UNIT, 1),
    "by name": ({"wrapped": (("y", "x"), T), "unw_phase": (("y", "x"), PHASE)}, "unw", np.exp(1j * PHASE), 1),
}


def _write(data: xarray.Dataset, folder: Path, kind: str, encoding: dict) -> Path:
    if kind.startswith("zarr"):
        data.to_zarr(folder / "a.zarr", zarr_format=int(kind[-1]), encoding=encoding, consolidated=False)
        return folder / "a.zarr"
    engine: dict[str, Any] = (
        {"engine": "h5netcdf"} if kind == "netcdf 4" else {"engine": "scipy", "format": "NETCDF3_64BIT"}
    )
    data.to_netcdf(folder / "a.nc", encoding=encoding, **engine)
    return folder / "a.nc"


@pytest.mark.parametrize("kind", ["netcdf 4", "netcdf 3", "zarr 2", "zarr 3"])
@pytest.mark.parametrize("case", LABELLED)
def test_labelled_arrays(case, kind, tmp_path):
    variables, layer, truth, share = LABELLED[case]
    data = xarray.Dataset(variables, coords=COORDINATES if case != "radar geometry" else None)
    image = open_interferogram(_write(data, tmp_path, kind, PACKED if case == "packed" else {}), layer=layer)
    assert deviation(image, truth) < (2e-4 if case == "packed" else 1e-5)
    assert image.read(with_coherence=False).valid.mean() == pytest.approx(share)
    if case != "radar geometry":
        assert image.transform is not None and image.transform.e == pytest.approx(-0.002)


def test_chunks_that_were_never_written_are_no_data(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("phase", SHAPE, "f4", chunks=(32, 40))[:64] = T[:64]
        file.create_dataset("ifgs", (*SHAPE, 2), "f4", chunks=(32, 40, 1))[:64, :, 1] = T[:64]
    for layer, share in (("phase", 2 / 3), ("ifgs:1", 2 / 3)):
        image = open_interferogram(tmp_path / "a.h5", layer=layer)
        valid = image.read(with_coherence=False).valid
        assert valid[:64].all() and valid.mean() == pytest.approx(share)
        np.testing.assert_array_equal(image.read((slice(50, 80), slice(3, 9))).valid, valid[50:80, 3:9])
    for version in (2, 3):
        store = zarr.open_group(tmp_path / f"{version}.zarr", mode="w", zarr_format=version)
        store.create_array("phase", shape=SHAPE, dtype="f4", chunks=(32, 40), fill_value=0)[:64] = T[:64]
        valid = open_interferogram(tmp_path / f"{version}.zarr").read(with_coherence=False).valid
        assert valid[:64].all() and not valid[64:].any()


@pytest.mark.parametrize(("lost", "kept"), [(0, 1), (255, 1), (101, 11), (10, 111)])
def test_mask_of_nisar(lost, kept, tmp_path):
    group = "science/LSAR/GUNW/grids/frequencyA/wrappedInterferogram"
    mask = np.where(np.arange(SHAPE[1]) < 30, lost, kept)[None].repeat(SHAPE[0], 0).astype(np.uint8)
    data = {f"{group}/HH/wrappedInterferogram": Z, f"{group}/HH/coherenceMagnitude": G, f"{group}/mask": mask}
    image = open_interferogram(hdf5(tmp_path / "gunw.h5", data))
    valid = image.read().valid
    assert not valid[:, :30].any() and valid[:, 30:].all() and "mask" in image.messages[0]
    assert f"{group}/HH/wrappedInterferogram" in image.messages[0]


@pytest.mark.parametrize("south", [False, True])
def test_another_value_that_means_none(south, tmp_path):
    """It is of the parts of a complex layer, of the phase below a mask, and of rows that are turned round."""
    lost = np.zeros(SHAPE, bool)
    lost[5:9, 7:30] = True
    path, y = tmp_path / "a.nc", np.arange(SHAPE[0], dtype=float)
    axes = {"y": y if south else y[::-1], "x": np.arange(float(SHAPE[1]))}
    rows = {name: (("y", "x"), np.where(lost, -7, part).astype("f4")) for name, part in zip("ab", (Z.real, Z.imag))}
    xarray.Dataset(rows, axes).to_netcdf(path, engine="h5netcdf")
    block = open_interferogram(path, layer="a+b", nodata=-7).read(with_coherence=False)
    np.testing.assert_array_equal(block.valid, ~lost)
    phase = np.where(lost, -7, T)
    group = "science/LSAR/GUNW/grids/frequencyA/wrappedInterferogram"
    data = {f"{group}/HH/unwrappedPhase": phase, f"{group}/HH/mask": np.full(SHAPE, 1, np.uint8)}
    block = open_interferogram(hdf5(tmp_path / "b.h5", data), nodata=-7).read(with_coherence=False)
    np.testing.assert_array_equal(block.valid, ~lost)


def test_parts_of_other_shapes(tmp_path):
    with pytest.raises(DataError, match=r"found shape \(95, 120\), expected \(96, 120\) as"):
        open_interferogram(hdf5(tmp_path / "a.h5", {"a": Z.real, "b": Z.imag[:-1]}), layer="a+b")
