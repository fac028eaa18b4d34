"""Written interferograms keep what the input had, and a killed run goes on where it stopped."""

import multiprocessing
import os
import time

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS as CRSClass
from rasterio.rpc import RPC

from mvnet.data_loaders.insar import DataError, open_interferogram, open_outputs
from tests.data_loaders.insar.files import CRS, TRANSFORM, WRITERS, tiff

SHAPE = (70, 90)


@pytest.fixture
def phase():
    phase = np.random.default_rng(1).uniform(-np.pi, np.pi, SHAPE).astype(np.float32)
    phase[10:20, 30:50] = -9999
    phase[40, 41] = 0
    return phase


def copy(image, path, windows=None, **options):
    """Write the interferogram as it is."""
    with open_outputs(path, image, **{"block": 32, **options}) as out:
        for window in out.pending():
            block = image.read(window)
            values = image.read_stored(window) if options.get("kind", "phase") == image.kind else block.values
            out.write(window, values, block.valid, quality=block.coherence)
    return path


def test_phase_round_trip_is_exact(phase, tmp_path):
    source = tiff(tmp_path / "in.tif", phase, nodata=-9999)
    with rasterio.open(source, "r+") as file:
        file.update_tags(PROCESSOR="test", STATISTICS_MEAN="1")
        file.update_tags(ns="ORBIT", pass_="ascending")
        file.update_tags(1, wavelength="0.055")
    image = open_interferogram(source)
    copy(image, tmp_path / "out.tif", tags={"MVNET_STRENGTH": "0"})
    with rasterio.open(source) as a, rasterio.open(tmp_path / "out.tif") as b:
        np.testing.assert_array_equal(a.read(1), b.read(1))
        assert (a.crs, a.transform, a.nodata, a.bounds) == (b.crs, b.transform, b.nodata, b.bounds)
        assert b.dtypes == ("float32",) and b.units == ("radian",)
        assert b.tags() == {"AREA_OR_POINT": "Area", "PROCESSOR": "test", "MVNET_STRENGTH": "0"}
        assert b.tags(ns="ORBIT") == {"pass_": "ascending"} and b.tags(1)["wavelength"] == "0.055"
        assert b.profile["tiled"] and b.profile["blockxsize"] == 32
    assert (tmp_path / "out.tif").read_bytes()[:4] == b"II+\0"  # BigTIFF
    with rasterio.open(tmp_path / "out_mask.tif") as mask, rasterio.open(tmp_path / "out_quality.tif") as quality:
        np.testing.assert_array_equal(mask.read(1), phase != -9999)
        np.testing.assert_array_equal(np.isnan(quality.read(1)), phase == -9999)
        assert quality.transform == TRANSFORM and mask.crs.to_string() == CRS
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.tif", "out.tif", "out_mask.tif", "out_quality.tif"]


