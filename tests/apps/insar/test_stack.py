"""`mvnet denoise insar STACK`: every pair, as if it were denoised alone, written in the form of the stack."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")
import rasterio

from tests.apps.files import tree
from tests.data_loaders.insar.files import tiff
from tests.data_loaders.insar.stack_files import NAMES, WRITERS, output_name, pairs

h5py: Any = pytest.importorskip("h5py", reason="needs mvnet[insar]")

Z, G = pairs()
NO_DATA = Z[0] == 0
COMPLEX = ("dolphin", "isce2", "zarr")


@pytest.fixture
def stack(filtered, tmp_path):
    """`mvnet denoise insar STACK -o OUT --json` of a kind; what it gave stands beside the paths."""
    (tmp_path / "in").mkdir()

    class Run:
        path: Path
        output: Path

        def write(self, kind: str, z=Z, g=G) -> Path:
            self.path, self.output = WRITERS[kind](tmp_path / "in", z, g), tmp_path / output_name(kind)
            return self.path

        def __call__(self, *arguments: object):
            result = filtered(self.path, "-o", self.output, "--json", *arguments)
            return result.status, json.loads(result.out) if result.out else {}, result.err

    return Run()


@pytest.fixture
def alone(filtered, tmp_path):
    """Phase and quality of every pair, denoised alone, of complex values or of phases."""

    def denoise(kind: str) -> list[np.ndarray]:
        found = []
        for k, (z, g) in enumerate(zip(Z if kind in COMPLEX else np.where(NO_DATA, 0, np.exp(1j * np.angle(Z))), G)):
            source, coherence = tiff(tmp_path / f"one_{k}.tif", z), tiff(tmp_path / f"coherence_{k}.tif", g)
            output = tmp_path / f"alone_{k}.tif"
            assert filtered(source, "-o", output, "--coherence", coherence, "--overwrite").status == 0
            found.append((band(output), band(output.with_name(f"alone_{k}_quality.tif"))))
        return [np.stack(parts) for parts in zip(*found)]

    return denoise


def turned(phase: np.ndarray) -> np.ndarray:
    return np.angle(np.exp(1j * phase))


def band(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


def statuses(summary: dict) -> list[str]:
    return [pair["status"] for pair in summary["pairs"]]


def read_back(kind: str, output: Path) -> tuple[np.ndarray, np.ndarray]:
    """Phase and quality (3, h, w) of a result; NaN without data."""
    if kind == "mintpy":
        with h5py.File(output) as file:
            values, quality = file["wrapPhase"][:], file["mvnetQuality"][:]
    elif kind in ("zarr", "netcdf"):
        import xarray

        with xarray.open_dataset(output, engine="zarr" if kind == "zarr" else "h5netcdf") as data:
            values, quality = data["ifg" if kind == "zarr" else "phase"].values, data["quality"].values
    else:
        ends = {
            "dolphin": (".int.tif", ".int.cor.tif"),
            "isce2": ("filt_fine.int", "phsig.cor"),
            "products": ("wrapped_phase.tif", "corr.tif"),
            "licsar": (".geo.diff_pha.tif", ".geo.cc.tif"),
        }
        found = [[band(path) for path in sorted(output.rglob(f"*{end}"))] for end in ends[kind]]
        values, quality = (np.stack(one) for one in found)
        quality = quality / 255 if quality.dtype == np.uint8 else quality
    phase = np.angle(values) if np.iscomplexobj(values) else values
    return np.where(NO_DATA, np.nan, phase), np.where(NO_DATA, np.nan, quality)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_stack_is_written_in_its_own_form(kind, stack, alone, tmp_path):
    stack.write(kind)
    before = tree(tmp_path / "in")
    status, summary, err = stack("--report")
    assert status == 0 and statuses(summary) == ["done"] * 3, err
    assert tree(tmp_path / "in") == before
    phase, quality = read_back(kind, stack.output)
    expected, known = alone(kind), ~np.isnan(quality)
    np.testing.assert_allclose(turned(phase - expected[0])[known], 0, atol=2e-4)
    np.testing.assert_allclose(quality[known], expected[1][known], atol=3e-3 if kind == "licsar" else 1e-4)
    assert "a stack of 3 pairs" in err and summary["counts"] == {"done": 3, "skipped": 0, "failed": 0, "left_out": 0}
    page = Path(summary["outputs"]["report"]).read_text()
    assert all(name in page for name in NAMES) and page.count("<img") == 3
    assert not list(tmp_path.rglob(".*.partial"))
    again = tree(tmp_path)
    status, summary, _ = stack()
    assert status == 0 and statuses(summary) == ["skipped"] * 3 and tree(tmp_path) == again


def test_a_mintpy_stack_keeps_what_it_has(stack):
    stack.write("mintpy")
    with h5py.File(stack.path, "r+") as file:
        file["unwrapPhase"] = np.where(NO_DATA, 0, np.angle(Z) + 8 * np.pi).astype(np.float32)
        file["dropIfgram"][1] = False
        del file["coherence"]
    status, summary, err = stack("--coherence", "none")
    assert status == 0 and summary["left_out"] == [NAMES[1]] and "dropIfgram" in err
    with h5py.File(stack.path) as old, h5py.File(stack.output) as new:
        assert dict(new.attrs) == dict(old.attrs) and new["wrapPhase"].attrs["UNIT"] == "radian"
        for name in ("unwrapPhase", "bperp", "date", "dropIfgram"):
            np.testing.assert_array_equal(new[name][:], old[name][:])
        assert new["wrapPhase"].chunks == old["wrapPhase"].chunks
        np.testing.assert_array_equal(new["wrapPhase"][1], old["wrapPhase"][1])
        np.testing.assert_array_equal(new["unwrapPhase_mvnet"][1], old["unwrapPhase"][1])
        assert (new["mvnetQuality"][1] == 0).all() and (new["wrapPhase"][0][NO_DATA] == 0).all()
        np.testing.assert_array_equal(new["coherence"][:], new["mvnetQuality"][:])
        moved, phase = new["unwrapPhase_mvnet"][0][~NO_DATA], new["wrapPhase"][0][~NO_DATA]
        np.testing.assert_allclose(turned(moved - phase), 0, atol=1e-5)
        assert abs(moved - old["unwrapPhase"][0][~NO_DATA]).max() <= np.pi + 1e-5


def test_a_mintpy_stack_of_unwrapped_phases_gets_wrapped_ones(stack):
    stack.write("mintpy")
    with h5py.File(stack.path, "r+") as file:
        file["unwrapPhase"] = np.where(NO_DATA, 0, 0.1 * np.arange(64) + 7 * np.ones_like(G)).astype(np.float32)
        del file["wrapPhase"]
    status, _, err = stack()
    assert status == 0 and "unwrapPhase_mvnet" in err
    with h5py.File(stack.output) as file:
        assert abs(file["wrapPhase"][:]).max() <= np.pi and file["unwrapPhase_mvnet"][:].max() > np.pi


def test_tools_open_the_copies(stack):
    import xarray

    for kind, engine in (("zarr", "zarr"), ("netcdf", "h5netcdf")):
        stack.write(kind)
        assert stack()[0] == 0
        with (
            xarray.open_dataset(stack.path, engine=engine) as old,
            xarray.open_dataset(stack.output, engine=engine) as new,
        ):
            assert new.quality.dims == ("pair", "y", "x") and new.attrs == old.attrs
            assert set(new.coords) == set(old.coords) and (new.pair == old.pair).all() and (new.x == old.x).all()
            name = "ifg" if kind == "zarr" else "phase"
            assert new[name].attrs == old[name].attrs and new[name].dtype == old[name].dtype
            assert "baseline" in new.quality.coords
            xarray.testing.assert_identical(new.coherence, old.coherence)


def test_isce_headers(stack):
    stack.write("isce2")
    assert stack()[0] == 0
    folder = stack.output / "interferograms" / NAMES[0]
    text = (folder / "filt_fine.int.xml").read_text()
    assert "fine.int" not in text.replace("filt_fine.int", "") and str(stack.path) not in text
    values = np.fromfile(folder / "filt_fine.int", np.complex64).reshape(Z.shape[1:])
    np.testing.assert_allclose(abs(values), abs(Z[0]), rtol=1e-4)
    for name, kind in (("filt_fine.int", "complex64"), ("phsig.cor", "float32")):
        with rasterio.open(folder / name) as file, rasterio.open(folder / f"{name}.vrt") as virtual:
            assert file.driver == "ISCE" and file.dtypes[0] == virtual.dtypes[0] == kind
            np.testing.assert_array_equal(file.read(1), virtual.read(1))


def test_products_keep_ambiguities_and_texts(stack):
    stack.write("products")
    assert stack()[0] == 0
    for k, folder in enumerate(sorted(path for path in stack.output.iterdir() if path.name.startswith("S1"))):
        wrapped, unwrapped = (band(next(folder.glob(f"*{end}.tif"))) for end in ("wrapped_phase", "unw_phase"))
        np.testing.assert_allclose(turned(unwrapped - wrapped)[~NO_DATA], 0, atol=1e-5)
        assert (unwrapped[NO_DATA] == 0).all() and abs(unwrapped[~NO_DATA] - 4 * np.pi).max() < 2 * np.pi
        assert NAMES[k] in next(folder.glob("*.txt")).read_text()
        with rasterio.open(next(folder.glob("*unw_phase.tif"))) as file:
            assert file.crs.to_epsg() == 4326 and file.nodata == 0


def test_one_pair_of_a_stack(stack, filtered, alone, tmp_path):
    stack.write("mintpy")
    output = tmp_path / "one.tif"
    assert filtered(stack.path, "-o", output, "--pair", NAMES[1]).status == 0
    np.testing.assert_allclose(turned(band(output) - alone("mintpy")[0][1])[~NO_DATA], 0, atol=2e-4)
    result = filtered(stack.path, "-o", tmp_path / "all.tif", "-q")
    assert result.status == 2 and "for a stack of 3 pairs, expected a name ending in .h5" in result.err
    assert "--pair" in result.err and result.err.count("\n") == 1 and not (tmp_path / "all.tif").exists()


def test_data_outside_of_the_folder_need_an_option(stack, tmp_path):
    path, other = stack.write("mintpy"), tmp_path / "data.h5"
    shutil.copy(path, other)
    with h5py.File(path, "r+") as file:
        layout = h5py.VirtualLayout(Z.shape, np.float32)
        layout[:] = h5py.VirtualSource(str(other), "wrapPhase", Z.shape)
        del file["wrapPhase"]
        file.create_virtual_dataset("wrapPhase", layout)
    before = tree(tmp_path)
    status, _, err = stack()
    assert status == 2 and len(err.splitlines()) == 1 and "--allow-external" in err and tree(tmp_path) == before
    status, _, err = stack("--allow-external", "--coherence", "none")
    assert status == 0, err
    assert np.isfinite(read_back("mintpy", stack.output)[0][:, ~NO_DATA]).all()
    assert {name: state for name, state in tree(tmp_path).items() if name in before} == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--unwrap", "skimage"], "--unwrap: found it beside a stack"),
        (["--complex"], "--complex: found it beside a stack"),
        (["--coherence", "coh.tif"], "--coherence: found coh.tif for 3 pairs"),
        (["--strength", "7"], "--strength: found 7.0"),
    ],
)
def test_options_of_one_scene_are_refused(arguments, words, stack, tmp_path):
    stack.write("dolphin")
    status, summary, err = stack(*arguments, "-q")
    assert status == 2 and err.count("\n") == 1 and words in err and not summary and not stack.output.exists()


def test_outputs_that_cannot_be(stack, filtered, tmp_path):
    path = stack.write("dolphin")
    inside = filtered(path, "-o", path / "interferograms" / "out", "-q")
    assert inside.status == 2 and "or lies in it" in inside.err
    assert "expected a folder" in filtered(path, "-o", tmp_path / "out.tif", "-q").err
    assert "found no folder" in filtered(path, "-o", tmp_path / "no" / "out", "-q").err
    path = stack.write("mintpy")
    shutil.copy(path, stack.output)
    before = tree(tmp_path)
    status, _, err = stack("-q")
    assert status == 2 and "exists, expected no such file, or --overwrite" in err and tree(tmp_path) == before
    assert filtered(path, "-o", path, "--overwrite", "-q").status == 2 and tree(tmp_path) == before
    assert stack("--overwrite")[0] == 0 and "mvnetQuality" in h5py.File(stack.output)
