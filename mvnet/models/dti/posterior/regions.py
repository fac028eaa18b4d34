"""Means over a region, of a field and of its samples: what correlated samples are for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.models.dti.posterior.inference import VolumePosterior
from mvnet.models.dti.posterior.summaries import fa_and_md

_SIDE = 5


@dataclass(frozen=True, eq=False)
class Region:
    """Voxels of a mask inside a box.

    box: slices of the grid.
    inside: bool of the shape of the box.
    """

    box: tuple[slice, slice, slice]
    inside: Tensor

    @property
    def voxels(self) -> int:
        """Their number."""
        return int(self.inside.sum())


def most_anisotropic(posterior: VolumePosterior, side: int = _SIDE) -> Region:
    """The box whose mean FA in the denoised tensors is largest, most of it in the mask.

    Args:
        posterior: of a volume.
        side: of the box in voxels.
    Returns:
        the region; of a volume that is thinner than the box in all directions, the mask.
    """
    mask = posterior.mask
    fa, _ = fa_and_md(posterior.tensors)
    sides = [min(side, n) for n in mask.shape]
    total = torch.nn.functional.avg_pool3d((fa * mask).float()[None, None], sides, stride=1)[0, 0]
    best = int(total.argmax())
    corner = torch.unravel_index(torch.tensor(best), total.shape)
    x, y, z = (slice(int(c), int(c) + n) for c, n in zip(corner, sides, strict=True))
    return Region((x, y, z), mask[x, y, z])


def mean_fa(tensors: Tensor, region: Region) -> float:
    """Mean FA over a region.

    Args:
        tensors: (6, X, Y, Z).
        region: with a voxel inside.
    Returns:
        the mean.
    """
    fa, _ = fa_and_md(tensors[:, *region.box])
    return float(fa[region.inside].mean())
