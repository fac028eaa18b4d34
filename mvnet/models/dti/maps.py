"""Maps of a tensor volume on its voxel grid, as FSL's dtifit and DIPY's dipy_fit_dti define them, each computed once.

With eigenvalues L1 >= L2 >= L3 and eigenvectors V1, V2, V3 of D, and the deviatoric part A = D - MD I:

    MD = (L1 + L2 + L3) / 3      AD = L1      RD = (L2 + L3) / 2
    FA = sqrt(3/2) |A| / |D|     mode = 3 sqrt(6) det(A / |A|), from planar, -1, to linear, 1
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.dti.frames import to_voxel
from mvnet.errors import MvnetError
from mvnet.linalg import sym3
from mvnet.metrics import fractional_anisotropy

_ISOTROPIC = 1e-6  # |A| / |D| below which rounding alone gives A its shape


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
    def eigenvalues(self) -> Tensor:
        """L1 >= L2 >= L3, (3, X, Y, Z), in the unit of the planes."""
        return self._stack(sym3.eigvals(self.planes[:, self.mask], dim=0).flip(0), dim=0)

    @cached_property
    def ad(self) -> Tensor:
        """Axial diffusivity L1, (X, Y, Z), in the unit of the planes."""
        return self.eigenvalues[0]

    @cached_property
    def rd(self) -> Tensor:
        """Radial diffusivity (L2 + L3) / 2, (X, Y, Z), in the unit of the planes."""
        return self.eigenvalues[1:].mean(0)

    @cached_property
    def mode(self) -> Tensor:
        """Mode of the anisotropy 3 sqrt(6) det(A / |A|), (X, Y, Z) in [-1, 1]; 0 where the tensor is isotropic.

        Source: Ennis, Kindlmann, Magn. Reson. Med. 55 (2006) 136-146, equation 9.
        """
        planes = self.planes[:, self.mask]
        deviatoric = torch.cat([planes[:3] - planes[:3].mean(0), planes[3:]])
        norm = deviatoric.norm(dim=0)
        unit = deviatoric / norm.clamp_min(torch.finfo(norm.dtype).tiny)
        values = (3 * 6**0.5 * sym3.det(unit, dim=0)).clamp(-1, 1)
        return self._scatter(torch.where(norm > _ISOTROPIC * planes.norm(dim=0), values, 0.0))

    @cached_property
    def directions(self) -> Tensor:
        """V1, V2, V3: (3, 3, X, Y, Z), the vector, then its components; orthonormal, voxel axes, of either sign."""
        columns = sym3.eigenvectors(self.planes[:, self.mask], dim=0).unflatten(0, (3, 3))  # (component, ascending, n)
        return torch.stack([self._stack(columns[:, k], dim=0) for k in (2, 1, 0)])

    @cached_property
    def v1(self) -> Tensor:
        """Principal direction V1, (3, X, Y, Z): unit vectors in voxel axes, of either sign."""
        return self.directions[0]

    def directions_in(self, frame: str, affine: np.ndarray) -> Tensor:
        """V1, V2, V3 in the axes of a frame.

        Args:
            frame: "fsl", "voxel" or "world"; see `mvnet.data_loaders.dti.frames`.
            affine: (4, 4) voxel-to-world matrix.
        Returns:
            (3, X, Y, Z, 3): the vector, the voxel, its components.
        """
        back = torch.as_tensor(to_voxel(frame, affine).T, dtype=self.planes.dtype, device=self.planes.device)
        return torch.einsum("ab,kbxyz->kxyza", back, self.directions)

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
