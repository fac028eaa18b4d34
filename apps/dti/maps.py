"""Maps derived from a tensor volume: FA, MD and colour FA on the voxel grid."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def fa_map(planes: Tensor, mask: Tensor) -> Tensor:
    """Fractional anisotropy in the mask, 0 outside: (6, X, Y, Z) Mandel planes -> (X, Y, Z)."""
    from mvnet.metrics import fractional_anisotropy

    values = fractional_anisotropy(planes[:, mask][None])[0]
    return _scatter(values.clamp(0, 1), mask)


def md_map(planes: Tensor, mask: Tensor) -> Tensor:
    """Mean diffusivity in the mask, in the unit of the planes, 0 outside: (6, X, Y, Z) -> (X, Y, Z)."""
    return _scatter(planes[:3, mask].mean(0), mask)


def colour_fa(planes: Tensor, mask: Tensor, affine: np.ndarray) -> Tensor:
    """FA times |e1| in scanner axes: red left-right, green back-front, blue down-up, however the slices lie.

    Args:
        planes: (6, X, Y, Z) Mandel planes in voxel axes.
        mask: (X, Y, Z) bool.
        affine: (4, 4) voxel-to-world matrix.
    Returns:
        (X, Y, Z, 3) in [0, 1], 0 outside the mask.
    """
    from mvnet.data_loaders.dti.frames import to_voxel
    from mvnet.metrics import principal_direction

    e1 = principal_direction(planes[:, mask][None])[0]  # (3, n), voxel axes
    to_world = torch.as_tensor(to_voxel("world", affine).T, dtype=e1.dtype)
    rgb = (to_world @ e1).abs() * fa_map(planes, mask)[mask]
    return torch.stack([_scatter(channel, mask) for channel in rgb], dim=-1)


def _scatter(values: Tensor, mask: Tensor) -> Tensor:
    out = torch.zeros(mask.shape, dtype=values.dtype)
    out[mask] = values
    return out
