"""SE(3) on itself by left multiplication: z = [R | m], xi = (w, u), z' = [hat(w) R | w x m + u].

It moves T*SO(3) too, right-trivialised: rotations R with angular momenta m, on which w x m is the coadjoint action.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg import so3
from mvnet.manifolds.actions import GroupAction


class RigidMotionAction(GroupAction):
    """z (..., 3, 4), the rotation in the first three columns; xi (..., 6), an axis vector and a velocity."""

    def act(self, xi: Tensor, z: Tensor) -> Tensor:
        """[exp(hat w) R | exp(hat w) m + dexp_w(u)]"""
        w, u = xi.split(3, -1)
        return _move(so3.exp(w), so3.dexp(w, u), z)

    def cay_act(self, xi: Tensor, z: Tensor) -> Tensor:
        """[cay(w) R | cay(w) m + (I - hat(w)/2)^-1 u], where (I - hat(w)/2)^-1 = (I + cay(w)) / 2"""
        w, u = xi.split(3, -1)
        rotation = so3.cayley(w)
        return _move(rotation, (u + (rotation @ u[..., None])[..., 0]) / 2, z)

    def bracket(self, a: Tensor, b: Tensor) -> Tensor:
        """[(w, u), (v, r)] = (w x v, w x r - v x u)"""
        (w, u), (v, r) = a.split(3, -1), b.split(3, -1)
        return torch.cat((_cross(w, v), _cross(w, r) - _cross(v, u)), -1)

    def dcayinv(self, u: Tensor, v: Tensor) -> Tensor:
        """v - [u, v]/2 - u v u/4 with u v u = (-(w . a) w, w x (a x s)) for u = (w, s), v = (a, b)"""
        (w, s), a = u.split(3, -1), v.split(3, -1)[0]
        product = torch.cat((-(w * a).sum(-1, keepdim=True) * w, _cross(w, _cross(a, s))), -1)
        return v - self.bracket(u, v) / 2 - product / 4

    def algebra_shape(self, z: Tensor) -> tuple[int, ...]:
        """(..., 6); MvnetError unless z has shape (..., 3, 4)."""
        if z.shape[-2:] != (3, 4):
            raise MvnetError(f"z: found shape {tuple(z.shape)}, expected rigid motions [R | m] (..., 3, 4)")
        return (*z.shape[:-2], 6)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.cross(*torch.broadcast_tensors(a, b))


def _move(rotation: Tensor, shift: Tensor, z: Tensor) -> Tensor:
    moved = rotation @ z
    shape = torch.broadcast_shapes(moved.shape[:-1], shift.shape)
    column = moved[..., 3:] + shift.expand(shape)[..., None]
    return torch.cat((moved[..., :3].expand(*shape, 3), column), -1)
