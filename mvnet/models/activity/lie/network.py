"""A network that classifies curves on SO(3)^k x R^m, and does not see how the world is turned.

    R, v -> in the frame of the first rotation's mean (facing: turned about the vertical; torso: turned anyhow)
      -> R_j W_j, W_j in SO(3) (mapping) -> flow on SO(3)^k along the tree (manifold ODE block)
      -> tangent vectors log(R_j), log(R_p^T R_j), square-root velocities of log(R_t^T R_t+1), and the vectors
      -> mixing of examples, in training -> dilated temporal convolutions -> attention over time -> classes

The scores are those of several such streams, averaged. The frame makes them invariant under R -> g R, v -> g v, for
turns g about the vertical or for all rotations.
Source: paper sections 2.3 and 2.4.3; Huang, Wan, Probst, Van Gool, CVPR (2017), for the mapping; Zhang, Cisse, Dauphin,
Lopez-Paz, mixup, ICLR (2018); Srivastava et al., IEEE TPAMI 33 (2011), for the velocities.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.integrators.odeint import odeint
from mvnet.linalg import so3
from mvnet.manifolds.actions import RotationAction
from mvnet.models.activity.network import dilated_layers, draw
from mvnet.nn.rotations import RotationMapping

FRAME_NAMES = ("facing", "torso")
_SMALL = 1e-9
_HEADS = 4  # weighted means over time
Mix = tuple[Tensor, Tensor]
"""(other example of each (batch,), share of its own (batch,)): tangent vectors of two examples are added up."""


class TreeFlow(nn.Module):
    """The flow of R_j' = xi_j R_j on SO(3)^k, each joint moved by its parent and turned by the frame,

        xi_j = (a_j + b_j c_j) sin(theta_j) n_j + u_j,     R_p R_j^T a turn by theta_j about n_j, c_j = cos(theta_j)

    Args:
        parent: (joints,) index of the joint above; itself for a root, which moves by u_j alone.
        method: Lie-group integrator, a name of `mvnet.integrators.METHODS`.
        gradient: how its gradient is found, a name of `mvnet.integrators.GRADIENTS`.
    Shape:
        (..., joints, 3, 3) -> the same.
    Source: paper sections 2.3 and 2.4.3.
    """

    parent: Tensor

    def __init__(self, parent: Tensor, method: str = "rkmk2", gradient: str = "discrete"):
        super().__init__()
        self.register_buffer("parent", parent.clone())
        self.constant = nn.Parameter(torch.zeros(len(parent)))
        self.slope = nn.Parameter(torch.zeros(len(parent)))
        self.turn = nn.Parameter(torch.zeros(len(parent), 3))
        self.method, self.gradient = method, gradient

    def velocity(self, t: Tensor, r: Tensor) -> Tensor:
        """xi at a state.

        Args:
            t: time, not used: the field is autonomous.
            r: shape (..., joints, 3, 3), rotations.
        Returns:
            shape (..., joints, 3), axis vectors in radians per unit time.
        """
        relative = r[..., self.parent, :, :] @ r.mT
        cosine = (relative.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
        return (self.constant + self.slope * cosine).unsqueeze(-1) * so3.vee(relative) + self.turn

    def forward(self, r: Tensor) -> Tensor:
        """State at time 1 of the flow, one step.

        Args:
            r: shape (..., joints, 3, 3), rotations at time 0.
        Returns:
            shape (..., joints, 3, 3), rotations.
        """
        times = torch.tensor([0.0, 1.0], dtype=r.dtype, device=r.device)
        solver = {"action": RotationAction(), "method": self.method, "gradient": self.gradient}
        return odeint(self.velocity, r, times, save="last", **solver)


def align(r: Tensor, v: Tensor, frame: str) -> tuple[Tensor, Tensor]:
    """Curves in the frame of the mean M of their first rotation over time.

    R -> F^T R, v -> F^T v,    F: M made orthogonal column by column, or the turn about the vertical nearest to M

    Args:
        r: rotations (batch, frames, joints, 3, 3).
        v: vectors (batch, frames, m), m a multiple of 3.
        frame: "facing" or "torso".
    Returns:
        shapes of r and v.
    """
    mean = r[:, :, 0].mean(1)
    x, y = (mean[:, :, i] for i in (0, 1))
    if frame == "facing":
        c, s = mean[:, 0, 0] + mean[:, 1, 1], mean[:, 1, 0] - mean[:, 0, 1]
        zero = torch.zeros_like(c)
        x, y = torch.stack((c, s, zero), -1), torch.stack((-s, c, zero), -1)
    x = x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(_SMALL)
    y = y - (x * y).sum(-1, keepdim=True) * x
    y = y / torch.linalg.vector_norm(y, dim=-1, keepdim=True).clamp_min(_SMALL)
    axes = torch.stack((x, y, torch.linalg.cross(x, y)), -1)[:, None]
    points = v.unflatten(-1, (-1, 3)) @ axes  # rows v^T F = (F^T v)^T
    return axes[:, :, None].mT @ r, points.flatten(2)


class MotionStream(nn.Module):
    """One network of the average; arguments as in `BodyMotionNetwork`."""

    def __init__(
        self,
        above: Tensor,
        vectors: int,
        classes: int,
        width: int,
        dilations: Sequence[int],
        dropout: float,
        mapping: str,
        generator: torch.Generator,
    ):
        super().__init__()
        joints = len(above)
        self.mapping = RotationMapping(joints, coordinates=mapping, generator=generator)
        self.flow = TreeFlow(above)
        inputs = 9 * joints + vectors
        self.norm = nn.BatchNorm1d(inputs)
        self.first = draw(nn.Conv1d, inputs, width, 1, generator=generator)
        self.layers = dilated_layers(width, dilations, dropout, generator)
        self.attention = draw(nn.Conv1d, width, _HEADS, 1, generator=generator)
        size = (_HEADS + 1) * width
        self.last = nn.Sequential(nn.Dropout(dropout), draw(nn.Linear, size, classes, generator=generator))

    def tangent(self, r: Tensor, v: Tensor) -> Tensor:
        """Tangent vectors of every frame.

        Args:
            r: rotations (batch, frames, joints, 3, 3).
            v: vectors (batch, frames, m).
        Returns:
            (batch, 9 joints + m, frames).
        """
        # R -> mapped, moved along the flow -> log(R_j), log(R_p^T R_j), w / sqrt|w| with w = log(R_t^T R_t+1)
        r = self.flow(self.mapping(r))
        relative = r[:, :, self.flow.parent].mT @ r
        steps = r[:, :-1].mT @ r[:, 1:]
        logs = so3.log(torch.cat((r, relative, steps), 1))
        own, relative, velocity = logs.split((r.shape[1], r.shape[1], r.shape[1] - 1), 1)
        speed = (velocity.square().sum((-2, -1), keepdim=True) + 1e-8).sqrt()
        root = nn.functional.pad(velocity / speed.sqrt(), (0, 0, 0, 0, 0, 1))
        return torch.cat((torch.cat((own, relative, root), -1).flatten(2), v), -1).mT

    def embed(self, h: Tensor) -> Tensor:
        """What the classes are told from.

        Args:
            h: tangent vectors (batch, 9 joints + m, frames).
        Returns:
            (batch, 5 width).
        """
        h = self.first(self.norm(h))
        for layer in self.layers:
            h = h + layer(h)
        # four weighted means over time, and the maximum
        weights = self.attention(h).softmax(-1)
        return torch.cat(((weights @ h.mT).flatten(1), h.amax(-1)), -1)

    def forward(self, r: Tensor, v: Tensor, mix: Mix | None = None) -> Tensor:
        """Scores of the classes.

        Args:
            r: rotations (batch, frames, joints, 3, 3), aligned.
            v: vectors (batch, frames, m), aligned.
            mix: examples to add up in the tangent space; in training only.
        Returns:
            (batch, classes).
        """
        h = self.tangent(r, v)
        if mix is not None:
            other, share = mix
            h = h.lerp(h[other], 1 - share.view(-1, 1, 1))
        return self.last(self.embed(h))


class BodyMotionNetwork(nn.Module):
    """Scores of classes of curves of rotations and vectors, invariant to turns of the world.

    Args:
        joints: number of rotations in a frame, k.
        vectors: number of other values in a frame, m, a multiple of 3.
        classes: number of classes.
        parent: (joints,) the rotation that each is seen from; -1 for those seen in the frame.
        frame: "facing", invariant to turns about the vertical, or "torso", to all rotations.
        streams: number of networks that are averaged.
        width: channels of the convolutions, a multiple of 4.
        dilations: dilation of each convolution.
        dropout: share of the channels left out in training.
        seed: random seed of the initial weights; no other random state is read or changed.
        mapping: coordinates of `RotationMapping`; "manifold" is for the optimisers on manifolds.
        references: number n of training curves whose embedding is kept, as buffers `reference` (streams, n, 5 width)
            and `reference_labels` (n,).
    Raises:
        MvnetError: parent has another length or names a joint that is not there, or another frame.
    """

    likelihood = "categorical"
    """Of which the outputs are the scores; natural gradients take its Fisher information."""
    reference: Tensor
    reference_labels: Tensor

    def __init__(
        self,
        joints: int,
        vectors: int,
        classes: int,
        parent: Sequence[int],
        frame: str = "facing",
        streams: int = 2,
        width: int = 64,
        dilations: Sequence[int] = (1, 2, 4),
        dropout: float = 0.3,
        seed: int = 0,
        mapping: str = "axis",
        references: int = 0,
    ):
        super().__init__()
        self.config: dict[str, Any] = {
            "joints": joints,
            "vectors": vectors,
            "classes": classes,
            "parent": [int(p) for p in parent],
            "frame": frame,
            "streams": streams,
            "width": width,
            "dilations": list(dilations),
            "dropout": dropout,
            "seed": seed,
            "mapping": mapping,
            "references": references,
        }
        above = torch.tensor(self.config["parent"])
        if above.shape != (joints,) or above.max() >= joints:
            raise MvnetError(f"parent: found {list(above.shape)} indices up to {int(above.max())}, expected {joints}")
        if frame not in FRAME_NAMES:
            raise MvnetError(f"frame: found {frame!r}, expected one of {', '.join(FRAME_NAMES)}")
        above = torch.where(above < 0, torch.arange(joints), above)
        generator = torch.Generator().manual_seed(seed)
        self.streams = nn.ModuleList(
            MotionStream(above, vectors, classes, width, dilations, dropout, mapping, generator) for _ in range(streams)
        )
        self.register_buffer("reference", torch.zeros(streams, references, (_HEADS + 1) * width))
        self.register_buffer("reference_labels", torch.zeros(references, dtype=torch.long))

    def members(self) -> list[MotionStream]:
        """The streams.

        Returns:
            in their order.
        """
        return [stream for stream in self.streams if isinstance(stream, MotionStream)]

    def embed(self, r: Tensor, v: Tensor) -> Tensor:
        """What the streams tell the classes from.

        Args:
            r: rotations (batch, frames, joints, 3, 3).
            v: vectors (batch, frames, m).
        Returns:
            (streams, batch, 5 width).
        """
        r, v = align(r, v, self.config["frame"])
        return torch.stack([stream.embed(stream.tangent(r, v)) for stream in self.members()])

    def forward(self, r: Tensor, v: Tensor) -> Tensor:
        """Scores of the classes.

        Args:
            r: rotations (batch, frames, joints, 3, 3).
            v: vectors (batch, frames, m).
        Returns:
            (batch, classes).
        """
        return self.scores(self.embed(r, v))

    def scores(self, embedded: Tensor) -> Tensor:
        """Scores of the classes.

        Args:
            embedded: (streams, batch, 5 width).
        Returns:
            (batch, classes).
        """
        return torch.stack([stream.last(part) for stream, part in zip(self.members(), embedded)]).mean(0)
