"""A network that classifies curves of rotations, invariant to global rotation.

    rotations -> learned mixing of joints -> flow on SO(3)^k -> axes of each joint (mapping)
              -> invariants: log(R_i^T R_j) of neighbours, square-root velocity of log(R_t^T R_t+1)
              -> dilated temporal convolutions -> mean and maximum over time -> classes

All that comes before the invariants is equivariant under R -> g R, so the classes do not change with g.
Source: paper sections 2.3 and 2.4.3; layers in `mvnet.nn.rotations`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.linalg import so3
from mvnet.nn.rotations import LogMap, RotationFlow, RotationMapping, RotationMixing


class LieMotionNetwork(nn.Module):
    """Scores of classes of curves of rotations, invariant under R -> g R.

    Args:
        joints: number of rotations in a frame.
        classes: number of classes.
        parent: (joints,) the rotation that each is seen from; -1 (the first) or None: the one before it.
        width: channels of the convolutions.
        dilations: dilation of each convolution.
        dropout: share of the channels left out in training.
        flow_steps: steps of the solver.
        seed: random seed of the initial weights; no other random state is read or changed.
        mapping: coordinates of `RotationMapping`; "manifold" is for the optimisers on manifolds.
        method: Lie-group integrator of the flow, a name of `mvnet.integrators.METHODS`.
        gradient: how its gradient is found, a name of `mvnet.integrators.GRADIENTS`.
    Raises:
        MvnetError: parent has another length or names a joint that is not there.
    """

    likelihood = "categorical"
    """Of which the outputs are the scores; natural gradients take its Fisher information."""

    def __init__(
        self,
        joints: int,
        classes: int,
        parent: Sequence[int] | None = None,
        width: int = 64,
        dilations: Sequence[int] = (1, 2, 4),
        dropout: float = 0.3,
        flow_steps: int = 2,
        seed: int = 0,
        mapping: str = "axis",
        method: str = "rkmk2",
        gradient: str = "discrete",
    ):
        super().__init__()
        self.config: dict[str, Any] = {
            "joints": joints,
            "classes": classes,
            "parent": None if parent is None else [int(p) for p in parent],
            "width": width,
            "dilations": list(dilations),
            "dropout": dropout,
            "flow_steps": flow_steps,
            "seed": seed,
            # what older configurations lack is named where it is not theirs
            **({} if mapping == "axis" else {"mapping": mapping}),
            **({} if method == "rkmk2" else {"method": method}),
            "gradient": gradient,
        }
        above = torch.arange(joints) - 1 if parent is None else torch.tensor(self.config["parent"])
        if above.shape != (joints,) or above.max() >= joints:
            raise MvnetError(f"parent: found {list(above.shape)} indices up to {int(above.max())}, expected {joints}")
        above = torch.where(above < 0, joints - 1 - torch.arange(joints), above)
        generator = torch.Generator().manual_seed(seed)
        self.mixing = RotationMixing(joints)
        self.flow = RotationFlow(joints, flow_steps, method, gradient)
        self.mapping = RotationMapping(joints, coordinates=mapping, generator=generator)
        self.relative = LogMap(above)
        self.first = draw(nn.Conv1d, 6 * joints, width, 1, generator=generator)
        self.layers = dilated_layers(width, dilations, dropout, generator)
        self.last = nn.Sequential(nn.Dropout(dropout), draw(nn.Linear, 2 * width, classes, generator=generator))

    def invariants(self, r: Tensor) -> Tensor:
        """Relative rotations, and square-root velocities in the joints' own axes.

        Args:
            r: curves (batch, frames, joints, 3, 3).
        Returns:
            (batch, frames, 6 joints).
        """
        # R -> W: mixed, moved along the flow, in the joints' own axes -> log(W_t^T W_t+1) -> v / sqrt|v|
        r = self.mapping(self.flow(self.mixing(r)))
        velocity = so3.log(r[:, :-1].mT @ r[:, 1:])
        speed = (velocity.square().sum((-2, -1), keepdim=True) + 1e-8).sqrt()
        root = nn.functional.pad(velocity / speed.sqrt(), (0, 0, 0, 0, 0, 1))
        return torch.cat((self.relative(r), root), -1).flatten(2)

    def forward(self, r: Tensor) -> Tensor:
        """Scores of the classes.

        Args:
            r: curves (batch, frames, joints, 3, 3).
        Returns:
            (batch, classes).
        """
        h = self.first(self.invariants(r).mT)
        for layer in self.layers:
            h = h + layer(h)
        return self.last(torch.cat((h.mean(-1), h.amax(-1)), -1))


def dilated_layers(width: int, dilations: Sequence[int], dropout: float, generator: torch.Generator) -> nn.ModuleList:
    """Convolutions over time, each after a norm, a nonlinearity and dropout, for residual steps.

    Args:
        width: number of channels.
        dilations: frames between the five taps of each.
        dropout: probability that a channel is left out in training.
        generator: source of the initial weights.
    Returns:
        a layer for every dilation, (B, width, T) to the same shape.
    """
    return nn.ModuleList(
        nn.Sequential(
            nn.GroupNorm(4, width),
            nn.GELU(),
            nn.Dropout1d(dropout),
            draw(nn.Conv1d, width, width, 5, 1, 2 * d, d, generator=generator),
        )
        for d in dilations
    )


def draw(layer: type[nn.Conv1d] | type[nn.Linear], *sizes: int, generator: torch.Generator) -> nn.Module:
    """A layer with torch's own initial weights, U(-1, 1) / sqrt(fan in).

    Args:
        layer: nn.Conv1d or nn.Linear.
        sizes: its arguments.
        generator: source of the weights.
    Returns:
        the layer.
    """
    module = nn.utils.skip_init(layer, *sizes)
    weight, bias = module.get_parameter("weight"), module.get_parameter("bias")
    nn.init.kaiming_uniform_(weight, a=5**0.5, generator=generator)
    bound = 1 / weight[0].numel() ** 0.5
    nn.init.uniform_(bias, -bound, bound, generator=generator)
    return module
