"""Stacks in memory, and filters with the signatures of other programs."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

import mvnet
from mvnet import insar_filters
from mvnet.errors import MvnetError
from tests.data_loaders.insar.files import tiff
from tests.data_loaders.insar.stack_files import pairs
from tests.models.insar.test_network import small_model

Z, G = pairs()
NO_DATA = Z[0] == 0


@pytest.fixture(scope="module")
def options() -> dict:
    return {"model": small_model(torch.float32, windows=(6, 0), kernels=((3, 1),)), "device": "cpu"}


@pytest.fixture(scope="module")
def one_by_one(options) -> list:
    return [mvnet.denoise_insar(z, g, **options) for z, g in zip(Z, G)]


def check(found, one_by_one) -> None:
    """A stack whose pairs are those that were denoised alone."""
    for values, confidence, expected in zip(found, found.confidence, one_by_one):
        np.testing.assert_array_equal(np.asarray(values), np.asarray(expected))
        np.testing.assert_array_equal(np.asarray(confidence), expected.confidence)


def test_arrays_and_tensors_are_denoised_pair_by_pair(options, one_by_one):
    found = mvnet.denoise_insar(Z, G, **options)
    assert found.shape == found.confidence.shape == Z.shape and found.dtype == Z.dtype
    check(found, one_by_one)
    tensor = mvnet.denoise_insar(torch.from_numpy(Z), torch.from_numpy(G), **options)
    assert isinstance(tensor, torch.Tensor)
    check(tensor, one_by_one)


def test_one_coherence_for_all_pairs(options, one_by_one):
    check(mvnet.denoise_insar(Z, G[0], **options), one_by_one)
    with pytest.raises(MvnetError, match=r"coherence: found shape \(2, 48, 64\)"):
        mvnet.denoise_insar(Z, G[:2], **options)


def test_dask_arrays_are_denoised_when_computed(options, one_by_one):
    dask_array = pytest.importorskip("dask.array", reason="needs mvnet[insar]")
    calls = []
    lazy = dask_array.map_blocks(
        lambda z: (calls.append(1), z)[1], dask_array.from_array(Z, chunks=(2, 20, 64)), meta=Z[:0]
    )
    found = mvnet.denoise_insar(lazy, dask_array.from_array(G), **options)
    assert isinstance(found, dask_array.Array) and found.shape == Z.shape and found.dtype == Z.dtype and not calls
    values, confidence = dask_array.compute(found, found.confidence, scheduler="sync")
    for k, expected in enumerate(one_by_one):
        np.testing.assert_array_equal(values[k], np.asarray(expected))
        np.testing.assert_array_equal(confidence[k], expected.confidence)
    single = mvnet.denoise_insar(dask_array.from_array(Z[0], chunks=20), G[0], **options)
    assert single.shape == Z[0].shape
    np.testing.assert_array_equal(single.compute(scheduler="sync"), np.asarray(one_by_one[0]))


@pytest.mark.parametrize("lazy", [False, True])
def test_data_arrays_keep_coordinates_and_attributes(lazy, options, one_by_one):
    xarray = pytest.importorskip("xarray", reason="needs mvnet[insar]")
    coords = {"pair": ["a", "b", "c"], "y": np.arange(48.0), "bperp": ("pair", [1.0, 2.0, 3.0])}
    array = xarray.DataArray(Z, dims=("pair", "y", "x"), coords=coords, name="ifg", attrs={"sensor": "S1"})
    found = mvnet.denoise_insar(array.chunk({"pair": 1}) if lazy else array, array.copy(data=G), **options)
    assert found.dims == array.dims and found.attrs == array.attrs and found.name == "ifg"
    assert set(found.coords) == {*array.coords, "confidence"} and (found.chunks is not None) == lazy
    check(found.load(), [one for one in one_by_one])


def test_a_pair_without_data_stays_as_it_is(options, one_by_one):
    stack = Z.copy()
    stack[1] = 0
    found = mvnet.denoise_insar(stack, G, **options)
    np.testing.assert_array_equal(found[2], one_by_one[2])
    assert (found[1] == 0).all() and (found.confidence[1] == 0).all()
    with pytest.raises(MvnetError, match="pair 0: coherence: found values up to"):
        mvnet.denoise_insar(Z, 7 * G, **options)


@pytest.fixture
def shipped(monkeypatch, options) -> None:
    """The small network in place of the shipped one."""
    monkeypatch.setattr(
        insar_filters, "denoise_insar", lambda *more, **others: mvnet.denoise_insar(*more, **others, **options)
    )


def test_goldstein_of_dolphin(shipped, options):
    assert list(inspect.signature(insar_filters.goldstein).parameters) == ["phase", "alpha", "psize"]
    z = Z[0].copy()
    z[20, 20], z[30, 30] = np.nan, 1 + np.nan * 1j
    found = insar_filters.goldstein(z, 0.5, psize=32)
    lost = NO_DATA | np.isnan(z)
    assert found.dtype == np.complex64 and found.shape == z.shape and (found[lost] == 0).all()
    np.testing.assert_allclose(abs(found[~lost]), abs(z[~lost]), rtol=1e-5)
    np.testing.assert_array_equal(found, mvnet.denoise_insar(np.where(lost, 0, z), **options))
    phase = np.where(NO_DATA, 0, np.angle(Z[0]))
    real = insar_filters.goldstein(phase, alpha=0.7)
    assert (real[NO_DATA] == 0).all() and np.allclose(abs(real[~NO_DATA]), 1, atol=1e-5)
    kept = insar_filters.goldstein(Z[0], 0)
    np.testing.assert_array_equal(kept, Z[0])
    assert np.isnan(insar_filters.goldstein(np.full((8, 8), np.nan), 1)).all()
    with pytest.raises(ValueError, match="alpha: found -1"):
        insar_filters.goldstein(Z[0], -1)


def test_filter_data_of_mintpy(shipped):
    unwrapped = np.where(NO_DATA, 0, np.angle(Z[0]) + 6 * np.pi).astype(np.float32)
    unwrapped[40, 40] = np.nan
    found = insar_filters.filter_data(unwrapped, "mvnet", filter_par=None)
    assert found.dtype == np.float32 and (found[NO_DATA] == 0).all() and np.isnan(found[40, 40])
    known = ~NO_DATA & np.isfinite(unwrapped)
    assert 0 < abs(found - unwrapped)[known].max() <= np.pi + 1e-5
    with pytest.raises(MvnetError, match="filter_type: found 'sobel'"):
        insar_filters.filter_data(unwrapped, "sobel")


def test_filter_goldstein_of_mintpy(shipped, tmp_path, options):
    pytest.importorskip("rasterio", reason="needs mvnet[insar]")
    import rasterio

    source, target, quality = (tmp_path / name for name in ("fine.int", "filt_fine.int", "phsig.cor"))
    tiff(source, Z[0], "ISCE")
    assert insar_filters.filter_goldstein(str(source), str(target), 0.4, cor_file=quality) == str(target)
    expected = mvnet.denoise_insar(Z[0], **options)
    for path, values in ((target, np.asarray(expected)), (quality, expected.confidence)):
        with rasterio.open(path) as file:
            assert file.driver == "ISCE"
            np.testing.assert_allclose(file.read(1), values, rtol=1e-5)
    insar_filters.filter_goldstein(source, target, 0)
    np.testing.assert_allclose(np.fromfile(target, np.complex64), Z[0].ravel(), rtol=1e-5, atol=1e-6)
