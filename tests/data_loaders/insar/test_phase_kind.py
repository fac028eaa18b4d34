"""What values are: phases in radians or in other units, coherences, amplitudes; fringes or none; missing parts."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")
import rasterio

from mvnet.data_loaders.insar import DataError, open_interferogram
from mvnet.data_loaders.insar.phase_kind import check_phase, has_fringes
from mvnet.data_loaders.insar.value_kinds import gather, is_complex, kind_of
from tests.data_loaders.insar.files import tiff
from tests.data_loaders.insar.scene import SHAPE, deviation, fringes, names, normal, smooth

Z, PHASE = fringes()
T, UNIT, G = np.angle(Z), Z / np.abs(Z), smooth()
RAMP = np.linspace(0, 0.9, Z.size).reshape(SHAPE)

KINDS = {
    "wrapped phase": [T, T % (2 * np.pi), np.angle(fringes(0.3)[0]), np.angle(fringes(0.95, 0.5)[0])],
    "unwrapped phase": [PHASE, PHASE + 100, PHASE - 12, PHASE + np.angle(Z * np.exp(-1j * PHASE))],
    "phase": [0.5 * T * np.sign(T), PHASE / 20 - 1],
    "coherence": [G, G.clip(0.3)],
    "amplitude": [np.abs(Z), np.abs(Z) ** 2, 1000 * np.abs(Z)],
    "noise": [Z.real, 1000 * Z.real, normal(SHAPE, np.random.default_rng(0)).real * 100],
    "labels": [(PHASE > 9) * 1.0, np.floor(PHASE)],
    "constant": [np.ones(SHAPE)],
    "empty": [np.full(SHAPE, np.nan), np.full(SHAPE, -9999.0)],
    "phase of another unit": [T / (2 * np.pi), T / (2 * np.pi) % 1, np.degrees(T), np.degrees(T) % 360, T / np.pi],
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_values(kind):
    assert [kind_of(gather([values])) for values in KINDS[kind]] == [kind] * len(KINDS[kind])


def test_parts_of_complex_numbers():
    assert is_complex([Z.real], [Z.imag]) and is_complex([np.cos(PHASE)], [np.sin(PHASE)])
    assert not is_complex([PHASE], [PHASE]) and not is_complex([np.abs(Z)], [T]) and not is_complex([Z.real], [G])
    assert not is_complex([smooth(2) - 0.6], [smooth(3) - 0.6]) and not is_complex([Z.real], [10 * Z.imag])
    assert not is_complex([Z.real], [Z.real + 0.1 * Z.imag])


READ = {
    "0 to 2 pi": (T % (2 * np.pi), "", []),
    "constant": (T * 0 + 0.3, "", []),
    "ramp": (RAMP, "", []),
    "unwrapped": (PHASE, "", ["unwrapped"]),
    "cycles": (T / (2 * np.pi), "cycles", []),
    "degrees": (np.degrees(T), "degree", []),
    "unwrapped in degrees": (np.degrees(PHASE), "deg", ["unwrapped"]),
    "small, but declared": (0.2 * RAMP, "radians", []),
}


@pytest.mark.parametrize("case", READ)
def test_units_that_are_declared_are_converted(case, tmp_path):
    values, unit, messages = READ[case]
    path = tiff(tmp_path / "a.tif", values.astype(np.float32))
    image = open_interferogram(names(path, units=(unit,)) if unit else path)
    found = check_phase(image)
    assert len(found) == len(messages) and all(word in line for word, line in zip(messages, found))
    factor = {"cycles": 2 * np.pi, "degree": np.pi / 180, "deg": np.pi / 180}.get(unit, 1)
    assert deviation(image, np.exp(1j * factor * values)) < 1e-4
    assert (factor == 1) or f"{unit} converted to radians" in image.messages[0]


REFUSED = {
    "cycles": (T / (2 * np.pi), "cycles"),
    "cycles from 0": (T / (2 * np.pi) % 1, "cycles"),
    "smooth cycles": ((PHASE / (2 * np.pi) + 0.5) % 1 - 0.5, "cycles"),
    "half cycles": (T / np.pi, "half cycles"),
    "degrees": (np.degrees(T), "degrees"),
    "degrees from 0": (np.degrees(T) % 360, "degrees"),
    "metres": (PHASE * 0.0044, "metres"),
    "noisy metres": ((PHASE + np.angle(Z * np.exp(-1j * PHASE))) * 0.0044 - 0.05, "metres"),
    "coherence": (G, "coherence"),
    "amplitude": (np.abs(Z), "amplitudes"),
    "real part": (Z.real, "real part"),
    "components": ((PHASE > 9) * 3.0, "whole numbers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_phase_in_radians_is_refused(case, tmp_path):
    values, reason = REFUSED[case]
    image = open_interferogram(tiff(tmp_path / "a.tif", values.astype(np.float32)))
    with pytest.raises(DataError, match=f"found values from .*{reason}.*radians"):
        check_phase(image)


def test_names_of_displacements_and_wrong_units_are_refused(tmp_path):
    for name in ("S1_vert_disp.tif", "velocity.tif", "cum.vel.tif"):
        with pytest.raises(DataError, match="displacement"):
            check_phase(open_interferogram(tiff(tmp_path / name, PHASE)))
    check_phase(open_interferogram(tiff(tmp_path / "unw_disp_phase.tif", PHASE)))
    path = names(tiff(tmp_path / "a.tif", T), units=("degrees",))
    with pytest.raises(DataError, match="too small"):
        check_phase(open_interferogram(path))


def test_a_hot_pixel_does_not_change_the_kind(tmp_path):
    hot = T.copy()
    hot[5, 6] = 1e25
    assert kind_of(gather([hot])) == "wrapped phase"


@pytest.mark.parametrize("unit", ["m", "metres", "mm/year", "dB"])
def test_declared_units_that_are_no_angles_are_refused(unit, tmp_path):
    path = names(tiff(tmp_path / "a.tif", PHASE), units=(unit,))
    with pytest.raises(DataError, match=f"found values in {unit}"):
        open_interferogram(path)


def speckle(oversampling: float) -> np.ndarray:
    """A single image of 256 x 256 pixels, as wide a spectrum as its oversampling leaves."""
    spectrum = np.fft.fft2(normal((256, 256), np.random.default_rng(3)))
    beyond = np.abs(np.fft.fftfreq(256)) > 0.5 / oversampling
    spectrum[beyond], spectrum[:, beyond] = 0, 0
    return np.fft.ifft2(spectrum).astype(np.complex64)


@pytest.mark.parametrize("oversampling", [1, 1.25, 2])
def test_a_single_image_has_no_fringes(oversampling, tmp_path):
    image = open_interferogram(tiff(tmp_path / "20200101.slc.tif", speckle(oversampling)))
    assert has_fringes(image) is False and "nothing coherent" in check_phase(image)[0]


@pytest.mark.parametrize("slope", [0.0, 0.15, 1.5])
@pytest.mark.parametrize("coherence", [0.25, 0.5, 0.9])
def test_an_interferogram_has_fringes(coherence, slope, tmp_path):
    image = open_interferogram(tiff(tmp_path / "a.tif", fringes(coherence, slope)[0]))
    assert has_fringes(image) is True and check_phase(image) == []


def test_a_name_that_says_slc_is_doubted(tmp_path):
    assert "SLC" in check_phase(open_interferogram(tiff(tmp_path / "a_slc.tif", Z)))[0]


def test_blocks_that_were_never_written_are_no_data(tmp_path):
    profile = {"driver": "GTiff", "height": SHAPE[0], "width": SHAPE[1], "count": 1, "dtype": "float32"}
    tiled = {"tiled": True, "blockxsize": 32, "blockysize": 32, "SPARSE_OK": True}
    with rasterio.open(tmp_path / "a.tif", "w", **profile, **tiled) as file:
        file.write(T[:64], 1, window=((0, 64), (0, SHAPE[1])))
    image = open_interferogram(tmp_path / "a.tif")
    valid = image.read(with_coherence=False).valid
    assert valid[:64].all() and not valid[64:].any() and deviation(image, UNIT) < 1e-5
    np.testing.assert_array_equal(image.read((slice(50, 80), slice(3, 99))).valid, valid[50:80, 3:99])


VRT = """<VRTDataset rasterXSize="120" rasterYSize="96"><VRTRasterBand dataType="Float32" band="1"><SimpleSource>
<SourceFilename relativeToVRT="{}">{}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>
</VRTDataset>"""


def test_the_missing_source_of_a_vrt_is_named(tmp_path):
    source, vrt = tiff(tmp_path / "source.tif", T), tmp_path / "a.vrt"
    vrt.write_text(VRT.format(1, "source.tif"))
    assert deviation(open_interferogram(vrt), UNIT) < 1e-5
    source.write_bytes(source.read_bytes()[:9000])
    with pytest.raises(DataError, match=r"source.tif: found 9000 bytes.*truncated"):
        open_interferogram(vrt)
    for name, relative, path in (("a.vrt", 1, "gone.tif"), ("b.int.vrt", 0, tmp_path / "gone.int")):
        (tmp_path / name).write_text(VRT.format(relative, path))
        with pytest.raises(DataError, match=rf"found no file .*{path}"):
            open_interferogram(tmp_path / name)
    vrt.write_text(VRT.format(0, "/data/old/gone.int"))
    with pytest.raises(DataError, match=r"found a source outside of its folder, /data/old/gone.int"):
        open_interferogram(vrt)
    with pytest.raises(DataError, match=r"found no file /data/old/gone.int"):
        open_interferogram(vrt, allow_external=True)
