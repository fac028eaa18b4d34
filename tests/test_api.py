"""The front door: every kind of input gives its own kind back, and the same numbers."""

from __future__ import annotations

import importlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

import mvnet
from mvnet.data_loaders.dti import load_dwi, save_tensors
from mvnet.data_loaders.dti.simulation import gradient_scheme, simulate_brain, simulate_dwi
from mvnet.models.dti.network import DTIDenoiser
from tests.conftest import read_nifti
from tests.models.insar.test_network import small_model

SHAPE = (9, 8, 7)


@pytest.fixture(scope="module")
def dti_model() -> DTIDenoiser:
    generator = torch.Generator().manual_seed(0)
    model = DTIDenoiser(fields={"faces": 1, "trivial": 2}, hidden={"faces": 1}, convolutions=(1,))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A DWI in a file with its gradients beside it, and a tensor image fitted to it."""
    folder = tmp_path_factory.mktemp("scan")
    tensors, _, s0 = simulate_brain(SHAPE, seed=3)
    bvals, bvecs = gradient_scheme(12, seed=3)
    dwi, _ = simulate_dwi(tensors, s0, bvals, bvecs, snr=20, generator=torch.Generator().manual_seed(3))
    nibabel.save(nibabel.Nifti1Image(1000 * dwi.numpy().astype(np.float32), np.eye(4)), folder / "dwi.nii.gz")
    np.savetxt(folder / "dwi.bval", bvals.numpy()[None])
    np.savetxt(folder / "dwi.bvec", bvecs.numpy().T)
    volume = load_dwi(folder / "dwi.nii.gz", folder / "dwi.bval", folder / "dwi.bvec", bvec_frame="voxel")
    save_tensors(volume, volume.tensors, folder / "tensors.nii.gz")
    return folder


def test_tensors_of_every_kind(scan, dti_model):
    """The same image as a path, an open image, an array and a tensor."""
    image = read_nifti(scan / "tensors.nii.gz")
    array = np.asarray(image.dataobj, dtype=np.float32)
    options = {"model": dti_model, "device": "cpu", "order": "fsl", "unit": "mm2/s", "frame": "voxel"}
    by_path = mvnet.denoise_dti(scan / "tensors.nii.gz", **options)
    by_image = mvnet.denoise_dti(image, **options)
    by_array: Any = mvnet.denoise_dti(array, **options)
    by_tensor: Any = mvnet.denoise_dti(torch.from_numpy(array).double(), **options)
    assert type(by_path) is type(by_image) is nibabel.Nifti1Image
    assert issubclass(type(by_array), np.ndarray) and by_array.dtype == np.float32
    assert type(by_tensor) is torch.Tensor and by_tensor.dtype == torch.float64
    expected = np.asarray(by_path.dataobj)
    assert not np.array_equal(expected, array)
    for found in (np.asarray(by_image.dataobj), by_array, by_tensor.numpy()):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)
    confidence = np.asarray(by_path.confidence.dataobj)
    assert confidence.shape == SHAPE and confidence.min() >= 0 and confidence.max() <= 1
    in_memory: list[Any] = [by_array, by_tensor]
    for found in (by_image.confidence.dataobj, *(kind.confidence for kind in in_memory)):
        np.testing.assert_allclose(np.asarray(found), confidence, rtol=1e-6)
    assert (by_array + 1).confidence is None


def test_a_dwi_by_path_and_in_memory(scan, dti_model):
    bvals, bvecs = np.loadtxt(scan / "dwi.bval"), np.loadtxt(scan / "dwi.bvec").T
    dwi = np.asarray(read_nifti(scan / "dwi.nii.gz").dataobj, dtype=np.float32)
    options = {"model": dti_model, "device": "cpu", "frame": "voxel"}
    by_path = mvnet.denoise_dti(scan / "dwi.nii.gz", **options)
    by_array: Any = mvnet.denoise_dti(dwi, bvals, bvecs, **options)
    assert by_array.shape == (*SHAPE, 6)
    np.testing.assert_allclose(by_array, np.asarray(by_path.dataobj), rtol=1e-5, atol=1e-10)
    kept = mvnet.denoise_dti(dwi, bvals, bvecs, strength=0.0, **options)
    fitted = np.asarray(read_nifti(scan / "tensors.nii.gz").dataobj)
    np.testing.assert_allclose(kept, fitted, rtol=1e-5, atol=1e-10)
    with pytest.raises(ValueError, match="bvecs: found none beside bvals, expected both"):
        mvnet.denoise_dti(dwi, bvals, model=dti_model)


def test_a_dwi_in_memory_is_placed_and_fitted_as_asked(scan, dti_model):
    bvals, bvecs = np.loadtxt(scan / "dwi.bval"), np.loadtxt(scan / "dwi.bvec").T
    dwi = np.asarray(read_nifti(scan / "dwi.nii.gz").dataobj, dtype=np.float32)
    options: dict[str, Any] = {"model": dti_model, "device": "cpu", "strength": 0.0}
    affine = np.diag([-2.0, 2, 3, 1])
    by_affine = mvnet.denoise_dti(dwi, bvals, bvecs, affine=affine, **options)
    by_spacing = mvnet.denoise_dti(dwi, bvals, bvecs, spacing=(2, 2, 3), **options)
    np.testing.assert_array_equal(by_affine, by_spacing)
    in_world = mvnet.denoise_dti(dwi, bvals, bvecs * [-1, 1, 1], affine=affine, frame="world", **options)
    # components are in the axes of the b-vectors: x is reversed in them
    np.testing.assert_allclose(in_world * [1, -1, -1, 1, 1, 1], by_affine, rtol=1e-3, atol=1e-8)
    more = np.concatenate([dwi, np.full((*SHAPE, 1), 1e4, np.float32)], -1)
    left_out = mvnet.denoise_dti(
        more, np.r_[bvals, 1000], np.r_[bvecs, bvecs[-1:]], affine=affine, fit={"skip_volumes": (13,)}, **options
    )
    np.testing.assert_allclose(left_out, by_affine, rtol=1e-4, atol=1e-9)
    with pytest.raises(ValueError, match=r"affine: found shape \(3, 3\), expected \(4, 4\)"):
        mvnet.denoise_dti(dwi, bvals, bvecs, affine=np.eye(3), **options)
    with pytest.raises(ValueError, match="fit: found shell, expected some of all_shells"):
        mvnet.denoise_dti(dwi, bvals, bvecs, fit={"shell": 1000}, **options)


def test_phases_of_every_kind(tmp_path):
    xarray = pytest.importorskip("xarray", reason="needs mvnet[insar]")
    model = small_model(torch.float32, windows=(6, 0), kernels=((3, 1),))
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(30, 41, generator=generator, dtype=torch.complex64)
    z[3:6, 5:9] = 0
    options = {"model": model, "device": "cpu"}
    by_tensor: Any = mvnet.denoise_insar(z, **options)
    by_array: Any = mvnet.denoise_insar(z.numpy(), **options)
    data = xarray.DataArray(z.numpy(), dims=("azimuth", "range"), coords={"range": np.arange(41)}, attrs={"looks": 1})
    by_xarray = mvnet.denoise_insar(data, **options)
    assert type(by_tensor) is torch.Tensor and issubclass(type(by_array), np.ndarray)
    assert by_xarray.dims == data.dims and by_xarray.attrs == data.attrs
    np.testing.assert_array_equal(by_array, by_tensor.numpy())
    np.testing.assert_array_equal(by_xarray.values, by_array)
    np.testing.assert_array_equal(by_xarray.confidence.values, by_array.confidence)
    importlib.import_module("mvnet.xarray")
    assert data.mvnet.denoise(**options).identical(by_xarray)
    np.testing.assert_allclose(np.abs(by_array), z.abs().numpy(), rtol=1e-5, atol=1e-6)  # the amplitude stays
    assert not by_array.confidence[3:6, 5:9].any()
    phase = mvnet.denoise_insar(np.where(z.numpy() == 0, np.nan, z.angle().numpy()), **options)
    assert phase.dtype == np.float32 and np.isnan(phase[3:6, 5:9]).all()
    with ThreadPoolExecutor(2) as executor:
        spread = mvnet.denoise_insar(z, tile=16, workers=2, executor=executor, **options)
    torch.testing.assert_close(spread, by_tensor, rtol=1e-4, atol=1e-4)


def test_a_raster_by_path(tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="needs mvnet[insar]")
    model = small_model(torch.float32, windows=(6, 0), kernels=((3, 1),))
    phase = np.random.default_rng(0).uniform(-3, 3, (20, 30)).astype(np.float32)
    profile = {"driver": "GTiff", "height": 20, "width": 30, "count": 1, "dtype": "float32", "crs": "EPSG:32633"}
    transform = rasterio.transform.from_origin(5e5, 4e6, 20, 20)
    with rasterio.open(tmp_path / "phase.tif", "w", transform=transform, **profile) as file:
        file.write(phase, 1)
    found = mvnet.denoise_insar(tmp_path / "phase.tif", model=model, device="cpu")
    assert found.rio.crs.to_epsg() == 32633 and found.rio.transform() == transform
    np.testing.assert_allclose(found.values, mvnet.denoise_insar(phase, model=model, device="cpu"), atol=1e-5)


def test_networks_are_loaded_saved_and_verified(tmp_path):
    model: Any = mvnet.load_model("dti")
    mvnet.save_model(tmp_path / "again", model)
    again: Any = mvnet.load_model(tmp_path / "again")
    assert again.card["training_data"] == model.card["training_data"]
    for name, value in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)
    with pytest.raises(ValueError, match="model: found a DTIDenoiser, expected a InSARDenoiser"):
        mvnet.denoise_insar(np.ones((16, 16), np.complex64), model=model)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mvnet.denoise_insar(np.ones(4, np.complex64)), "z: found shape"),
        (lambda: mvnet.denoise_insar(np.ones((4, 4), int)), "z: found shape .* of int"),
        (lambda: mvnet.denoise_insar(np.zeros((4, 4), np.complex64)), "z: found no pixel with data"),
        (lambda: mvnet.denoise_insar(np.ones((4, 4)), np.ones((3, 4))), "coherence: found shape"),
        (lambda: mvnet.denoise_insar(np.ones((4, 4)), np.full((4, 4), 7.0)), "coherence: found values up to 7"),
        (lambda: mvnet.denoise_insar(np.ones((4, 4)), valid=np.ones((4, 4))), "valid: found shape"),
        (lambda: mvnet.denoise_insar(np.ones((4, 4)), strength=2), "strength: found 2"),
        (lambda: mvnet.denoise_insar(np.ones((4, 4)), tile=0), "tile: found 0"),
        (lambda: mvnet.denoise_dti(np.ones((4, 4))), "image: found shape"),
        (lambda: mvnet.denoise_dti(np.ones((4, 4, 4, 5))), "found shape .*expected six components"),
        (lambda: mvnet.load_model("nothing"), "name: found 'nothing'"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(mvnet.errors.MvnetError, match=words):
        call()


def test_importing_the_package_loads_nothing_heavy():
    code = "import mvnet, sys; heavy = {'torch', 'numpy', 'scipy'} & set(sys.modules); assert not heavy, heavy"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_offered_is_there():
    for name in mvnet.__all__:
        assert getattr(mvnet, name) is not None
    assert set(mvnet.__all__) <= set(dir(mvnet))
    with pytest.raises(AttributeError, match="nothing"):
        _ = mvnet.nothing
