"""Repair: positive definite everywhere, every change counted."""

import pytest
import torch

from mvnet.data_loaders.dti.masks import read_mask, tensor_mask
from mvnet.data_loaders.dti.repair import LOWEST, median_diffusivity, repair
from mvnet.data_loaders.errors import DataError
from mvnet.linalg import sym3
from mvnet.metrics import REFERENCE_DIFFUSIVITY


def _spots(mask, count):
    return [tuple(spot) for spot in mask.nonzero()[::97][:count].tolist()]


def test_repair_counts_and_mends_and_touches_nothing_else(brain):
    planes, mask = brain.tensors.clone(), brain.mask
    nan, negative, thick, thin, flat = spots = _spots(mask, 5)
    planes[(2, *nan)] = torch.nan
    planes[(slice(None), *negative)] = torch.tensor([1.0, 0.8, -0.2, 0, 0, 0])
    planes[(slice(None), *thick)] = torch.tensor([90.0, 1, 1, 0, 0, 0])
    planes[(slice(None), *thin)] = torch.tensor([1.0, 1, 0.004, 0, 0, 0])
    planes[(slice(None), *flat)] = 0
    out, report = repair(planes, mask)
    assert (report.non_finite, report.non_positive, report.clipped) == (1, 2, 0)
    assert report.voxels == int(mask.sum())
    assert out.isfinite().all() and sym3.eigvals(out, dim=0).min() > 0
    untouched = mask.clone()
    for spot in spots:
        untouched[spot] = spot in (thick, thin)  # large or small, they are positive: no reason to change them
    assert torch.equal(out[:, untouched], planes[:, untouched])
    # eigenvectors of a lifted tensor are kept
    assert out[(0, *negative)] == pytest.approx(1.0, abs=1e-5)
    assert out[(2, *negative)] == pytest.approx(0.01 * median_diffusivity(planes, mask), rel=0.01)


def test_the_noise_of_a_voxel_sets_its_floor(brain):
    planes, mask = brain.tensors.clone(), brain.mask
    thin, noisy, unknown, negative = _spots(mask, 4)
    deviation = torch.full(mask.shape, 0.02)
    for spot in (thin, noisy, unknown):
        planes[(slice(None), *spot)] = torch.tensor([1.0, 1, 0.01, 0, 0, 0])
    planes[(slice(None), *negative)] = torch.tensor([1.0, 1, -0.01, 0, 0, 0])
    deviation[noisy], deviation[unknown] = 5.0, 0.0
    out, report = repair(planes, mask, deviation)
    limit = LOWEST * median_diffusivity(planes, mask) / REFERENCE_DIFFUSIVITY  # no floor is above tissue's
    assert [out[(2, *spot)].item() for spot in (thin, noisy, unknown, negative)] == pytest.approx(
        [0.02, limit, 0.01, 0.02], rel=1e-3
    )
    assert (report.non_positive, report.clipped) == (1, 2)


@pytest.mark.parametrize("scale", [1 / 16, 0.25, 1.0, 3.0, 1000.0])
def test_tissue_of_any_scale_stays_as_it_is(brain, scale):
    """Fixed tissue, neonates, another unit: with a liquid around it that diffuses eight times as fast."""
    planes = brain.tensors * scale
    planes[:, 0] = torch.tensor([8.0, 8, 8, 0, 0, 0])[:, None, None] * REFERENCE_DIFFUSIVITY * scale
    mask = brain.mask.clone()
    mask[0] = True
    out, report = repair(planes, mask, torch.full(mask.shape, 0.1 * scale))
    assert (report.non_finite, report.non_positive, report.clipped) == (0, 0, 0)
    assert torch.equal(out[:, mask], planes[:, mask])


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
