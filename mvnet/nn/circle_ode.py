"""Move on the circle: a manifold ODE. A network predicts the angular velocity, a Lie-group integrator turns the phase.

    phi' = xi(t, phi; z, h),        xi = c tanh( W silu(phi(h) + V[w] + t) / c ),        w = z exp(-i phi)

The demodulated interferogram w is invariant to the global phase, its imaginary part odd under conjugation: Im w is the
gradient of the log-likelihood of phi under von Mises noise. Where the state is right, w is free of fringes, so that
means over ever larger blocks keep its signal and lose its noise. xi is of the odd type corners (x) internal.
Source: paper sections 2.3 and 2.4.3.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.equivariant import FieldType, GroupConv, Internal, Kronecker, Trivial
from mvnet.equivariant.pooling import corners
from mvnet.integrators import CircleAction, odeint

_BOUND = 1.5  # of the angular velocity: a pixel can turn by about that


class PhaseMove(nn.Module):
    """Flow of a phase image under a velocity that depends on features, time, the data and the phase itself.

    Args:
        fields: type of the features of 2x2 blocks, constant during the flow.
        hidden: type of the hidden layer, permutations only.
        levels: number of resolutions, from half on, at which w is looked at.
        steps: integrator steps over the unit interval.
        method: any Lie-group method of `mvnet.integrators`.
    """

    def __init__(self, fields: FieldType, hidden: FieldType, levels: int = 3, steps: int = 1, method: str = "rkmk2"):
        super().__init__()
        group = fields.group
        one, odd, corner = Trivial(group), Internal(group), corners(group)
        odd_corner = Kronecker(corner, odd)
        self.steps, self.method = steps, method
        self.features = GroupConv(fields, hidden, 1)
        blocks, means = FieldType((1, corner), (1, odd_corner)), FieldType((1, one), (1, odd))
        values = [blocks, *(means for _ in range(levels - 1))]
        self.values = nn.ModuleList(GroupConv(value, hidden, 3, bias=False) for value in values)
        self.time = GroupConv(FieldType((1, one)), hidden, 1, bias=False)
        nn.init.zeros_(self.time.weight)
        self.velocity = GroupConv(hidden, FieldType((1, odd_corner)), 1)
        nn.init.zeros_(self.velocity.weight)

    def reach(self) -> int:
        """Pixels on each side that the velocity of a pixel can depend on."""
        coarsest = 2 ** len(self.values)
        return 3 * coarsest - 1

    def forward(self, features: Tensor, phase: Tensor, planes: Tensor) -> Tensor:
        """features (B, C, n, m), phase (B, 2 n, 2 m), planes (B, 2, 2 n, 2 m) -> phase at time 1, (-pi, pi]."""
        times = torch.linspace(0, 1, self.steps + 1, dtype=phase.dtype, device=phase.device)
        fixed = (self.features(features), planes)
        return odeint(self.xi, phase, times, args=fixed, action=CircleAction(), method=self.method, save="last")

    def xi(self, t: Tensor, phi: Tensor, fixed: Tensor, planes: Tensor) -> Tensor:
        """The field: t scalar, phi (B, 2 n, 2 m) in radians, fixed (B, C, n, m), planes (B, 2, 2 n, 2 m) -> angular
        velocity (B, 2 n, 2 m)."""
        real, imaginary = planes.unbind(1)
        c, s = phi.cos(), phi.sin()
        # w = z exp(-i phi)
        w = torch.stack([real * c + imaginary * s, imaginary * c - real * s], 1)
        hidden = self.values[0](F.pixel_unshuffle(w, 2)).add_(fixed).add_(self.time(t.view(1, 1, 1, 1)))
        mean = F.avg_pool2d(w, 2)
        for level, value in enumerate(self.values[1:], start=1):
            mean = F.avg_pool2d(mean, 2)
            coarse = value(2.0**level * mean)  # the noise of a mean over 4^level blocks is that of a block
            hidden = hidden.add_(F.interpolate(coarse, scale_factor=2.0**level, mode="bilinear"))
        bounded = _BOUND * torch.tanh(self.velocity(F.silu(hidden)) / _BOUND)
        return F.pixel_shuffle(bounded, 2)[:, 0]
