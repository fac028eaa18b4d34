"""One interferogram in every format, windows, nodata, coherence, and the errors of unusable files."""

import pickle

import numpy as np
import pytest
import torch
from affine import Affine

pytest.importorskip("rasterio", reason="needs mvnet[insar]")

from mvnet.data_loaders.insar import DataError, estimate_coherence, open_interferogram
from mvnet.data_loaders.insar.formats.products import coherence_names
from mvnet.data_loaders.insar.simulation import simulate_pair
from tests.data_loaders.insar.files import CRS, NOT_GEOREFERENCED, PHASE_ONLY, TRANSFORM, WRITERS, gamma, mintpy, tiff

SHAPE = (23, 31)


@pytest.fixture(scope="module")
def pair():
    """z complex64 and g float32, with a phase of exactly 0 at (3, 4)."""
    random = np.random.default_rng(0)
    z = (random.standard_normal(SHAPE) + 1j * random.standard_normal(SHAPE)).astype(np.complex64)
    z[3, 4] = 2
    return z, random.uniform(0.05, 0.95, SHAPE).astype(np.float32)


@pytest.mark.parametrize("name", WRITERS)
def test_every_format(name, pair, tmp_path):
    z, g = pair
    write, expected = WRITERS[name]
    image = open_interferogram(write(tmp_path, z, g), layer=1 if name == "MintPy" else None)
    assert (image.format, image.shape) == (expected, SHAPE)
    assert image.kind == ("phase" if name in PHASE_ONLY else "complex")
    if name in NOT_GEOREFERENCED:
        assert image.transform is None or name != "ZNAP"
    else:
        assert image.transform is not None and image.transform.almost_equals(TRANSFORM, 1e-6)
    assert image.coherence is not None, image.messages
    block = image.read()
    truth = z / np.abs(z) if name in PHASE_ONLY else z
    assert block.values.dtype == np.complex64
    inside = np.ones(SHAPE, bool)
    inside[3, 4] = name not in ("ARIA", "MintPy")  # in these products 0 means no data
    assert (block.valid == inside).all()
    np.testing.assert_allclose(block.values[inside], truth[inside], atol=1e-6)
    np.testing.assert_allclose(block.coherence[inside], g[inside], atol=2e-3 if name == "LiCSAR" else 1e-6)

    again = pickle.loads(pickle.dumps(image))
    window = slice(2, 9), slice(5, 31)
    for a, b in zip(again.read(window), block):
        np.testing.assert_array_equal(a, b[window])


def test_crs_is_read(pair, tmp_path):
    for name in ("geotiff", "GAMMA", "NISAR", "ARIA", "MintPy", "NetCDF-4", "Zarr"):
        folder = tmp_path / name
        folder.mkdir()
        image = open_interferogram(WRITERS[name][0](folder, *pair))
        assert image.crs is not None and image.crs.to_string() == CRS, name


def test_stack_by_position_and_dates(pair, tmp_path):
    path = mintpy(tmp_path, *pair)
    by_dates = open_interferogram(path, layer="20200113_20200125")
    np.testing.assert_array_equal(by_dates.read().values, open_interferogram(path, layer=1).read().values)
    assert not open_interferogram(path).read().valid.any()
    with pytest.raises(DataError, match="no pair 20200101_20200125"):
        open_interferogram(path, layer="20200101_20200125")
    with pytest.raises(DataError, match="found 2, expected 0 to 1"):
        open_interferogram(path, layer=2)


def test_gamma_header_and_integers(pair, tmp_path):
    path = gamma(tmp_path, *pair)
    header = tmp_path / "EQA.dem_par"
    moved = header.rename(tmp_path / "elsewhere.txt")
    with pytest.raises(DataError, match="unknown format"):
        open_interferogram(path)
    np.testing.assert_array_equal(open_interferogram(path, header=moved).read().values, pair[0])
    short = np.round(np.stack([pair[0].real, pair[0].imag], -1) * 1000).astype(">i2")
    short.tofile(tmp_path / "s.slc")
    (tmp_path / "s.slc.par").write_text(f"range_samples: {SHAPE[1]}\nazimuth_lines: 23\nimage_format: SCOMPLEX\n")
    values = open_interferogram(tmp_path / "s.slc").read().values
    np.testing.assert_array_equal(values, (short[..., 0] + 1j * short[..., 1]).astype(np.complex64))
    with pytest.raises(DataError, match="no width and length"):
        open_interferogram(tmp_path / "s.slc", header=_text(tmp_path / "w.par", "width: 17\n"))


def _text(path, content):
    path.write_text(content)
    return path


