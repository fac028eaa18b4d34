"""Patches that a training of the DTI denoiser holds out for the calibration of its confidence map."""

from __future__ import annotations

import torch

from mvnet.apps.dti.calibrate import _half, held_out_sets
from mvnet.data_loaders.dti.training.dataset import TrainingSet, random_scheme
from mvnet.data_loaders.dti.training.pairs import TensorField


def field(start: int, stop: int) -> TensorField:
    """A scan of 24 x 20 x 30 voxels whose b0 tells where a voxel is."""
    random = torch.Generator().manual_seed(0)
    bvals, bvecs = random_scheme(random)
    while (bvals > 0).sum() < 12:
        bvals, bvecs = random_scheme(random)
    shape = (24, 20, 30)
    tensors = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]).view(6, 1, 1, 1).expand(6, *shape)
    place = torch.arange(24 * 20 * 30, dtype=torch.float32).view(shape)
    ranges = tuple((a, b) for a, b in ((0, start), (stop, 30)) if b > a)
    dwi = torch.rand(*shape, len(bvals), generator=random)
    return TensorField(tensors, torch.ones(shape, dtype=torch.bool), place, ranges, dwi, bvals, bvecs)


def voxels(data: TrainingSet) -> set[float]:
    """Places that its patches can be cut from."""
    found = set()
    for _, part in (*data.truths, *data.scans):
        for start, stop in part.slice_ranges:
            found |= set(part.s0[:, :, start:stop].flatten().tolist())
    return found


def test_slices_left_out_are_held_out_in_two_halves():
    scan = field(10, 20)
    truths, scans = [(0.5, scan), (0.1, scan)], [(0.3, scan)]
    data = TrainingSet(truths, scans, length=10, patch=10, seed=1)
    (fit, check), words = held_out_sets(truths, scans, slice(10, 20), 0, data)
    used, first, second = voxels(data), voxels(fit), voxels(check)
    assert not used & first and not used & second and not first & second
    assert len(first) + len(second) == 24 * 20 * 10 and words == "slices 10:20 of the scan"
    assert fit.patch == 10 and fit[0].noisy.shape == (6, 10, 10, 10)
    assert torch.equal(torch.cat([_half(scan, k).s0 for k in range(2)]), scan.s0)


def test_without_them_the_draws_and_the_brains_are_others():
    scan = field(30, 30)
    truths, scans = [(0.5, scan)], [(0.3, scan)]
    data = TrainingSet(truths, scans, length=10, patch=12, seed=1)
    (fit, check), words = held_out_sets(truths, scans, slice(0, 0), 0, data)
    assert words == "other draws from the scan" and fit.patch == check.patch == 12
    assert not torch.equal(fit[2**31].noisy, fit[0].noisy)
