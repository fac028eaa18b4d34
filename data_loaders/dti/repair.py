"""Making every tensor of a volume positive definite, and counting what it took."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.data_loaders.dti.detect_layout import positive_definite
from mvnet.data_loaders.dti.volume import RepairReport
from mvnet.data_loaders.errors import DataError
from mvnet.linalg import sym3
from mvnet.metrics import REFERENCE_DIFFUSIVITY

_MOSTLY_BAD = "warning: most tensors are not positive definite; are the component order, or the gradients, right?"
_ABSURD = 4e9  # times the median: beyond it the closed-form eigenvalues overflow
_VANISHING = 1e-7  # of the median: below it they underflow
_SMALLEST, _LARGEST = 1e-5, 1e5  # um^2/ms, far beyond what any liquid, solid or error of a unit has
_ROUND_OFF = 1e-5  # of the largest eigenvalue: a smaller one is not positive to float32
_TINY = 0.01  # of the median diffusivity, what a non-positive eigenvalue becomes where the noise is not known

LOWEST, HIGHEST = 0.1, 4.0
"""Usual eigenvalues of tissue and water in um^2/ms, for a median of `REFERENCE_DIFFUSIVITY`."""


def median_diffusivity(planes: Tensor, inside: Tensor) -> float:
    """Median trace / 3 over the positive definite tensors in a mask; DataError when there are none."""
    good = inside & positive_definite(planes)
    if not good.any():
        raise DataError(
            f"tensors: found none of the {int(inside.sum())} tensors in the mask positive definite, expected most of "
            "them (wrong component order, sign, gradients or file?)"
        )
    return (planes[:3].sum(0)[good].double().median() / 3).item()


def repair(planes: Tensor, mask: Tensor, deviation: Tensor | None = None) -> tuple[Tensor, RepairReport]:
    """Positive definite tensors everywhere; what is positive definite is not touched.

    Inside the mask eigenvalues that are not positive, or below the floor that the noise of the voxel sets, are lifted
    to the floor, with the eigenvectors kept; none is lowered. The floor is the standard deviation of the voxel's
    diffusivities, at most what tissue has (`LOWEST` in the scale of the median). Where no deviation is known it is 1 %
    of the median, for what is not positive only. Tensors without information (non-finite, or no positive eigenvalue)
    become the mean of their valid neighbours, the median isotropic tensor when there are none; so does everything
    outside the mask.

    Args:
        planes: (6, X, Y, Z) Mandel, um^2/ms.
        mask: (X, Y, Z) bool.
        deviation: (X, Y, Z) standard deviation of the components of a tensor by the noise, um^2/ms, 0 where unknown;
            None when nothing is known.
    Returns:
        new planes, and the counts.
    Raises:
        DataError: when no tensor in the mask is positive definite, or the median diffusivity is none of matter.
    """
    medium = median_diffusivity(planes, mask)
    if not _SMALLEST < medium < _LARGEST:
        found = f"a median diffusivity of {medium:.3g} um^2/ms"
        raise DataError(f"tensors: found {found}, expected {_SMALLEST:g} to {_LARGEST:g} (wrong unit, order or file?)")
    isotropic = planes.new_tensor([medium] * 3 + [0.0] * 3)[:, None, None, None]
    finite = planes.abs().amax(0) < _ABSURD * medium  # NaN compares false
    usable = mask & finite
    out = torch.where(usable, planes, isotropic)
    values = sym3.eigvals(out, dim=0)  # (3, X, Y, Z) ascending
    smallest, largest = values[0], values[2]
    vanishing = (largest > 0) & (out.abs().amax(0) < _VANISHING * medium)
    empty = (largest <= 0) | vanishing  # nothing positive to keep

    floor = torch.full_like(smallest, _TINY * medium)
    limit = _ROUND_OFF * largest  # below it an eigenvalue is lifted
    if deviation is not None:
        noise = deviation.to(floor).clamp_max(LOWEST * medium / REFERENCE_DIFFUSIVITY)
        floor = torch.where(noise > 0, noise.maximum(floor), floor)
        limit = torch.where(noise > 0, floor.maximum(limit), limit)
    lift = usable & (smallest < limit) & ~empty
    if lift.any():
        out[:, lift] = lift_eigenvalues(out[:, lift].T, floor.maximum(2 * _ROUND_OFF * largest)[lift]).T
    missing = mask & (~finite | empty)
    if missing.any():
        out = _fill(out, mask & ~missing, missing, isotropic)
    voxels, positive = int(mask.sum()), smallest > _ROUND_OFF * largest
    non_positive = int((usable & ~positive).sum())
    report = RepairReport(
        voxels=voxels,
        non_finite=int((mask & (~finite | vanishing)).sum()),
        non_positive=non_positive,
        clipped=int((lift & positive).sum()),
        messages=[_MOSTLY_BAD] if non_positive > voxels / 2 else [],
    )
    return out, report


def lift_eigenvalues(tensors: Tensor, floor: Tensor) -> Tensor:
    """The same eigenvectors with eigenvalues of at least `floor` (N,): (N, 6) Mandel -> (N, 6) Mandel."""
    values, vectors = torch.linalg.eigh(sym3.unpack(tensors))
    return sym3.pack((vectors * values.maximum(floor.unsqueeze(1)).unsqueeze(-2)) @ vectors.mT)


def _fill(planes: Tensor, valid: Tensor, missing: Tensor, default: Tensor) -> Tensor:
    """Replace `missing` voxels by the mean of the valid ones among their 26 neighbours, else by `default`."""
    weight = valid.to(planes.dtype)
    pool = torch.cat([planes * weight, weight[None]])[None]
    sums = F.avg_pool3d(F.pad(pool, (1,) * 6), 3, stride=1)[0] * 27
    mean = torch.where(sums[6] > 0.5, sums[:6] / sums[6].clamp_min(1), default)
    return torch.where(missing, mean, planes)
