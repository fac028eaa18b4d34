"""Nodata that nobody declared, hot pixels, and amplitudes of any unit."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")

from mvnet.data_loaders.insar import open_interferogram
from mvnet.data_loaders.insar.memory import read_interferogram
from mvnet.data_loaders.insar.missing import find_missing
from tests.data_loaders.insar.files import tiff

SHAPE = (60, 80)


@pytest.fixture(scope="module")
def z() -> np.ndarray:
    """Speckle on fringes, complex64."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    noise = random.standard_normal(SHAPE) + 1j * random.standard_normal(SHAPE)
    return (np.exp(1j * (0.2 * x - 0.1 * y)) + 0.5 * noise).astype(np.complex64)


@pytest.fixture(scope="module")
def phase(z) -> np.ndarray:
    return np.angle(z)


def unwrapped(phase) -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    ramp = 0.2 * x - 0.1 * y
    return (ramp + np.angle(np.exp(1j * (phase - ramp)))).astype(np.float32)


def valid(values: np.ndarray, **options) -> np.ndarray:
    return find_missing(values.__getitem__, values.shape, **options)[0].valid(values)


FILLS = [0, -9999, -32768, -999, 255, -3.4028234663852886e38, 9.969209968386869e36, 1e20, np.pi]


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("make", [lambda phase: phase, unwrapped], ids=["wrapped", "unwrapped"])
@pytest.mark.parametrize("place", [np.s_[:, :30], np.s_[:20], np.s_[:, -1:], np.s_[20:40, 30:50]])
def test_a_fill_value_of_phases_is_found(fill, make, place, phase):
    values, lost = make(phase).copy(), np.zeros(SHAPE, bool)
    lost[place] = True
    values[lost] = fill
    if fill in (np.pi,) and place == np.s_[20:40, 30:50]:
        lost[:] = False  # a value among the others is a fill value only at the edge
    np.testing.assert_array_equal(valid(values), ~lost)
    assert valid(values, detect=False).all()


@pytest.mark.parametrize("fill", [1, 1e-12, 1 + 1j, -9999, -9999 - 9999j, 9.96921e36, 9.96921e36 * (1 + 1j), np.inf])
def test_a_fill_value_of_complex_values_is_found(fill, z):
    for values in (z, z / np.abs(z)):
        filled = values.copy()
        filled[:, :30] = fill
        np.testing.assert_array_equal(valid(filled)[:, 30:], True)
        assert not (valid(filled) & np.isfinite(filled))[:, :30].any()


def test_several_fill_values_and_a_wrong_declaration(phase, tmp_path):
    values = phase.copy()
    values[:20], values[:, :30] = -9999, 0
    image = open_interferogram(tiff(tmp_path / "a.tif", values, nodata=1e20), find_coherence=False)
    lost = np.zeros(SHAPE, bool)
    lost[:20] = lost[:, :30] = True
    np.testing.assert_array_equal(image.read(with_coherence=False).valid, ~lost)
    assert sum("--nodata none keeps it" in message for message in image.messages) == 2
    assert any(message.startswith("0 outside the swath is taken as no data, 38 %") for message in image.messages)


def test_lone_zeros_are_data_and_every_window_agrees(phase, tmp_path):
    values = phase.copy()
    values[:, :30] = 0
    values[10, 50] = values[40, 70] = 0
    path = tiff(tmp_path / "a.tif", values)
    image = open_interferogram(path, find_coherence=False)
    whole = image.read(with_coherence=False).valid
    assert whole[:, 30:].all() and not whole[:, :30].any()
    for window in ((slice(0, 7), slice(29, 31)), (slice(9, 12), slice(0, 51)), (slice(40, 41), slice(70, 71))):
        np.testing.assert_array_equal(image.read(window, with_coherence=False).valid, whole[window])
    kept = open_interferogram(path, nodata="none").read(with_coherence=False)
    assert kept.valid.all()


def test_scattered_zeros_of_a_mask_are_no_data(phase):
    lost = np.random.default_rng(1).random(SHAPE) < 0.1
    np.testing.assert_array_equal(valid(np.where(lost, 0, phase)), ~lost)


