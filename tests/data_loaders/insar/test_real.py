"""Real Sentinel-1 interferograms; skipped without MVNET_DATA."""

import numpy as np
import pytest
import torch

pytest.importorskip("rasterio", reason="needs mvnet[insar]")
import rasterio

from mvnet.data_loaders.insar import estimate_coherence, open_interferogram, open_outputs


@pytest.fixture(scope="module")
def eo_tools(data_root):
    return open_interferogram(data_root / "insar/eo_tools/phi_vv.tif", looks=4)


def test_sentinel_1_pair_finds_its_coherence(eo_tools):
    assert (eo_tools.kind, eo_tools.shape, eo_tools.nodata) == ("phase", (552, 673), -9999)
    assert eo_tools.crs.to_epsg() == 4326 and eo_tools.messages[1] == "coherence: coh_vv.tif, geotiff"
    block = eo_tools.read()
    assert (~block.valid).sum() == 62965
    assert np.percentile(block.coherence[block.valid], [10, 50, 90]) == pytest.approx([0.57, 0.81, 0.93], abs=0.01)
    assert np.abs(np.abs(block.values[block.valid]) - 1).max() < 1e-6


def test_estimated_coherence_agrees_with_the_processor(eo_tools):
    block = eo_tools.read((slice(100, 400), slice(100, 600)))
    estimate = estimate_coherence(torch.from_numpy(block.values), 7, torch.from_numpy(block.valid), looks=4).numpy()
    assert np.corrcoef(estimate[block.valid], block.coherence[block.valid])[0, 1] > 0.4


def test_round_trip_leaves_the_file_as_it_was(eo_tools, tmp_path):
    with open_outputs(tmp_path / "out.tif", eo_tools, maps=(), block=256) as out:
        for window in out.pending():
            out.write(window, eo_tools.read_stored(window), eo_tools.read(window).valid)
    with rasterio.open(eo_tools.path) as a, rasterio.open(tmp_path / "out.tif") as b:
        np.testing.assert_array_equal(a.read(1).view(np.uint32), b.read(1).view(np.uint32))
        for name in ("crs", "transform", "nodata", "bounds", "shape", "dtypes", "colorinterp"):
            assert getattr(a, name) == getattr(b, name), name
        assert a.tags() == b.tags()


def test_gamma_through_pyrate(data_root):
    folder = data_root / "insar/pyrate"
    image = open_interferogram(folder / "cropA_20180106-20180130_VV_8rlks_eqa_unw.tif")
    assert image.coherence is not None and image.nodata == 0
    block = image.read()
    assert (~block.valid).sum() == 102 and 0 < np.nanmean(block.coherence) < 1
    large = open_interferogram(folder / "20180106-20180130_ifg.tif")
    assert large.coherence is None and large.read().valid.any()


def test_interferogram_of_two_images(data_root, tmp_path):
    folder = data_root / "insar/sarxarray"
    parts = {
        (part, day): np.fromfile(folder / f"{part}_VV_{day}Mar2023.f4be", dtype=">f4").reshape(84, 338)
        for part in "iq"
        for day in (19, 31)
    }
    one, other = (parts["i", day] + 1j * parts["q", day] for day in (19, 31))
    z = one * other.conj()
    z.astype(">c8").tofile(tmp_path / "20230319_20230331.diff")
    (tmp_path / "20230319_20230331.off").write_text("interferogram_width: 338\ninterferogram_azimuth_lines: 84\n")
    image = open_interferogram(tmp_path / "20230319_20230331.diff")
    assert (image.format, image.shape) == ("gamma", (84, 338))
    np.testing.assert_array_equal(image.read().values, z.astype(np.complex64))
