"""Maps of a tensor volume on its voxel grid: FA, MD, principal direction and colour FA, each computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.dti.frames import to_voxel
from mvnet.errors import MvnetError
from mvnet.metrics import fractional_anisotropy, principal_direction


@dataclass(frozen=True, eq=False)
class TensorMaps:
    """Maps of diffusion tensors, 0 outside the mask, computed on first access and cached.

    planes: (6, X, Y, Z) Mandel planes in voxel axes.  mask: (X, Y, Z) bool.
    """

    planes: Tensor
    mask: Tensor

    @classmethod
    def of(cls, planes: Tensor, mask: Tensor) -> TensorMaps:
        """The maps of a volume.

        Args:
            planes: (6, X, Y, Z) Mandel planes in voxel axes, of any unit of diffusivity.
            mask: (X, Y, Z) bool, on the same device.
        Returns:
            maps that are computed on first access.
        Raises:
            MvnetError: the shapes do not fit.
        """
        if planes.ndim != 4 or planes.shape[0] != 6 or planes.shape[1:] != mask.shape:
            raise MvnetError(
                f"planes: found shape {tuple(planes.shape)} with a mask of shape {tuple(mask.shape)}, "
                "expected (6, X, Y, Z) with (X, Y, Z)"
            )
        return cls(planes, mask)

    @cached_property
    def fa(self) -> Tensor:
        """Fractional anisotropy, (X, Y, Z) in [0, 1]."""
        values = fractional_anisotropy(self.planes[:, self.mask][None])[0]
        return self._scatter(values.clamp(0, 1))

    @cached_property
    def md(self) -> Tensor:
        """Mean diffusivity (D_xx + D_yy + D_zz) / 3, (X, Y, Z), in the unit of the planes."""
        return self._scatter(self.planes[:3, self.mask].mean(0))

    @cached_property
    def v1(self) -> Tensor:
        """Principal direction, (3, X, Y, Z): unit vectors in voxel axes, of either sign."""
        return self._stack(principal_direction(self.planes[:, self.mask][None])[0], dim=0)

    def colour_fa(self, affine: np.ndarray) -> Tensor:
        """FA times |v1| in scanner axes: red left-right, green back-front, blue down-up, however the slices lie.

        Args:
            affine: (4, 4) voxel-to-world matrix.
        Returns:
            (X, Y, Z, 3) in [0, 1].
        """
        v1 = self.v1[:, self.mask]
        to_world = torch.as_tensor(to_voxel("world", affine).T, dtype=v1.dtype, device=v1.device)
        return self._stack((to_world @ v1).abs() * self.fa[self.mask], dim=-1)

    def _stack(self, rows: Tensor, dim: int) -> Tensor:
        return torch.stack([self._scatter(row) for row in rows], dim)

    def _scatter(self, values: Tensor) -> Tensor:
        """Values (n,) at the n voxels of the mask, in C order."""
        out = torch.zeros(self.mask.shape, dtype=values.dtype, device=values.device)
        out[self.mask] = values
        return out
