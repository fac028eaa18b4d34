"""Unit quaternions q = (w, x, y, z) as another view of rotations: R(q) = R(-q), w = cos(angle / 2).

For data that come as quaternions, and for networks that want four numbers; what is computed here works on matrices.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.errors import MvnetError

ORDERS = ("wxyz", "xyzw")
"""Where the scalar part stands."""


def to_rotation(q: Tensor, order: str = "wxyz") -> Tensor:
    """Rotation of a quaternion, R v = v + 2 w u x v + 2 u x (u x v) with q / |q| = (w, u).

    Args:
        q: shape (..., 4), not zero; its length does not matter.
        order: "wxyz", or "xyzw" as in scipy and ROS.
    Returns:
        rotations, shape (..., 3, 3).
    Raises:
        MvnetError: another shape or order.
    """
    w, x, y, z = _scalar_first(q / q.norm(dim=-1, keepdim=True), order).unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def from_rotation(r: Tensor, order: str = "wxyz") -> Tensor:
    """The unit quaternion of a rotation whose scalar part is not negative; accurate for every angle.

    Args:
        r: rotations, shape (..., 3, 3).
        order: "wxyz", or "xyzw" as in scipy and ROS.
    Returns:
        shape (..., 4).
    Raises:
        MvnetError: another shape or order.
    """
    if r.shape[-2:] != (3, 3):
        raise MvnetError(f"r: found shape {tuple(r.shape)}, expected (..., 3, 3)")
    q = parallel(r)
    q = q / q.norm(dim=-1, keepdim=True)
    return q if _checked(order) == "wxyz" else q.roll(-1, -1)


def parallel(r: Tensor) -> Tensor:
    """A multiple of the quaternion of a rotation, with w >= 0.

    K = 4 q q^T is linear in R. The row of K with the largest diagonal is parallel to q and never small (norm >= 2).

    Args:
        r: rotations, shape (..., 3, 3).
    Returns:
        shape (..., 4).
    Source: Bar-Itzhack, New method for extracting the quaternion from a rotation matrix (2000).
    """
    t = r.diagonal(dim1=-2, dim2=-1).sum(-1)
    a = torch.stack((r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]), -1)
    s = r + r.mT
    diagonal = (1 - t).unsqueeze(-1) + s.diagonal(dim1=-2, dim2=-1)
    k = torch.stack(
        (
            torch.stack((1 + t, a[..., 0], a[..., 1], a[..., 2]), -1),
            torch.stack((a[..., 0], diagonal[..., 0], s[..., 0, 1], s[..., 0, 2]), -1),
            torch.stack((a[..., 1], s[..., 0, 1], diagonal[..., 1], s[..., 1, 2]), -1),
            torch.stack((a[..., 2], s[..., 0, 2], s[..., 1, 2], diagonal[..., 2]), -1),
        ),
        -2,
    )
    best = k.diagonal(dim1=-2, dim2=-1).argmax(-1)
    row = k.gather(-2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    return torch.where(row[..., :1] < 0, -row, row)


def _scalar_first(q: Tensor, order: str) -> Tensor:
    if q.shape[-1:] != (4,):
        raise MvnetError(f"q: found shape {tuple(q.shape)}, expected (..., 4)")
    return q if _checked(order) == "wxyz" else q.roll(1, -1)


def _checked(order: str) -> str:
    if order not in ORDERS:
        raise MvnetError(f"order: found {order!r}, expected one of {', '.join(ORDERS)}")
    return order
