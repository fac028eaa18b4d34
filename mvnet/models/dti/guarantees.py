"""Guarantees of the DTI network, measured on random volumes.

Every output tensor is positive definite, and rotating or reflecting a volume (voxels, tensors and the shape of a voxel)
does the same to the result, for every symmetry of the cube (the measure of paper section 5.3.3). On voxels of unequal
sides the symmetries are those of the box, which preserve the shape of a voxel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.equivariant import FieldType, Group, Sym2, Trivial, equivariance_error, field_type, voxel_group
from mvnet.linalg import sym3
from mvnet.models.dti.inputs import feature_planes
from mvnet.models.dti.network import SCALARS, DTIDenoiser
from mvnet.models.guarantee import LIMITS, Guarantee, precision

_SIDE = 10
_SPACINGS = ((1.0, 1.0, 1.0), (1.0, 1.0, 2.5), (1.0, 1.5, 2.5))


def verify_dti(model: DTIDenoiser, seed: int) -> list[Guarantee]:
    """Measure positivity, and equivariance for cubic, tetragonal and orthorhombic voxels in both precisions.

    Args:
        model: on the CPU; its dtype is restored.
        seed: random seed of the volumes.
    Returns:
        the smallest eigenvalue, then one equivariance error for each precision and voxel.
    """
    found: list[Guarantee] = []
    given = next(model.parameters()).dtype
    smallest = float("inf")
    for dtype, limit in LIMITS.items():
        model.to(dtype)
        for spacing in _SPACINGS:
            symmetry = voxel_group(spacing)
            x = random_volume(seed, spacing, dtype)

            def network(planes: Tensor) -> Tensor:
                return model(planes[:, :6], planes[:, 6:]).tensors

            error = equivariance_error(network, symmetry, x, input_type(symmetry), field_type(symmetry, {"sym2": 1}))
            sides = ":".join(f"{s:g}" for s in spacing)
            name = (
                f"equivariance error, {symmetry.name} ({symmetry.order} elements), voxels {sides}, {precision(dtype)}"
            )
            found.append(Guarantee(name, error.largest, limit))
            with torch.no_grad():
                smallest = min(smallest, float(sym3.eigvals(network(x)).min()))
    model.to(given)
    return [Guarantee("smallest eigenvalue of an output tensor", smallest, 0.0, lower=True), *found]


def input_type(symmetry: Group) -> FieldType:
    """Field type of the tensors, the scalar planes and the shape of a voxel, in this order.

    Args:
        symmetry: group of the grid.
    Returns:
        the type, of 17 channels.
    """
    return FieldType((1, Sym2(symmetry)), (len(SCALARS), Trivial(symmetry)), (1, Sym2(symmetry)))


def random_volume(seed: int, spacing: tuple[float, ...], dtype: torch.dtype) -> Tensor:
    """Random tensors around typical tissue, random maps, and a mask without symmetry.

    Args:
        seed: random seed.
        spacing: lengths of the sides of a voxel.
        dtype: dtype of the result.
    Returns:
        tensors and features, (1, 17, n, n, n).
    """
    random = torch.Generator().manual_seed(seed)
    shape = (_SIDE,) * 3
    tensors = 0.75 * sym3.exp(0.3 * torch.randn(1, 6, *shape, generator=random, dtype=torch.float64))
    mask = torch.rand(shape, generator=random) < 0.9
    b0, noise, residual = (0.5 + torch.rand(shape, generator=random, dtype=torch.float64) for _ in range(3))
    features = feature_planes(mask, b0, 0.1 * noise, residual, spacing=spacing)
    return torch.cat([tensors, features[None]], 1).to(dtype)
