"""Interferograms in memory are read as those on disk."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("rasterio", reason="needs mvnet[insar]")

from mvnet.data_loaders.insar.memory import like_interferogram, read_interferogram

SHAPE = (60, 80)


@pytest.fixture
def z() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(SHAPE, dtype=torch.complex64, generator=generator)


@pytest.mark.parametrize("dtype", [torch.complex32, torch.complex64, torch.complex128])
def test_every_complex_type_comes_back(dtype, z):
    given = z.to(dtype)
    image = read_interferogram(given)
    block = image.read()
    assert block.valid.all() and block.values.dtype == np.complex64
    np.testing.assert_array_equal(block.values, given.to(torch.complex64).numpy())
    phase, quality = np.angle(block.values), np.ones(SHAPE, np.float32)
    out = like_interferogram(given, image, phase, quality)
    assert out.dtype == dtype and out.confidence.shape == SHAPE
    np.testing.assert_allclose(out.to(torch.complex64).numpy(), block.values, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_phases_of_every_precision(dtype, z):
    phase = z.angle().to(dtype)
    block = read_interferogram(phase).read()
    np.testing.assert_allclose(block.values, torch.polar(torch.ones(SHAPE), phase.float()).numpy(), atol=1e-3)
    assert np.isnan(block.coherence).all()


def test_hot_pixels_units_and_borders(z):
    values = z.numpy() * 1e-20
    values[:, :20], values[40, 41] = 1e-32, 1e25
    image = read_interferogram(values.astype(np.complex64))
    block = image.read()
    lost = np.zeros(SHAPE, bool)
    lost[:, :20] = lost[40, 41] = True
    np.testing.assert_array_equal(block.valid, ~lost)
    assert 0.1 < np.median(np.abs(block.values[~lost])) < 10
    assert len(image.messages) >= 2
