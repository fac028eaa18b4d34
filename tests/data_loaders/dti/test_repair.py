"""Repair: positive definite everywhere, every change counted."""

import pytest
import torch

from mvnet.data_loaders.dti.masks import read_mask, tensor_mask
from mvnet.data_loaders.dti.repair import median_diffusivity, plausible_range, repair
from mvnet.data_loaders.errors import DataError
from mvnet.linalg import sym3


def test_repair_counts_and_mends(brain):
    planes, mask = brain.tensors.clone(), brain.mask
    spots = mask.nonzero()[::97]
    nan, negative, thick, flat = spots[0], spots[1], spots[2], spots[3]
    planes[2, nan[0], nan[1], nan[2]] = torch.nan
    planes[:, negative[0], negative[1], negative[2]] = torch.tensor([1.0, 0.8, -0.2, 0, 0, 0])
    planes[:, thick[0], thick[1], thick[2]] = torch.tensor([90.0, 1, 1, 0, 0, 0])
    planes[:, flat[0], flat[1], flat[2]] = 0
    out, report = repair(planes, mask)
    assert (report.non_finite, report.non_positive, report.clipped) == (1, 2, 1)
    assert report.voxels == int(mask.sum())
    values = sym3.eigvals(out, dim=0)
    medium = median_diffusivity(planes, mask)
    low, high = plausible_range(medium)
    assert (low, high) == (0.1, 4.0)
    assert values.isfinite().all() and values.min() > 0.99 * low and values.max() < 1.01 * high
    untouched = mask.clone()
    for spot in (nan, negative, thick, flat):
        untouched[tuple(spot)] = False
    assert torch.equal(out[:, untouched], planes[:, untouched])
    # eigenvectors of a clipped tensor are kept
    assert out[0, negative[0], negative[1], negative[2]] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("scale", [1 / 16, 0.25, 1.0, 3.0, 1000.0])
def test_the_plausible_range_follows_the_tissue(brain, scale):
    out, report = repair(brain.tensors * scale, brain.mask)
    assert (report.non_finite, report.non_positive, report.clipped) == (0, 0, 0)
    torch.testing.assert_close(out[:, brain.mask], brain.tensors[:, brain.mask] * scale)


def test_repair_is_idempotent_on_its_result(brain, generator):
    noisy = brain.tensors + 0.15 * torch.randn(brain.tensors.shape, generator=generator)
    once, first = repair(noisy, brain.mask)
    twice, _ = repair(once, brain.mask)
    assert first.non_positive > 0
    assert torch.equal(twice[:, brain.mask], once[:, brain.mask])


def test_a_volume_of_bad_tensors_is_told(brain):
    planes = brain.tensors.clone()
    planes[0, : planes.shape[1] * 3 // 4] -= 3
    assert repair(brain.tensors, brain.mask)[1].messages == []
    assert "most tensors" in repair(planes, brain.mask)[1].messages[0]


def test_negative_tensors_are_refused(brain):
    with pytest.raises(DataError, match=r"none of the .* positive definite"):
        repair(-brain.tensors, brain.mask)


def test_tensor_mask_covers_enclosed_gaps_only(brain):
    planes = brain.tensors * brain.mask
    inner = (torch.nn.functional.avg_pool3d(brain.mask[None].float(), 3, 1)[0] == 1).nonzero()[0] + 1
    planes[:, inner[0], inner[1], inner[2]] = torch.nan
    planes[:, 0, 0, 0] = torch.nan
    mask = tensor_mask(planes)
    assert mask[tuple(inner)] and not mask[0, 0, 0]
    assert torch.equal(mask, brain.mask)


def test_masks_from_arrays():
    assert read_mask(torch.ones(2, 3, 4, 1), (2, 3, 4))[0].all()
    with pytest.raises(DataError, match="mask: found shape"):
        read_mask(torch.ones(2, 3, 5), (2, 3, 4))
    with pytest.raises(DataError, match="mask: found no voxel"):
        read_mask(torch.full((2, 3, 4), torch.nan), (2, 3, 4))
