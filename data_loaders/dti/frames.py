"""Axes that b-vectors and tensor components refer to, and the change to voxel axes.

    voxel   the axes of the array: i, j, k
    fsl     the axes of the array, i reversed when det(affine) > 0 (FSL wants a left-handed frame)
    world   scanner axes: the affine's rotation takes voxel axes there

With g_voxel = Q g_frame, tensors change as D_voxel = Q D_frame Q^T.
Sources: MRtrix3 core/dwi/gradient.cpp (import and export of FSL b-vectors); FSL dtifit guide.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.dti.layouts import FRAMES
from mvnet.data_loaders.errors import DataError
from mvnet.equivariant.groups import group
from mvnet.linalg.sym3 import MANDEL


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


def candidate_axes(
    given: str | None, usual: str, affine: np.ndarray, as_voxel: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Frames that directions may refer to -> the (3, 3) of `to_voxel`, the likeliest first.

    Args:
        given: the frame that the user names: then the only one.
        usual: the one that a file says, or that its tool writes; voxel axes are the alternative.
        affine: (4, 4) voxel-to-world matrix.
        as_voxel: what takes the directions to voxel axes when they were in those all along, and a reader has turned
            them by what its file says; None when it has not.
    """
    if given is not None:
        return {given: to_voxel(given, affine)}
    axes = {usual: to_voxel(usual, affine)}
    axes.setdefault("voxel", to_voxel("voxel", affine) if as_voxel is None else as_voxel)
    return axes


def mandel_rotation(q: np.ndarray) -> np.ndarray:
    """The orthogonal (6, 6) matrix of D -> Q D Q^T on Mandel components."""
    basis = np.zeros((6, 3, 3))
    for k, (i, j) in enumerate(MANDEL):
        basis[k, i, j] = basis[k, j, i] = 1.0 if i == j else 0.5**0.5
    return np.einsum("aij,il,blm,jm->ab", basis, q, basis, q)


def rotate(planes: Tensor, q: np.ndarray) -> Tensor:
    """Q D Q^T; exact where Q is a signed permutation, the input itself where it is the identity.

    Args:
        planes: (6, ...) Mandel planes of D.
        q: (3, 3) orthogonal.
    Returns:
        (6, ...)
    """
    if np.array_equal(q, np.eye(3)):
        return planes
    if np.isin(np.abs(q), (0, 1)).all():
        return _permute_axes(planes, q)
    matrix = torch.as_tensor(mandel_rotation(q), dtype=planes.dtype, device=planes.device)
    return torch.einsum("ab,b...->a...", matrix, planes)


def _permute_axes(planes: Tensor, q: np.ndarray) -> Tensor:
    """(Q D Q^T)_ij = s_i s_j D_{p_i p_j} for the signed permutation Q x = (s_i x_{p_i}): no rounding."""
    source, sign = np.abs(q).argmax(1), q.sum(1)
    place = {frozenset(ij): k for k, ij in enumerate(MANDEL)}
    return torch.stack(
        [float(sign[i] * sign[j]) * planes[place[frozenset((int(source[i]), int(source[j])))]] for i, j in MANDEL]
    )


@cache
def cube_symmetries() -> tuple[np.ndarray, ...]:
    """The 48 symmetries of the cube as (3, 3) signed permutations x'_i = s_i x_{p_i}.

    In the order of p = (0, 1, 2), (0, 2, 1), ... and then of s = (1, 1, 1), (1, 1, -1), ...: a random number that
    chooses one of them chooses the same in every version.
    """

    def place(q: np.ndarray) -> tuple[list[int], list[float]]:
        return np.abs(q).argmax(1).tolist(), (-q.sum(1)).tolist()

    return tuple(sorted(group("Oh").matrices.numpy(), key=place))