@pytest.mark.parametrize("kind", ["phase", "complex"])
def test_overviews_hold_pixels_and_no_means(kind, tmp_path):
    """A Cloud Optimized GeoTIFF; of phases that jump from pi to -pi every overview shows those alone."""
    phase = np.where(np.indices((150, 140)).sum(0) % 2, 3.1, -3.1).astype(np.float32)
    phase[:, 100:] = np.nan
    copy(open_interferogram(tiff(tmp_path / "in.tif", phase)), tmp_path / "out.tif", kind=kind)
    for name in ("out.tif", "out_quality.tif", "out_mask.tif"):
        with rasterio.open(tmp_path / name) as file:
            assert file.overviews(1)[0] == 2 and file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    with rasterio.open(tmp_path / "out.tif", overview_level=0) as file:
        smaller = file.read(1)
    assert smaller.shape == (75, 70)
    angles = np.angle(smaller[smaller != 0]) if kind == "complex" else smaller[np.isfinite(smaller)]
    assert angles.size > 3000 and np.abs(angles) == pytest.approx(3.1, abs=1e-5)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_metadata_that_such_a_file_cannot_hold_makes_it_an_ordinary_one(phase, tmp_path):
    source = tiff(tmp_path / "in.tif", phase, nodata=-9999)
    with rasterio.open(source, "r+") as file:
        file.update_tags(ns="ORBIT", pass_="ascending")
    copy(open_interferogram(source), tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as file:
        assert file.overviews(1) == [2, 4] and "LAYOUT" not in file.tags(ns="IMAGE_STRUCTURE")


def test_complex_in_and_out(phase, tmp_path):
    z = np.where(phase == -9999, 0, 3 * np.exp(1j * phase)).astype(np.complex64)
    z[0, 0] = np.nan
    image = open_interferogram(tiff(tmp_path / "in.tif", z))
    copy(image, tmp_path / "complex.tif", kind="complex")
    copy(image, tmp_path / "phase.tif")
    with rasterio.open(tmp_path / "complex.tif") as file:
        out = file.read(1)
        assert file.dtypes == ("complex64",)
    z[0, 0] = 0
    np.testing.assert_array_equal(out, z)
    with rasterio.open(tmp_path / "phase.tif") as file:
        angle = file.read(1)
        assert np.isnan(file.nodata)
    np.testing.assert_array_equal(np.isnan(angle), z == 0)
    np.testing.assert_allclose(angle[z != 0], phase[z != 0], atol=1e-6)


def test_data_equal_to_nodata_stay_data(phase, tmp_path):
    image = open_interferogram(tiff(tmp_path / "in.tif", phase, nodata=0))
    with open_outputs(tmp_path / "out.tif", image, maps=(), block=128) as out:
        (window,) = out.pending()
        valid = np.ones(SHAPE, bool)
        valid[0, 0] = False
        out.write(window, np.ones(SHAPE, np.complex64), valid)
    with rasterio.open(tmp_path / "out.tif") as file:
        values = file.read(1)
    assert np.argwhere(values == 0).tolist() == [[0, 0]] and np.abs(values).max() < 2e-6


def test_control_points_and_rational_polynomials_survive(phase, tmp_path):
    source = tiff(tmp_path / "in.tif", phase, crs=None, transform=None)
    points = [GroundControlPoint(row, col, 10 + col, 45 - row) for row, col in ((0, 0), (0, 90), (70, 0), (70, 90))]
    ones = [1.0] + [0.0] * 19
    rpc = RPC(0, 100, 45, 1, ones, ones, 35, 35, 10, 1, ones, ones, 45, 45, None, None)  # pyright: ignore[reportCallIssue]
    with rasterio.open(source, "r+") as file:
        file.gcps = (points, CRSClass.from_epsg(4326))
        file.rpcs = rpc
    copy(open_interferogram(source), tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as file:
        assert [(p.row, p.col, p.x, p.y) for p in file.gcps[0]] == [(p.row, p.col, p.x, p.y) for p in points]
        assert file.rpcs is not None and file.rpcs.line_off == 35


@pytest.mark.parametrize("name", ["ISCE2", "GAMMA", "NISAR", "Zarr"])
def test_other_formats_come_out_georeferenced(name, phase, tmp_path):
    z, g = np.exp(1j * phase).astype(np.complex64), np.full(SHAPE, 0.5, np.float32)
    image = open_interferogram(WRITERS[name][0](tmp_path, z, g), nodata="none")
    copy(image, tmp_path / "out.tif", kind="complex", block=64)
    with rasterio.open(tmp_path / "out.tif") as file:
        np.testing.assert_array_equal(file.read(1), z)
        assert name == "ISCE2" or (file.transform.almost_equals(TRANSFORM, 1e-9) and file.crs.to_string() == CRS)


def test_an_interrupted_run_goes_on(phase, tmp_path):
    image = open_interferogram(tiff(tmp_path / "in.tif", phase, nodata=-9999))
    job = {"strength": 1}
    with pytest.raises(KeyboardInterrupt), open_outputs(tmp_path / "out.tif", image, block=32, job=job, maps=()) as out:
        for window in out.pending()[:4]:
            out.write(window, image.read_stored(window), image.read(window, with_coherence=False).valid)
        raise KeyboardInterrupt
    partial = tmp_path / ".out.tif.partial"
    assert partial.is_dir() and not (tmp_path / "out.tif").exists()
    with open(partial / "done.txt", "a") as file:
        file.write("2 ")  # torn by the kill
    with open_outputs(tmp_path / "out.tif", image, block=32, job=job, maps=()) as out:
        assert out.resumed and (len(out.windows()), len(out.pending())) == (9, 5)
        for window in out.pending():
            out.write(window, image.read_stored(window), image.read(window, with_coherence=False).valid)
    with rasterio.open(tmp_path / "out.tif") as file:
        np.testing.assert_array_equal(file.read(1), phase)
    assert not partial.exists()


def test_another_job_or_input_starts_anew(phase, tmp_path):
    source = tiff(tmp_path / "in.tif", phase, nodata=-9999)
    image = open_interferogram(source)

    def begin(**job):
        out = open_outputs(tmp_path / "out.tif", image, block=32, maps=(), job=job)
        found = len(out.pending()), out.resumed
        if found[0] == 9:
            out.write(out.pending()[0], phase[:32, :32], np.ones((32, 32), bool))
        out._store.close()
        return found

    assert begin(strength=1) == (9, False)
    assert begin(strength=1) == (8, True)
    assert begin(strength=0.5) == (9, False)
    os.utime(source, ns=(1, 1))
    assert begin(strength=0.5) == (9, False)


def write_slowly(source, target):
    image = open_interferogram(source)
    with open_outputs(target, image, block=16, maps=()) as out:
        for window in out.pending():
            out.write(window, image.read_stored(window), image.read(window, with_coherence=False).valid)
            time.sleep(0.1)


def test_a_killed_run_goes_on(phase, tmp_path):
    source = tiff(tmp_path / "in.tif", phase, nodata=-9999)
    process = multiprocessing.get_context("spawn").Process(target=write_slowly, args=(source, tmp_path / "out.tif"))
    process.start()
    done = tmp_path / ".out.tif.partial" / "done.txt"
    while process.is_alive() and (not done.is_file() or len(done.read_text().splitlines()) < 4):
        time.sleep(0.01)
    with pytest.raises(DataError, match="another run"):
        open_outputs(tmp_path / "out.tif", open_interferogram(source), block=16, maps=())
    process.kill()
    process.join()
    out = open_outputs(tmp_path / "out.tif", open_interferogram(source), block=16, maps=())
    left = len(out.pending())
    assert 0 < left <= 30 - 4
    with out:
        for window in out.pending():
            out.write(window, phase[window], phase[window] != -9999)
    with rasterio.open(tmp_path / "out.tif") as file:
        np.testing.assert_array_equal(file.read(1), phase)


BAD = {
    "suffix": ("out.png", {}, "ending in .tif"),
    "folder": ("no/out.tif", {}, "no such folder"),
    "input": ("in.tif", {}, "is an input"),
    "exists": ("old.tif", {}, "--overwrite"),
    "kind": ("out.tif", {"kind": "real"}, "kind"),
    "block": ("out.tif", {"block": 100}, "multiple of 16"),
}


@pytest.mark.parametrize("name", BAD)
def test_unusable_outputs_give_one_line(name, phase, tmp_path):
    image = open_interferogram(tiff(tmp_path / "in.tif", phase))
    (tmp_path / "old.tif").write_text("precious")
    target, options, message = BAD[name]
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match=message):
        open_outputs(tmp_path / target, image, **options)
    assert sorted(tmp_path.iterdir()) == before


def test_missing_blocks_and_wrong_arrays(phase, tmp_path):
    image = open_interferogram(tiff(tmp_path / "in.tif", phase))
    out = open_outputs(tmp_path / "out.tif", image, block=64)
    first = out.windows()[0]
    ones = np.ones((64, 64), np.float32)
    with pytest.raises(DataError, match="4 of 4 blocks"):
        out.commit()
    with pytest.raises(ValueError, match="maps"):
        out.write(first, ones, ones > 0)
    with pytest.raises(ValueError, match="expected"):
        out.write(first, ones[1:], ones[1:] > 0, quality=ones[1:])
    with pytest.raises(ValueError, match="window"):
        out.write((slice(1, 65), slice(0, 64)), ones, ones > 0, quality=ones)
    out.discard()
    assert [p.name for p in tmp_path.iterdir()] == ["in.tif"]


def test_overwrite_replaces_at_the_end(phase, tmp_path):
    image = open_interferogram(tiff(tmp_path / "in.tif", phase))
    (tmp_path / "out.tif").write_text("old")
    with open_outputs(tmp_path / "out.tif", image, block=128, maps=(), overwrite=True) as out:
        out.write(out.pending()[0], phase, phase > -10)
        assert (tmp_path / "out.tif").read_text() == "old"
    with rasterio.open(tmp_path / "out.tif") as file:
        assert file.shape == SHAPE
