"""Layers on rotations: matrices in SO(3) go in and come out, until `LogMap` takes them to vectors.

Layout (batch, frames, joints, 3, 3). g stands for a rotation of the world, R -> g R of all at once.

| layer             | map                                              | under g               |
|-------------------|--------------------------------------------------|-----------------------|
| `RotationMapping` | R_j W_j (right) or W_j R_j (left), W_j in SO(3)  | right: equivariant    |
| `RotationMixing`  | R_j exp(sum_i w_ji log(R_j^T R_i)), w in [0, 1]  | equivariant           |
| `RotationPooling` | over frames: the mean, or the largest angle      | mean: equivariant     |
| `RotationFlow`    | flow of R_j' = xi_j R_j on SO(3)^k, learned xi   | equivariant           |
| `LogMap`          | log(R_i^T R_j) or log(R_j)                       | relative: invariant   |

Source: Huang, Wan, Probst, Van Gool, Deep learning on Lie groups for skeleton-based action recognition, CVPR (2017),
for mapping (left), pooling (angle) and log map; paper sections 2.3 and 2.4.3 for the flow.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.integrators.odeint import odeint
from mvnet.linalg import so3
from mvnet.manifolds.actions import RotationAction
from mvnet.manifolds.parameter import ManifoldParameter
from mvnet.manifolds.rotations import Rotations


class RotationMapping(nn.Module):
    """A learned rotation for each joint, W_j = exp(u_j): on SO(3) whatever the optimiser does to u.

    At u = 0 the gradient in u is the Riemannian gradient at the identity, so that a small step from there is a
    geodesic one. With coordinates "manifold" the parameter is W itself, and that holds everywhere: large turns take
    fewer steps, of the optimisers of `mvnet.optim.riemannian`.

    Args:
        joints: number of joints.
        side: "right" for R W (a change of each joint's own axes), "left" for W R.
        spread: standard deviation of u at the start, radians.
        coordinates: "axis" for a parameter `axis` of axis vectors u, "manifold" for a `ManifoldParameter` `rotation`.
        generator: source of the initial weights; torch's global generator when None.
    Shape:
        (..., joints, 3, 3) -> the same.
    Raises:
        MvnetError: when side or coordinates is another word.
    Source: Huang, Wan, Probst, Van Gool (2017), section 3.2; paper 6.2.1.

    Examples:
        >>> from mvnet.linalg import so3
        >>> from mvnet.nn import RotationMapping
        >>> import torch
        >>> r = so3.exp(torch.randn(2, 6, 5, 3))  # 2 sequences of 6 frames with 5 joints
        >>> RotationMapping(joints=5)(r).shape
        torch.Size([2, 6, 5, 3, 3])
    """

    def __init__(
        self,
        joints: int,
        side: str = "right",
        spread: float = 0.1,
        coordinates: str = "axis",
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if side not in ("right", "left"):
            raise MvnetError(f"side: found {side!r}, expected 'right' or 'left'")
        if coordinates not in ("axis", "manifold"):
            raise MvnetError(f"coordinates: found {coordinates!r}, expected 'axis' or 'manifold'")
        self.side, self.coordinates = side, coordinates
        axis = spread * torch.randn(joints, 3, generator=generator)
        if coordinates == "axis":
            self.axis = nn.Parameter(axis)
        else:
            self.rotation = ManifoldParameter(so3.exp(axis), Rotations())

    @property
    def weight(self) -> Tensor:
        """W, shape (joints, 3, 3)."""
        return so3.exp(self.axis) if self.coordinates == "axis" else self.rotation

    def forward(self, r: Tensor) -> Tensor:
        """R_j W_j or W_j R_j.

        Args:
            r: shape (..., joints, 3, 3), rotations.
        Returns:
            shape (..., joints, 3, 3), rotations.
        """
        return r @ self.weight if self.side == "right" else self.weight @ r


class RotationMixing(nn.Module):
    """Each joint moves towards others along geodesics: one step of a weighted mean, from the joint itself.

    out_j = R_j exp(sum_i w_ji log(R_j^T R_i)),        w = softmax(a) row by row, learned

    Args:
        joints: number of joints.
        own: logit of the joint itself at the start; those of the others are zero.
    Shape:
        (..., joints, 3, 3) -> the same.
    Source: paper section 2.3; Chakraborty et al., ManifoldNet (2020), for learned means.

    Examples:
        >>> from mvnet.linalg import so3
        >>> from mvnet.nn import RotationMixing
        >>> import torch
        >>> r = so3.exp(torch.randn(2, 6, 5, 3))  # 2 sequences of 6 frames with 5 joints
        >>> RotationMixing(joints=5)(r).shape
        torch.Size([2, 6, 5, 3, 3])
    """

    def __init__(self, joints: int, own: float = 2.0):
        super().__init__()
        self.logits = nn.Parameter(own * torch.eye(joints))

    def forward(self, r: Tensor) -> Tensor:
        """One step of the weighted mean, from every joint.

        Args:
            r: shape (..., joints, 3, 3), rotations.
        Returns:
            shape (..., joints, 3, 3), rotations.
        """
        # R_j^T R_i -> log -> weighted sum over i -> exp -> from R_j
        towards = so3.log(r.unsqueeze(-3).mT @ r.unsqueeze(-4))  # (..., j, i, 3)
        return r @ so3.exp((self.logits.softmax(-1).unsqueeze(-1) * towards).sum(-2))


class RotationPooling(nn.Module):
    """One rotation for every `size` frames; frames left over at the end are dropped.

    Args:
        size: number of frames that are pooled.
        kind: "mean", one step of the intrinsic mean from the middle frame, or "angle", the frame of the largest
            rotation angle, as in LieNet (not invariant under rotations of the world).
    Shape:
        (batch, frames, joints, 3, 3) -> (batch, frames // size, joints, 3, 3).
    Raises:
        MvnetError: when kind is another word.
    Source: Huang, Wan, Probst, Van Gool (2017), section 3.3, for "angle".

    Examples:
        >>> from mvnet.linalg import so3
        >>> from mvnet.nn import RotationPooling
        >>> import torch
        >>> r = so3.exp(torch.randn(2, 6, 5, 3))  # 2 sequences of 6 frames with 5 joints
        >>> RotationPooling(size=2)(r).shape
        torch.Size([2, 3, 5, 3, 3])
    """

    def __init__(self, size: int = 2, kind: str = "mean"):
        super().__init__()
        if kind not in ("mean", "angle"):
            raise MvnetError(f"kind: found {kind!r}, expected 'mean' or 'angle'")
        self.size, self.kind = size, kind

    def forward(self, r: Tensor) -> Tensor:
        """Pooled frames.

        Args:
            r: shape (batch, frames, joints, 3, 3), rotations.
        Returns:
            shape (batch, frames // size, joints, 3, 3), rotations.
        """
        windows = r[:, : r.shape[1] // self.size * self.size].unflatten(1, (-1, self.size))
        if self.kind == "mean":
            # middle M of every window -> mean of log(M^T R) -> exp -> from M
            middle = windows[:, :, self.size // 2]
            return middle @ so3.exp(so3.log(middle.unsqueeze(2).mT @ windows).mean(2))
        # the angle is largest where the trace is smallest
        trace = windows.diagonal(dim1=-2, dim2=-1).sum(-1)
        largest = trace.argmin(2, keepdim=True)[..., None, None].expand(-1, -1, -1, -1, 3, 3)
        return windows.gather(2, largest).squeeze(2)


class RotationFlow(nn.Module):
    """The flow of R_j' = xi_j R_j, xi_j = sum_i c_ji(angle) log(R_i R_j^T), solved on SO(3)^k by a Lie-group method.

    c_ji = A_ji + B_ji cos(angle of R_i R_j^T), learned matrices: attraction or repulsion by invariants only.

    Args:
        joints: k.
        steps: integrator steps over the unit interval.
        method: a Lie-group method of `mvnet.integrators.METHODS`.
        gradient: a name of `mvnet.integrators.GRADIENTS` that goes with it.
    Shape:
        (..., joints, 3, 3) -> the same.
    Source: paper sections 2.3 and 2.4.3.

    Examples:
        >>> from mvnet.linalg import so3
        >>> from mvnet.nn import RotationFlow
        >>> import torch
        >>> r = so3.exp(torch.randn(2, 6, 5, 3))  # 2 sequences of 6 frames with 5 joints
        >>> RotationFlow(joints=5)(r).shape
        torch.Size([2, 6, 5, 3, 3])
    """

    def __init__(self, joints: int, steps: int = 2, method: str = "rkmk2", gradient: str = "discrete"):
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(joints, joints))
        self.slope = nn.Parameter(torch.zeros(joints, joints))
        self.steps, self.method, self.gradient = steps, method, gradient

    def velocity(self, t: Tensor, r: Tensor) -> Tensor:
        """xi at a state.

        Args:
            t: time, not used: the field is autonomous.
            r: shape (..., joints, 3, 3), rotations.
        Returns:
            shape (..., joints, 3), axis vectors in radians per unit time.
        """
        # R_i R_j^T -> its angle -> c_ji -> weighted sum over i of the logs
        relative = r.unsqueeze(-4) @ r.unsqueeze(-3).mT  # (..., j, i, 3, 3) = R_i R_j^T
        cosine = (relative.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
        c = (self.constant + self.slope * cosine) / r.shape[-3]
        return (c.unsqueeze(-1) * so3.log(relative)).sum(-2)

    def forward(self, r: Tensor) -> Tensor:
        """State at time 1 of the flow.

        Args:
            r: shape (..., joints, 3, 3), rotations at time 0.
        Returns:
            shape (..., joints, 3, 3), rotations.
        """
        times = torch.linspace(0, 1, self.steps + 1, dtype=r.dtype, device=r.device)
        solver = {"action": RotationAction(), "method": self.method, "gradient": self.gradient}
        return odeint(self.velocity, r, times, save="last", **solver)


class LogMap(nn.Module):
    """Axis vectors, radians: of each joint relative to another, or in the world.

    Args:
        base: shape (joints,), long: the joint i relative to which j is taken, log(R_i^T R_j); None for log(R_j).
    Shape:
        (..., joints, 3, 3) -> (..., joints, 3).
    Source: Huang, Wan, Probst, Van Gool (2017), section 3.4.

    Examples:
        >>> from mvnet.linalg import so3
        >>> from mvnet.nn import LogMap
        >>> import torch
        >>> r = so3.exp(torch.randn(2, 6, 5, 3))  # 2 sequences of 6 frames with 5 joints
        >>> LogMap(torch.tensor([0, 0, 1, 2, 3]))(r).shape
        torch.Size([2, 6, 5, 3])
    """

    base: Tensor | None

    def __init__(self, base: Tensor | None = None):
        super().__init__()
        self.register_buffer("base", base)

    def forward(self, r: Tensor) -> Tensor:
        """Logarithms.

        Args:
            r: shape (..., joints, 3, 3), rotations.
        Returns:
            shape (..., joints, 3), axis vectors in radians.
        """
        return so3.log(r if self.base is None else r[..., self.base, :, :].mT @ r)
