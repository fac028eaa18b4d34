"""A manifold ODE block on the circle: a network predicts the angular velocity, an integrator rotates the phase.

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

_BOUND = 1.5  # c, the largest angular velocity: radians by which a phase can change


class CircleODE(nn.Module):
    """Flow of a phase image under a velocity that depends on features, time, the data and the phase itself.

    Args:
        fields: type of the features of 2x2 blocks, constant during the flow.
        hidden: type of the hidden layer, permutations only.
        levels: number of resolutions, from half on, at which w is averaged.
        steps: integrator steps over the unit interval.
        method: any Lie-group method of `mvnet.integrators`.
        gradient: a name of `mvnet.integrators.GRADIENTS` that goes with it.
        generator: source of the initial weights; torch's global generator when None.
    Shape:
        features (B, fields.channels, n, m), phase (B, 2 n, 2 m), planes (B, 2, 2 n, 2 m) -> (B, 2 n, 2 m);
        n and m are multiples of 2^(levels - 1).

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import field_type, group
        >>> from mvnet.nn import CircleODE, angle
        >>> fields, hidden = (field_type(group("D4xZ2"), {name: 1}) for name in ("sides", "regular"))
        >>> layer, planes = CircleODE(fields, hidden, levels=2), torch.randn(1, 2, 16, 24)
        >>> phase = layer(torch.randn(1, 4, 8, 12), angle(planes), planes)
        >>> torch.allclose(phase, angle(planes))  # the velocity is zero at the start
        True
    """

    def __init__(
        self,
        fields: FieldType,
        hidden: FieldType,
        levels: int = 3,
        steps: int = 1,
        method: str = "rkmk2",
        gradient: str = "discrete",
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        group = fields.group
        one, odd, corner = Trivial(group), Internal(group), corners(group)
        odd_corner = Kronecker(corner, odd)
        self.steps, self.method, self.gradient = steps, method, gradient
        self.features = GroupConv(fields, hidden, 1, generator=generator)
        blocks, means = FieldType((1, corner), (1, odd_corner)), FieldType((1, one), (1, odd))
        values = [blocks, *(means for _ in range(levels - 1))]
        self.values = nn.ModuleList(GroupConv(value, hidden, 3, bias=False, generator=generator) for value in values)
        self.time = GroupConv(FieldType((1, one)), hidden, 1, bias=False, generator=generator)
        nn.init.zeros_(self.time.weight)
        self.velocity = GroupConv(hidden, FieldType((1, odd_corner)), 1, generator=generator)
        nn.init.zeros_(self.velocity.weight)

    @property
    def receptive_radius(self) -> int:
        """Pixels on each side that the velocity of a pixel can depend on."""
        coarsest = 2 ** len(self.values)
        return 3 * coarsest - 1

    def forward(self, features: Tensor, phase: Tensor, planes: Tensor) -> Tensor:
        """Phase at time 1 of the flow.

        Args:
            features: shape (B, fields.channels, n, m), of the type `fields`.
            phase: shape (B, 2 n, 2 m), radians, at time 0.
            planes: shape (B, 2, 2 n, 2 m), real and imaginary part of the data z, any unit.
        Returns:
            shape (B, 2 n, 2 m), radians in (-pi, pi].
        """
        times = torch.linspace(0, 1, self.steps + 1, dtype=phase.dtype, device=phase.device)
        fixed = (self.features(features), planes)
        solver = {"action": CircleAction(), "method": self.method, "gradient": self.gradient}
        return odeint(self.xi, phase, times, args=fixed, save="last", **solver)

    def xi(self, t: Tensor, phi: Tensor, fixed: Tensor, planes: Tensor) -> Tensor:
        """The field of the flow.

        Args:
            t: scalar.
            phi: shape (B, 2 n, 2 m), radians.
            fixed: shape (B, hidden.channels, n, m), what the features contribute at every time.
            planes: shape (B, 2, 2 n, 2 m), real and imaginary part of the data z.
        Returns:
            shape (B, 2 n, 2 m), angular velocity in radians per unit of time.
        """
        # z -> w = z exp(-i phi)
        real, imaginary = planes.unbind(1)
        c, s = phi.cos(), phi.sin()
        w = torch.stack([real * c + imaginary * s, imaginary * c - real * s], 1)
        # w on 2x2 blocks, features, t -> hidden
        hidden = self.values[0](F.pixel_unshuffle(w, 2)).add_(fixed).add_(self.time(t.view(1, 1, 1, 1)))
        # + means of w over ever larger blocks, back at the resolution of the features
        mean = F.avg_pool2d(w, 2)
        for level, value in enumerate(self.values[1:], start=1):
            mean = F.avg_pool2d(mean, 2)
            coarse = value(2.0**level * mean)  # the noise of a mean over 4^level blocks is that of a block
            hidden = hidden.add_(F.interpolate(coarse, scale_factor=2.0**level, mode="bilinear"))
        # hidden -> bounded angular velocity of the four corners -> of pixels
        velocity = _BOUND * torch.tanh(self.velocity(F.silu(hidden)) / _BOUND)
        return F.pixel_shuffle(velocity, 2)[:, 0]