def test_nodata(pair, tmp_path):
    z, _ = pair
    phase = np.angle(z)
    phase[0, :3] = -9999
    phase[1, 0] = np.nan
    declared = open_interferogram(tiff(tmp_path / "a.tif", phase, nodata=-9999))
    lost = np.zeros(SHAPE, bool)
    lost[0, :3] = lost[1, 0] = True
    assert declared.nodata == -9999 and (declared.read().valid == ~lost).all()
    assert (declared.read().values[lost] == 0).all()
    assert declared.read().valid[3, 4]  # phase 0 is data
    given = open_interferogram(tiff(tmp_path / "b.tif", phase), nodata=-9999)
    assert (given.read().valid == ~lost).all()
    zero = open_interferogram(tiff(tmp_path / "c.tif", phase, nodata=0))
    assert not zero.read().valid[3, 4]

    holes = z.copy()
    holes[0, 0], holes[1, 1], holes[2, 2] = 0, np.nan, complex(1, np.inf)
    valid = open_interferogram(tiff(tmp_path / "d.tif", holes)).read().valid
    assert np.argwhere(~valid).tolist() == [[0, 0], [1, 1], [2, 2]]


def test_mask_band_scale_and_band(pair, tmp_path):
    import rasterio

    phase = np.angle(pair[0])
    path = tiff(tmp_path / "a.tif", np.stack([phase * 0 + 7, phase / 2]))
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (1, 2), (0, 0)
        mask = np.full(SHAPE, 255, np.uint8)
        mask[5, 6] = 0
        file.write_mask(mask)
    block = open_interferogram(path, layer=2).read()
    assert np.argwhere(~block.valid).tolist() == [[5, 6]]
    np.testing.assert_allclose(np.angle(block.values)[block.valid], phase[block.valid], atol=1e-6)


def test_unwrapped_phase_is_wrapped_when_read(tmp_path):
    phase = np.linspace(0, 90, 23 * 31).reshape(SHAPE)
    values = open_interferogram(tiff(tmp_path / "a.tif", phase)).read(with_coherence=False).values
    np.testing.assert_allclose(values, np.exp(1j * phase), atol=1e-6)


@pytest.mark.parametrize(("coherence", "looks"), [(0.9, 1), (0.7, 1), (0.5, 4), (0.8, 4)])
def test_estimated_coherence(coherence, looks, generator):
    y, x = torch.meshgrid(torch.arange(90.0), torch.arange(90.0), indexing="ij")
    flat = simulate_pair(torch.zeros(90, 90), coherence, looks, generator).interferogram
    ramp = flat * torch.polar(torch.ones_like(x), 1.3 * x - 0.7 * y)
    found = [estimate_coherence(z, 5, looks=looks)[5:-5, 5:-5].mean().item() for z in (flat, ramp)]
    assert found[0] == pytest.approx(coherence, abs=0.05)
    assert found[1] == pytest.approx(found[0], abs=1e-3)  # fringes do not matter


def test_estimate_does_not_depend_on_the_window(pair, tmp_path):
    image = open_interferogram(tiff(tmp_path / "a.tif", pair[0]))
    assert image.coherence is None and "estimated" in image.messages[-1]
    whole = image.read()
    for window in ((slice(0, 5), slice(7, 20)), (slice(9, 23), slice(30, 31))):
        np.testing.assert_allclose(image.read(window).coherence, whole.coherence[window], atol=1e-5)
    assert estimate_coherence(torch.full((9, 9), torch.nan + 0j)).eq(0).all()


@pytest.mark.parametrize(
    ("name", "partner"),
    [
        ("filt_fine.int", "filt_fine.cor"),
        ("filt_topophase.flat", "phsig.cor"),
        ("phasefilt.grd", "corr.grd"),
        ("20200101_20200113.diff", "20200101_20200113.cc"),
        ("20200101_20200113.adf.diff", "20200101_20200113.adf.cc"),
        ("A_VV_8rlks_eqa_unw.tif", "A_VV_8rlks_flat_eqa_cc.tif"),
        ("20200101_20200113.geo.unw.tif", "20200101_20200113.geo.cc.tif"),
    ],
)
def test_names_of_the_coherence(name, partner):
    assert partner in coherence_names(name)


def _truncated(folder, z, g):
    path = tiff(folder / "a.tif", np.tile(z, (20, 20)))
    path.write_bytes(path.read_bytes()[:100_000])
    return path


def _truncated_compressed(folder, z, g):
    path = tiff(folder / "a.tif", np.tile(z, (20, 20)), tiled=True, compress="deflate")
    path.write_bytes(path.read_bytes()[:-2000])
    return path


def _truncated_isce(folder, z, g):
    path = WRITERS["ISCE2"][0](folder, z, g)
    path.write_bytes(path.read_bytes()[:-100])
    return path


def _truncated_hdf5(folder, z, g):
    path = WRITERS["NISAR"][0](folder, z, g)
    path.write_bytes(path.read_bytes()[:3000])
    return path


