"""Several bands in one file: told apart by names, conventions and values, said, or refused with a list."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")

from mvnet.data_loaders.insar import DataError, open_interferogram
from mvnet.data_loaders.insar.formats.products import imaginary_names, names_slc, role_of
from tests.data_loaders.insar.files import tiff
from tests.data_loaders.insar.scene import SHAPE, deviation, fringes, names, smooth

Z, PHASE = fringes()
UNIT = Z / np.abs(Z)
T, A, G, C = np.angle(Z), np.abs(Z), smooth(), np.full(SHAPE, 0.8, np.float32)
HOLE = np.s_[:, :30]


def without(values: np.ndarray, fill: float = 0) -> np.ndarray:
    lost = values.copy()
    lost[HOLE] = fill
    return lost


def whole(values: np.ndarray) -> np.ndarray:
    return np.round(values * 1000).astype(np.int16)


VALUES = {
    "phase, coherence": ([T, G], UNIT, "band 1 of 2, wrapped phase", "band 2"),
    "coherence, phase": ([G, T], UNIT, "band 2 of 2, wrapped phase", "band 1"),
    "coherence, intensity, phase": ([C, A**2, T], UNIT, "band 3 of 3", "band 1"),
    "amplitude, phase in 0 to 2 pi": ([A, T % (2 * np.pi)], UNIT, "band 2 of 2", None),
    "amplitude, unwrapped": ([A, PHASE], np.exp(1j * PHASE), "band 2 of 2", None),
    "unwrapped, amplitude": ([PHASE, A], np.exp(1j * PHASE), "band 1 of 2", None),
    "coherence, unwrapped": ([G, PHASE], np.exp(1j * PHASE), "band 2 of 2", "band 1"),
    "wrapped, unwrapped, coherence, components": ([T, PHASE, G, (PHASE > 9) * 1.0], UNIT, "band 1 of 4", "band 3"),
    "real, imaginary": ([Z.real, Z.imag], UNIT, "bands 1 and 2 of 2, real and imaginary by their values", None),
    "coherence, real, imaginary": ([G, Z.real, Z.imag], UNIT, "bands 2 and 3 of 3", "band 1"),
    "of unit modulus": ([UNIT.real, UNIT.imag], UNIT, "bands 1 and 2 of 2", None),
    "float64": ([Z.real.astype(float), Z.imag.astype(float)], UNIT, "bands 1 and 2", None),
}


@pytest.mark.parametrize("case", VALUES)
def test_bands_without_names(case, tmp_path):
    bands, truth, said, partner = VALUES[case]
    image = open_interferogram(tiff(tmp_path / "a.tif", np.stack(bands)))
    assert deviation(image, truth) < 1e-5
    assert said in image.messages[0]
    assert (image.coherence is None) == (partner is None) and (partner or "") in image.messages[1]


PAIRS = {
    "int16": (whole(Z.real), whole(Z.imag), {}, 1.0),
    "int16, 0 declared": (whole(without(Z.real)), whole(without(Z.imag)), {"nodata": 0}, 0.75),
    "-9999 declared": (without(Z.real, -9999), without(Z.imag, -9999), {"nodata": -9999}, 0.75),
    "-9999 not declared": (without(Z.real, -9999), without(Z.imag, -9999), {}, 0.75),
    "NaN": (without(Z.real, np.nan), without(Z.imag, np.nan), {}, 0.75),
    "0 where empty": (without(Z.real), without(Z.imag), {}, 0.75),
}


@pytest.mark.parametrize("case", PAIRS)
def test_nodata_of_real_and_imaginary(case, tmp_path):
    real, imaginary, profile, share = PAIRS[case]
    image = open_interferogram(tiff(tmp_path / "a.tif", np.stack([real, imaginary]), **profile))
    assert image.kind == "complex"
    valid = image.read(with_coherence=False).valid
    assert valid.mean() == pytest.approx(share, abs=1e-3)  # a few integers round to 0
    assert np.median(np.abs(np.angle(image.read(with_coherence=False).values * UNIT.conj()))[valid]) < 1e-3


NAMED = {
    "SNAP": (
        [Z.real, Z.imag, C],
        ("i_ifg_VV_01Jan2020_13Jan2020", "q_ifg_VV_01Jan2020_13Jan2020", "coh_VV_01Jan2020_13Jan2020"),
        None,
        UNIT,
        "coh_VV",
    ),
    "in another order": ([C, Z.imag, Z.real], ("coh_VV", "q_ifg_VV", "i_ifg_VV"), None, UNIT, "coh_VV"),
    "of two polarisations the first": (
        [Z.real, Z.imag, C, Z.imag, Z.real, G],
        ("i_ifg_VV", "q_ifg_VV", "coh_VV", "i_ifg_VH", "q_ifg_VH", "coh_VH"),
        None,
        UNIT,
        "coh_VV",
    ),
    "of two polarisations one": (
        [Z.real, Z.imag, C, Z.real, -Z.imag, G],
        ("i_ifg_VV", "q_ifg_VV", "coh_VV", "i_ifg_VH", "q_ifg_VH", "coh_VH"),
        "VH",
        UNIT.conj(),
        "coh_VH",
    ),
    "real": ([Z.real, Z.imag], ("Real", "Imaginary"), None, UNIT, None),
    "flat real": ([Z.real * 0 + 1, Z.imag * 0], ("ifg_real", "ifg_imag"), None, np.ones(SHAPE, complex), None),
    "HyP3": ([PHASE, T, G], ("unw_phase", "wrapped_phase", "corr"), None, UNIT, "corr"),
    "unwrapped asked": ([PHASE, T, G], ("unw_phase", "wrapped_phase", "corr"), "unw", np.exp(1j * PHASE), "corr"),
    "by number": ([PHASE, T, G], ("unw_phase", "wrapped_phase", "corr"), 1, np.exp(1j * PHASE), "corr"),
    "by date": ([T, -T], ("ifg_20200101", "ifg_20200113"), "20200113", UNIT.conj(), None),
    "part of a pair": ([Z.real, Z.imag], ("i_ifg", "q_ifg"), "1", UNIT, None),
    "as asked": ([Z.real, Z.imag, G, A], (), "1+2", UNIT, None),
    "six bands, one named": ([C, A**2, T, G, A**2, -T], (), "6", UNIT.conj(), "band 4"),
}


@pytest.mark.parametrize("case", NAMED)
def test_bands_by_name(case, tmp_path):
    bands, called, layer, truth, partner = NAMED[case]
    path = tiff(tmp_path / "a.tif", np.stack(bands).astype(np.float32))
    image = open_interferogram(names(path, descriptions=called) if called else path, layer=layer)
    assert deviation(image, truth) < 1e-5
    assert (partner or "estimated") in image.messages[1]


@pytest.mark.parametrize(("driver", "name"), [("ISCE", "filt_topophase.unw"), ("ROI_PAC", "geo_1-2.unw")])
@pytest.mark.parametrize("amplitude", [A, A * 0])
def test_second_band_of_unw_is_the_phase(driver, name, amplitude, tmp_path):
    more = {"interleave": "line"} if driver == "ROI_PAC" else {}
    bands = np.stack([without(amplitude), without(PHASE)])
    image = open_interferogram(tiff(tmp_path / name, bands, driver, **more))
    block = image.read(with_coherence=False)
    assert not block.valid[HOLE].any() and block.valid.mean() == pytest.approx(0.75, abs=1e-3)
    assert deviation(image, np.exp(1j * PHASE)) < 1e-5
    assert "band 2 of 2, unwrapped phase by the convention" in image.messages[0]


def test_a_cor_file_is_no_interferogram_but_a_coherence(tmp_path):
    path = tiff(tmp_path / "x.cor", np.stack([A, G]), "ISCE")
    with pytest.raises(DataError, match="2 bands"):
        open_interferogram(path)
    image = open_interferogram(tiff(tmp_path / "x.tif", Z), path)
    np.testing.assert_array_equal(image.read().coherence, G)


def test_scales_of_bands(tmp_path):
    stack = np.stack([whole(A), np.round(T * 1e4).astype(np.int16)])
    image = open_interferogram(names(tiff(tmp_path / "a.tif", stack), scales=(1e-3, 1e-4)))
    assert deviation(image, UNIT) < 1e-4
    alone = np.round(without(T, -3.2768) * 1e4).astype(np.int16)
    path = names(tiff(tmp_path / "b.tif", alone, nodata=-32768), scales=(1e-4,))
    declared = open_interferogram(path)
    assert not declared.read(with_coherence=False).valid[HOLE].any() and deviation(declared, UNIT) < 1e-4
    path = names(tiff(tmp_path / "c.tif", alone), scales=(1e-4,))
    np.testing.assert_array_equal(open_interferogram(path, nodata=-32768).read().valid, declared.read().valid)


REFUSED = {
    "six bands of two interferograms": ([C, A**2, T, C, A**2, T], (), None, "6 bands.*4: coherence 0.8.*--layer"),
    "phases": ([T, -T], (), None, "2 bands"),
    "flat real and imaginary": ([*(lambda z: (z.real, z.imag))(fringes(slope=0.01)[0])], (), None, "--layer N or N"),
    "amplitude and coherence": ([A, G], (), None, "amplitude"),
    "two displacements": ([smooth(2) - 0.6, smooth(3) - 0.6], (), None, "2 bands"),
    "complex": ([Z, Z], (), None, "complex bands"),
    "two single images": (
        [Z.real, Z.imag, Z.real, Z.imag],
        ("i_VV_mst_01Jan2020", "q_VV_mst_01Jan2020", "i_VV_slv1_13Jan2020", "q_VV_slv1_13Jan2020"),
        None,
        "SLC",
    ),
    "no such name": ([T, G], ("phase", "coh"), "VH", "'VH'"),
    "no such number": ([T, G], (), 3, "expected 1 to 2"),
    "only a coherence": ([G], ("coherence",), None, "expected an interferogram"),
    "only a real part": ([Z.real], ("i_ifg_VV",), None, "expected an interferogram"),
    "a picture": ([np.full(SHAPE, k, np.uint8) for k in range(3)], (), None, "3 bands"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_told_is_refused(case, tmp_path):
    bands, called, layer, message = REFUSED[case]
    path = tiff(tmp_path / "a.tif", np.stack(bands))
    with pytest.raises(DataError, match=message) as caught:
        open_interferogram(names(path, descriptions=called) if called else path, layer=layer)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("i_ifg_VV", "real"),
        ("q_ifg_VV", "imaginary"),
        ("coherenceMagnitude", "coherence"),
        ("Intensity_ifg_VV", "amplitude"),
        ("connectedComponents", "other"),
        ("unwrappedPhase", "unwrapped phase"),
        ("corrected_phase", "wrapped phase"),
        ("ramp_removed_phase", "wrapped phase"),
        ("incidence_angle", "other"),
        ("band_1", None),
    ],
)
def test_roles_of_names(name, role):
    assert role_of(name) == role


def test_names_that_belong_together():
    assert imaginary_names("i_VV") == ["q_vv"] and "ifg_imag" in imaginary_names("ifg_real")
    assert imaginary_names("intensity") == [] and imaginary_names("imag") == []
    assert all(names_slc(name) for name in ("slcStack.h5", "20200101.slc.tif", "science/LSAR/RSLC/x", "i_VV_mst_1"))
    assert not any(names_slc(name) for name in ("filt_fine.int", "ifgramStack.h5", "slcan.tif"))
