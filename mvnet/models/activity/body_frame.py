"""The frame of a moving body: its facing direction, and its mirror image.

Facing is one rotation about the vertical for a whole recording, beside the body's path from its mean position. It comes
from fitting a reference pose to the frames, without names of joints: the joints that move least beside each other, the
torso, weigh most,

    R = argmin sum_j w_j |R r_j - (x_j - c)|^2,      c = sum_j w_j x_j,      w_j ~ 1 / (variance of joint j + floor),

where r and w are estimated alternately from the training frames (maximum likelihood superposition).
Source: Kabsch, Acta Cryst. A 32 (1976) 922; Theobald, Wuttke, PNAS 103 (2006) 18521, diagonal covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg import so3
from mvnet.models.activity.mirror import find_mirror

_SWEEPS, _FRAMES = 8, 3000
_FLOOR = 0.2  # the variances of this share of the joints are taken as equal


@dataclass(frozen=True)
class BodyFrame:
    """A reference pose and the weights of its fit.

    Attributes:
        upright: (joints, 3) mean shape with z up, for the facing direction.
        weight: (joints,), sum 1.
        mirror: (joints,) the joint each becomes in a mirror, or None where the body has no such symmetry.
        turns: whether bodies turn about the vertical; False for poses in a plane y = 0.
    """

    upright: Tensor
    weight: Tensor
    mirror: Tensor | None
    turns: bool = True

    def centre(self, x: Tensor) -> Tensor:
        """sum_j w_j x_j.

        Args:
            x: positions (..., joints, 3).
        Returns:
            shape (..., 1, 3).
        """
        return (self.weight.unsqueeze(-1) * x).sum(-2, keepdim=True)

    def facing(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Positions seen facing the same way, about the centre, and the path of the centre about its mean.

        Args:
            x: (frames, joints, 3), one recording, z up.
        Returns:
            (frames, joints, 3) and (frames, 1, 3), unit of x.
        """
        c = self.centre(x)
        if not self.turns:
            return x - c, c - c.mean(0)
        r = _about_vertical(_yaw(self.upright, x - c, self.weight, together=True))
        return (x - c) @ r, (c - c.mean(0)) @ r

    def reflect(self, x: Tensor) -> Tensor:
        """The mirror image, left and right exchanged.

        Args:
            x: positions (..., joints, 3).
        Returns:
            shape of x.
        Raises:
            MvnetError: the skeleton has no left and right.
        """
        if self.mirror is None:
            raise MvnetError("mirror: found a skeleton without left and right, expected one with limbs in pairs")
        return x[..., self.mirror, :] * x.new_tensor([-1.0, 1.0, 1.0])

    @classmethod
    def estimate(cls, recordings: Sequence[Tensor], parent: Tensor | None, turns: bool = True) -> BodyFrame:
        """Reference pose, weights and mirror from training recordings.

        Args:
            recordings: each (frames, joints, 3), finite, z up.
            parent: (joints,), -1 at the root; None: no mirror is looked for.
            turns: whether bodies turn about the vertical.
        Returns:
            the frame.
        """
        x = torch.cat(list(recordings))
        x = x[:: max(1, len(x) // _FRAMES)]
        weight = _superpose(x)
        upright = _superpose_upright(x, weight, turns)
        mirror = None if parent is None else find_mirror(parent, upright)
        body = cls(upright, weight, mirror, turns)
        if mirror is None:
            return body
        both = torch.cat((x, body.reflect(x)))  # so that a recording and its mirror image get mirrored axes
        weight = _superpose(both)
        return cls(_superpose_upright(both, weight, turns), weight, mirror, turns)


def _fit(reference: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """R with R reference_j ~ y_j: the rotation nearest to sum_j w_j y_j reference_j^T."""
    return so3.project(torch.einsum("j,...jc,jd->...cd", weight, y, reference))


def _superpose(x: Tensor) -> Tensor:
    """Weights (joints,) of frames (n, joints, 3), estimated alternately with a freely rotating reference pose."""
    joints = x.shape[1]
    weight = x.new_full((joints,), 1 / joints)
    reference = x[0] - x[0].mean(0)
    for _ in range(_SWEEPS):
        y = x - (weight.unsqueeze(-1) * x).sum(-2, keepdim=True)
        y = y / (weight.unsqueeze(-1) * y * y).sum((1, 2), keepdim=True).sqrt().clamp_min(1e-12)
        reference = reference - (weight.unsqueeze(-1) * reference).sum(0)
        # y -> rotated onto the reference -> new reference, variances -> new weights
        rotated = y @ _fit(reference, y, weight)
        reference = rotated.mean(0)
        variance = (rotated - reference).square().sum(-1).mean(0)
        floor = variance.sort().values[min(joints - 1, max(2, int(_FLOOR * joints)))]
        weight = 1 / (variance + floor + 1e-9)
        weight = weight / weight.sum()
    return weight


def _superpose_upright(x: Tensor, weight: Tensor, turns: bool) -> Tensor:
    """Reference (joints, 3) of frames rotated about the vertical only, or not at all."""
    y = x - (weight.unsqueeze(-1) * x).sum(-2, keepdim=True)
    if not turns:
        return y.mean(0)
    reference = y[0]
    for _ in range(_SWEEPS):
        reference = (y @ _about_vertical(_yaw(reference, y, weight, together=False))).mean(0)
    return reference


def _yaw(reference: Tensor, y: Tensor, weight: Tensor, together: bool) -> Tensor:
    """Angle about z that takes the reference to y (n, joints, 3), for all frames together or each; radians."""
    dot = torch.einsum("j,nja,ja->n", weight, y[..., :2], reference[:, :2])
    cross = torch.einsum("j,nj,j->n", weight, y[..., 1], reference[:, 0]) - torch.einsum(
        "j,nj,j->n", weight, y[..., 0], reference[:, 1]
    )
    return torch.atan2(cross.sum(), dot.sum()) if together else torch.atan2(cross, dot)


def _about_vertical(angle: Tensor) -> Tensor:
    """Rotations (..., 3, 3) about z."""
    zero = torch.zeros_like(angle)
    return so3.exp(torch.stack((zero, zero, angle), -1))