def _bytes(content):
    def write(folder, z, g):
        (folder / "a.bin").write_bytes(content)
        return folder / "a.bin"

    return write


def _uavsar(folder, z, g):
    (folder / "site.ann").write_text("a = b\n")
    z.tofile(folder / "site.int")
    return folder / "site.int"


BAD = {
    "missing": (lambda d, z, g: d / "none.tif", {}, "no such file"),
    "empty": (_bytes(b""), {}, "empty"),
    "text": (_bytes(b"hello world\n"), {}, "unknown format"),
    "truncated": (_truncated, {}, "truncated"),
    "truncated compressed": (_truncated_compressed, {}, "truncated"),
    "truncated ISCE": (_truncated_isce, {}, "truncated"),
    "truncated HDF5": (_truncated_hdf5, {}, "truncated|cannot be read|unknown format"),
    "damaged TIFF": (_bytes(b"II*\0" + bytes(40)), {}, "cannot be read as a raster"),
    "integers": (lambda d, z, g: tiff(d / "a.tif", g.astype(np.int16)), {}, "complex numbers or phases"),
    "format": (WRITERS["geotiff"][0], {"format": "jpeg"}, "format: found 'jpeg'"),
    "band": (WRITERS["geotiff"][0], {"layer": 3}, "expected 1 to 1"),
    "dataset": (WRITERS["NISAR"][0], {"layer": "VV"}, "expected 'VV'"),
    "looks": (WRITERS["geotiff"][0], {"looks": 0}, "looks"),
    "window": (WRITERS["geotiff"][0], {"window": 4}, "window"),
    "header": (WRITERS["GAMMA"][0], {"header": "none.par"}, "no such file"),
    "no header in ENVI": (lambda d, z, g: _text(d / "a.hdr", "ENVI\n"), {}, "found no data file of this header"),
    "no bands": (
        lambda d, z, g: _text(d / "a.dim", "<a/>"),
        {"format": "beam-dimap"},
        r"found no \*\.img, expected the bands",
    ),
    "no GAMMA header": (_bytes(bytes(64)), {"format": "gamma"}, "header: found none beside"),
    "no raw shape": (_bytes(bytes(64)), {"format": "raw"}, "shape: found none"),
    "UAVSAR elsewhere": (_bytes(bytes(64)), {"format": "uavsar"}, "found no annotation file or another name"),
    "UAVSAR without size": (_uavsar, {}, "found no lines and samples"),
    "band 0": (WRITERS["geotiff"][0], {"layer": 0}, "expected 1 to 1"),
    "empty folder": (lambda d, z, g: d, {}, "found a folder of no known product, empty"),
}


@pytest.mark.parametrize("name", BAD)
def test_unusable_files_give_one_line(name, pair, tmp_path):
    write, options, message = BAD[name]
    with pytest.raises(DataError, match=message) as caught:
        open_interferogram(write(tmp_path, *pair), **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


MOVED = Affine(TRANSFORM.a, 0, TRANSFORM.c + 50 * TRANSFORM.a, 0, TRANSFORM.e, TRANSFORM.f)
FLAT = Affine(TRANSFORM.a, 0, TRANSFORM.c, 0, 0, TRANSFORM.f)
PARTNERS = {
    "missing": (lambda d, g: d / "none.tif", "no such file"),
    "shape": (lambda d, g: tiff(d / "c.tif", g[:-1], crs=None, transform=None), r"shape \(22, 31\)"),
    "CRS": (lambda d, g: tiff(d / "c.tif", g, crs="EPSG:32633"), "EPSG:32633"),
    "place": (
        lambda d, g: tiff(d / "c.tif", g, transform=MOVED),
        "50 pixels away",
    ),
    "complex": (lambda d, g: tiff(d / "c.tif", g.astype(np.complex64)), "complex"),
    "no extent": (
        lambda d, g: tiff(d / "c.tif", g, transform=FLAT),
        "pixels without extent|expected pixels with sides",
    ),
}


@pytest.mark.parametrize("name", PARTNERS)
def test_unusable_coherence_gives_one_line(name, pair, tmp_path):
    write, message = PARTNERS[name]
    path = tiff(tmp_path / "a.tif", pair[0])
    with pytest.raises(DataError, match=message) as caught:
        open_interferogram(path, write(tmp_path, pair[1]))
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_named(pair, tmp_path, monkeypatch):
    import sys

    path = tiff(tmp_path / "a.tif", pair[0])
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(DataError, match="pip install 'rasterio"):
        open_interferogram(path)


def test_windows_outside(pair, tmp_path):
    image = open_interferogram(tiff(tmp_path / "a.tif", pair[0]))
    for window in ((slice(0, 24), slice(0, 3)), (slice(4, 4), slice(0, 3)), (slice(0, 4, 2), slice(0, 3))):
        with pytest.raises(DataError, match="window"):
            image.read(window)
