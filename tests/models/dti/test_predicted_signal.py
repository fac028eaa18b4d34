"""Denoised images from denoised tensors: what changes, what must not, and that a fit finds the tensors again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mvnet.data_loaders.dti.dwi import fit_signals
from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.simulation import add_noise, clean_signal, gradient_scheme, simulate_brain
from mvnet.data_loaders.dti.volume import DTIVolume, Outlier
from mvnet.errors import MvnetError
from mvnet.models.dti.inference import DenoisedVolume
from mvnet.models.dti.predicted_signal import (
    denoised_dwi,
    denoised_volumes,
    further_shells,
    log_squared_errors,
    signal_changes,
)

SHELLS = (0.0, 1000.0, 2500.0)


def measured(fitted: tuple[float, ...] = (1000.0,), snr: float = 20.0) -> DTIVolume:
    """A brain of two shells of 12 directions, tensors fitted to the b0 and the shells `fitted`."""
    tensors, mask, s0 = simulate_brain((9, 8, 7), seed=4, voxel_size=3.0)
    schemes = [gradient_scheme(12, b, seed=k) for k, b in enumerate(SHELLS[1:])]
    bvals, bvecs = (torch.cat(parts) for parts in zip(*schemes))
    signal = clean_signal(tensors, s0, bvals, bvecs)
    noisy = (1000 * add_noise(signal, 1 / snr, torch.Generator().manual_seed(0))).numpy().astype(np.float32)
    b, g = bvals.numpy(), bvecs.numpy().astype(float)
    used = np.isin(b, (0.0, *fitted))
    planes, report, scan = fit_signals(noisy[..., used], b[used], g[used], mask)
    scan = replace(scan, dwi=noisy, bvals=b, bvecs=g, used=used)
    return DTIVolume(planes, mask, np.eye(4), None, "fsl", "mm2/s", "voxel", report, acquisition=scan)


@pytest.fixture(scope="module")
def volume() -> DTIVolume:
    return measured()


def images(volume: DTIVolume) -> np.ndarray:
    assert volume.acquisition is not None
    return volume.acquisition.dwi


def bvals(volume: DTIVolume) -> np.ndarray:
    assert volume.acquisition is not None
    return volume.acquisition.bvals


def rounder(volume: DTIVolume) -> DenoisedVolume:
    """A stand-in for a network: a fifth of the way to the isotropic tensor."""
    isotropic = torch.zeros_like(volume.tensors)
    isotropic[:3] = volume.tensors[:3].mean(0)
    out = torch.lerp(volume.tensors, isotropic, 0.2)
    zero = torch.zeros_like(out[0])
    return DenoisedVolume(out, *[zero] * 5)


def test_tensors_that_stay_leave_every_bit(volume):
    same = lambda shell: DenoisedVolume(shell.tensors, *[shell.tensors[0]] * 5)  # noqa: E731
    assert np.array_equal(denoised_dwi(volume, volume.tensors, same), images(volume))


def test_only_weighted_volumes_in_the_mask_change(volume):
    out, outside = denoised_dwi(volume, rounder(volume).tensors, rounder), ~volume.mask.numpy()
    assert out.dtype == np.float32
    assert np.array_equal(out[outside], images(volume)[outside])
    assert np.array_equal(out[..., bvals(volume) == 0], images(volume)[..., bvals(volume) == 0])
    for b in SHELLS[1:]:
        assert np.abs(out - images(volume))[..., bvals(volume) == b].max() > 4


def test_the_change_is_the_difference_of_the_predictions():
    volume = measured()
    scan = volume.acquisition
    assert scan is not None
    after = rounder(volume).tensors
    b, g = torch.as_tensor(scan.bvals), torch.as_tensor(scan.bvecs)
    difference = clean_signal(after, scan.b0, b, g) - clean_signal(volume.tensors, scan.b0, b, g)
    out, first = denoised_dwi(volume, after), scan.bvals == 1000
    expected = np.maximum(scan.dwi + difference.numpy() * volume.mask.numpy()[..., None], 0)[..., first]
    assert out[..., first] == pytest.approx(expected, rel=1e-4, abs=1e-2)
    assert np.array_equal(out[..., ~first], scan.dwi[..., ~first])  # no network for the other shell


@pytest.mark.parametrize("b", SHELLS[1:])
def test_a_fit_of_the_images_finds_the_denoised_tensors(volume, b):
    """Nearly, as the weights of a fit change with the signals: most near the floor of the noise."""
    out = denoised_dwi(volume, rounder(volume).tensors, rounder)
    scan, part = volume.acquisition, np.isin(bvals(volume), (0.0, b))
    assert scan is not None
    found, before = (
        fit_signals(np.ascontiguousarray(dwi[..., part]), scan.bvals[part], scan.bvecs[part], volume.mask)[0]
        for dwi in (out, scan.dwi)
    )
    wanted = rounder(replace(volume, tensors=before)).tensors
    inside = volume.mask & (scan.b0 > 300)
    assert distance(found, wanted, inside) < (0.1 if b == 1000 else 0.45) * distance(before, wanted, inside)


def distance(x: Tensor, y: Tensor, mask: Tensor) -> float:
    return float((x - y)[:, mask].norm(dim=0).median())


def test_signals_do_not_become_negative_but_negative_ones_stay(volume):
    scan = volume.acquisition
    assert scan is not None
    dark = scan.dwi.copy()
    dark[4, 4, 3, 1:] = 0.0
    dark[5, 4, 3, 1:] = -5.0
    small = torch.where(volume.mask, volume.tensors * 4, volume.tensors)  # predicts less signal everywhere
    out = denoised_dwi(replace(volume, acquisition=replace(scan, dwi=dark)), small)
    assert (out[dark >= 0] >= 0).all() and out[5, 4, 3, bvals(volume) == 1000].max() < -5


def test_volumes_that_a_fit_left_out_are_left(volume):
    scan = volume.acquisition
    assert scan is not None
    odd = replace(scan, outliers=(Outlier(3, None, "empty", float("nan"), 0.0), Outlier(4, 2, "dropout", 9.0, 0.0)))
    changes = signal_changes(
        replace(volume, acquisition=odd), rounder(volume).tensors, options=FitOptions(skip_volumes=(5,))
    )
    moved = changes[0].volumes
    assert not moved[[3, 5]].any() and moved[[4, 6]].all()
    after = list(denoised_volumes(replace(volume, acquisition=odd), changes))[4]
    same = (after == scan.dwi[..., 4]).all((0, 1))
    assert same[2] and not same[3]


def test_shells_of_six_directions_or_more():
    g = gradient_scheme(8, 1000.0, seed=1)[1][1:].numpy().astype(float)
    values = np.r_[np.full(8, 2000.0) + np.arange(8) * 10, np.full(8, 3000.0), np.full(5, 4000.0), np.full(8, 5000.0)]
    vectors = np.r_[g, g, g[:5], np.tile(g[:1], (8, 1))]
    shells = further_shells(values, vectors, np.ones(len(values), bool))
    assert [np.flatnonzero(shell).tolist() for shell in shells] == [list(range(8)), list(range(8, 16))]


def test_squared_errors_of_the_logarithm(volume):
    scan = volume.acquisition
    assert scan is not None
    x, y, z = np.argwhere((volume.mask & (scan.b0 > 500)).numpy())[7]
    b, g = torch.as_tensor(scan.bvals), torch.as_tensor(scan.bvecs)
    predicted = clean_signal(volume.tensors, scan.b0, b, g).numpy()[x, y, z]
    wanted = (np.log(scan.dwi[x, y, z] / predicted) ** 2)[scan.used].sum()
    errors = log_squared_errors(volume)
    assert errors[x, y, z].item() == pytest.approx(wanted, rel=1e-3)
    assert not errors[~volume.mask].any()


def test_tensors_alone_have_no_images(volume):
    with pytest.raises(MvnetError, match="volume: found tensors without diffusion-weighted images"):
        signal_changes(replace(volume, acquisition=None), volume.tensors)
    with pytest.raises(MvnetError, match=r"denoised: found shape \(6, 9, 8\), expected \(6, 9, 8, 7\)"):
        signal_changes(volume, volume.tensors[..., 0])