def test_a_lone_sentinel_is_no_data(phase):
    for values in (phase, unwrapped(phase)):
        values = values.copy()
        values[5, 6], values[7, 8] = -9999, 1e25
        assert np.argwhere(~valid(values)).tolist() == [[5, 6], [7, 8]]


Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]
DATA = {
    "constant": np.full(SHAPE, 0.5),
    "zero": np.zeros(SHAPE),
    "ramp along x": 0.1 * X,
    "ramp along y": np.angle(np.exp(0.3j * Y)),
    "ramp": np.angle(np.exp(0.3j * Y + 0.2j * X)),
    "integers": (X + Y) * 1.0,
    "rounded": np.round(0.02 * X + 0.01 * Y, 1),
    "coarse": np.round(np.random.default_rng(0).uniform(-3, 3, SHAPE), 1),
    "repeated": np.kron(np.random.default_rng(0).uniform(-3, 3, (30, 40)), np.ones((2, 2))),
    "integer pairs": np.round(np.random.default_rng(0).normal(size=SHAPE) * 2) + 3j * np.round(np.sin(X + Y)) + 7j,
    "complex ramp": np.exp(0.3j * Y),
}


@pytest.mark.parametrize("name", DATA)
def test_values_that_repeat_as_data_do_are_data(name):
    assert valid(DATA[name]).all()
    assert valid(DATA[name].astype(np.complex64 if DATA[name].dtype.kind == "c" else np.float32)).all()


def test_repeated_pixels_do_not_hide_a_fill_value(phase):
    for fill in (0, -9999):
        values = phase.copy()
        values[:, :30] = fill
        np.testing.assert_array_equal(valid(np.kron(values, np.ones((2, 2), np.float32)))[::2, ::2], values != fill)


def test_a_large_raster_is_sampled(phase):
    large = np.tile(phase, (30, 20))  # 1800 x 1600: more than the sample
    large[:, :50], large[1000, 1000] = 0, 0
    windows = []

    def read(window):
        windows.append(window)
        return large[window]

    missing, messages = find_missing(read, large.shape)
    assert not missing.valid(large)[:, :50].any() and missing.valid(large)[:, 50:].all()
    assert max((r.stop - r.start) * (c.stop - c.start) for r, c in windows) <= 1 << 23
    assert len(messages) == 1 and "3.1 % of the pixels" in messages[0]


@pytest.mark.parametrize("hot", [1e25, 3e38 * (1 + 1j), 9.969209968386869e36, -1e30j, 1e-30])
def test_a_hot_pixel_is_no_data_and_counted(hot, z, tmp_path):
    values = z.copy()
    values[40, 41] = hot
    image = open_interferogram(tiff(tmp_path / "a.tif", values))
    block = image.read(with_coherence=False)
    assert np.argwhere(~block.valid).tolist() == [[40, 41]]
    assert np.isfinite(block.values).all() and np.abs(block.values).max() < 1e6
    assert any("no data" in message for message in image.messages)
    assert read_interferogram(values).read().valid.sum() == z.size - 1


def test_bright_targets_are_data(z):
    values = z.copy()
    values[40, 41] = 1e4
    assert valid(values).all()


@pytest.mark.parametrize(("factor", "dtype"), [(1e-20, "complex64"), (1e-30, "complex64"), (1e60, "complex128")])
def test_amplitudes_of_any_unit(factor, dtype, z, tmp_path):
    stored = (z.astype(np.complex128) * factor).astype(dtype)
    image = open_interferogram(tiff(tmp_path / "a.tif", stored))
    block = image.read(with_coherence=False)
    assert block.valid.all() and 0.1 < np.median(np.abs(block.values)) < 10
    np.testing.assert_allclose(np.angle(block.values * z.conj()), 0, atol=1e-5)
    np.testing.assert_allclose(block.values.astype(complex) * image.missing.scale, stored, rtol=1e-5)
    assert any("divided by" in message for message in image.messages)
    assert (image.missing.unit == image.missing.scale) == (factor < 1)
    assert read_interferogram(stored).read().valid.all()


def test_ordinary_amplitudes_are_read_as_they_are(z):
    for factor in (1e-4, 1, 1e5):
        assert find_missing((z * factor).__getitem__, SHAPE)[0].scale == 1
