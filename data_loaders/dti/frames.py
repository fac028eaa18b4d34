"""Axes that b-vectors and tensor components refer to, and the change to voxel axes.

    voxel   the axes of the array: i, j, k
    fsl     the axes of the array, i reversed when det(affine) > 0 (FSL wants a left-handed frame)
    world   scanner axes: the affine's rotation takes voxel axes there

With g_voxel = Q g_frame, tensors change as D_voxel = Q D_frame Q^T.
Sources: MRtrix3 core/dwi/gradient.cpp (import and export of FSL b-vectors); FSL dtifit guide.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.dti.layouts import MANDEL
from mvnet.data_loaders.errors import DataError

FRAMES = ("voxel", "fsl", "world")


def to_voxel(frame: str, affine: np.ndarray) -> np.ndarray:
    """The orthogonal Q (3, 3) with g_voxel = Q g_frame.

    Args:
        frame: one of `FRAMES`.
        affine: (4, 4) voxel-to-world matrix; shears are dropped by the nearest orthogonal matrix.
    """
    if frame not in FRAMES:
        raise DataError(f"frame: found {frame!r}, expected one of {', '.join(FRAMES)}")
    linear = np.asarray(affine, dtype=np.float64)[:3, :3]
    if not np.isfinite(linear).all() or abs(np.linalg.det(linear)) < 1e-12:
        raise DataError("affine: found a singular or non-finite matrix, expected an invertible voxel-to-world affine")
    if frame == "voxel":
        return np.eye(3)
    if frame == "fsl":
        return np.diag([-1.0 if np.linalg.det(linear) > 0 else 1.0, 1.0, 1.0])
    u, _, vt = np.linalg.svd(linear / np.linalg.norm(linear, axis=0))
    return (u @ vt).T


def mandel_rotation(q: np.ndarray) -> np.ndarray:
    """The orthogonal (6, 6) matrix of D -> Q D Q^T on Mandel components."""
    basis = np.zeros((6, 3, 3))
    for k, (i, j) in enumerate(MANDEL):
        basis[k, i, j] = basis[k, j, i] = 1.0 if i == j else 0.5**0.5
    return np.einsum("aij,il,blm,jm->ab", basis, q, basis, q)


def rotate(planes: Tensor, q: np.ndarray) -> Tensor:
    """Q D Q^T on (6, *) Mandel planes. Sign changes are exact; the identity returns its input."""
    if np.array_equal(q, np.eye(3)):
        return planes
    matrix = mandel_rotation(q)
    if np.array_equal(np.abs(q), np.eye(3)):
        signs = torch.tensor(np.sign(np.diag(matrix)), dtype=planes.dtype, device=planes.device)
        return planes * signs.view(6, *[1] * (planes.ndim - 1))
    return torch.einsum("ab,b...->a...", torch.as_tensor(matrix, dtype=planes.dtype, device=planes.device), planes)
