"""Making every tensor of a volume positive definite, and counting what it took."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.data_loaders.dti.detect_layout import positive_definite
from mvnet.data_loaders.dti.fitting import clip_eigenvalues
from mvnet.data_loaders.dti.volume import RepairReport
from mvnet.data_loaders.errors import DataError
from mvnet.linalg import sym3
from mvnet.metrics import REFERENCE_DIFFUSIVITY

_MOSTLY_BAD = "warning: most tensors are not positive definite; are the component order, or the gradients, right?"
_ABSURD = 1e9  # times the plausible maximum: beyond it the closed-form eigenvalues overflow
_SLACK = 1.001  # the round-off of a file is no outlier

LOWEST, HIGHEST = 0.1, 4.0
"""Plausible eigenvalues of tissue and water in um^2/ms, for a median of `REFERENCE_DIFFUSIVITY`."""


def median_diffusivity(planes: Tensor, inside: Tensor) -> float:
    """Median trace / 3 over the positive definite tensors in a mask; DataError when there are none."""
    good = inside & positive_definite(planes)
    if not good.any():
        raise DataError(
            f"tensors: found none of the {int(inside.sum())} tensors in the mask positive definite, expected most of "
            "them (wrong component order, sign, gradients or file?)"
        )
    return (planes[:3].sum(0)[good].double().median() / 3).item()


def plausible_range(median_md: float) -> tuple[float, float]:
    """Smallest and largest eigenvalue: [0.1, 4] um^2/ms times the power of 4 nearest to the median over 0.75.

    In steps, so that tissue at body temperature (median 0.38 to 1.5) has the fixed range, and a repaired
    volume is not repaired again because its median moved a little. Fixed tissue and other liquids keep their
    own scale.
    """
    scale = 4.0 ** round(math.log(median_md / REFERENCE_DIFFUSIVITY, 4))
    return LOWEST * scale, HIGHEST * scale


def repair(planes: Tensor, mask: Tensor) -> tuple[Tensor, RepairReport]:
    """Positive definite tensors everywhere.

    Inside the mask eigenvalues are clipped to `plausible_range`, with the eigenvectors kept. Tensors without
    information (non-finite, or no positive eigenvalue) become the mean of their valid neighbours, the median
    isotropic tensor when there are none; so does everything outside the mask.

    Args:
        planes: (6, X, Y, Z) Mandel, um^2/ms.
        mask: (X, Y, Z) bool.
    Returns:
        new planes, and the counts.
    Raises:
        DataError: when no tensor in the mask is positive definite.
    """
    medium = median_diffusivity(planes, mask)
    low, high = plausible_range(medium)
    isotropic = planes.new_tensor([medium] * 3 + [0.0] * 3)[:, None, None, None]

    finite = planes.abs().amax(0) < _ABSURD * high  # NaN compares false
    usable = mask & finite
    out = torch.where(usable, planes, isotropic)
    values = sym3.eigvals(out, dim=0)  # (3, X, Y, Z) ascending
    smallest, largest = values[0], values[2]
    empty = largest <= 0  # nothing positive to keep
    outside_range = (smallest < low / _SLACK) | (largest > high * _SLACK)

    clip = usable & outside_range & ~empty
    if clip.any():
        out[:, clip] = clip_eigenvalues(out[:, clip].T, low, high).T
    missing = mask & (~finite | empty)
    if missing.any():
        out = _fill(out, mask & ~missing, missing, isotropic)
    voxels, non_positive = int(mask.sum()), int((usable & (smallest <= 0)).sum())
    report = RepairReport(
        voxels=voxels,
        non_finite=int((mask & ~finite).sum()),
        non_positive=non_positive,
        clipped=int((usable & outside_range & (smallest > 0)).sum()),
        messages=[_MOSTLY_BAD] if non_positive > voxels / 2 else [],
    )
    return out, report


def _fill(planes: Tensor, valid: Tensor, missing: Tensor, default: Tensor) -> Tensor:
    """Replace `missing` voxels by the mean of the valid ones among their 26 neighbours, else by `default`."""
    weight = valid.to(planes.dtype)
    pool = torch.cat([planes * weight, weight[None]])[None]
    sums = F.avg_pool3d(F.pad(pool, (1,) * 6), 3, stride=1)[0] * 27
    mean = torch.where(sums[6] > 0.5, sums[:6] / sums[6].clamp_min(1), default)
    return torch.where(missing, mean, planes)
