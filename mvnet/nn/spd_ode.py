"""A manifold ODE block on SPD matrices: a network predicts an element of gl(3), a Lie-group integrator acts with it.

    z' = xi(t, z) . z = xi z + z xi^T,      xi(t, z) = c tanh( W [phi(features), log z, t] / c )  in gl(3)

Every step of the integrator is a congruence P -> A P A^T with A = exp(...), so the state is positive definite at every
step size. The bound c keeps the exponential's argument in the range where its fixed-cost evaluation is exact. The tanh
of each entry is odd, and the symmetries of the cube permute the entries of xi up to sign: the bound commutes with them.
Source: paper section 2.3 (networks on manifolds), section 2.4.3 (Lie-group integrators).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.equivariant import FieldType, GroupConv, Matrix, Sym2, Trivial
from mvnet.integrators import Congruence, odeint
from mvnet.linalg import sym3

_BOUND = 1.0  # c, the largest entry of xi per unit time: one step can scale a tensor by about e^2


class SPDODE(nn.Module):
    """Flow of Sym+(3)-valued voxels under a velocity that depends on features, time and the value itself.

    Args:
        fields: type of the features, constant during the flow.
        hidden: type of the hidden layer of the pointwise network phi, permutations only.
        steps: integrator steps over the unit interval.
        method: any Lie-group method of `mvnet.integrators`.
        gradient: a name of `mvnet.integrators.GRADIENTS` that goes with it.
        generator: source of the initial weights; torch's global generator when None.
    Shape:
        features (B, fields.channels, D, H, W), state (B, 6, D, H, W) -> (B, 6, D, H, W).

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import field_type, group
        >>> from mvnet.nn import SPDODE
        >>> fields, hidden = (field_type(group("Oh"), {name: 1}) for name in ("faces", "flags"))
        >>> layer = SPDODE(fields, hidden, steps=2, method="rkmk3")
        >>> tensors = torch.tensor([1.0, 2, 3, 0, 0, 0]).view(1, 6, 1, 1, 1).repeat(1, 1, 3, 4, 5)
        >>> torch.allclose(layer(torch.randn(1, 6, 3, 4, 5), tensors), tensors)  # the velocity is zero at the start
        True
    """

    def __init__(
        self,
        fields: FieldType,
        hidden: FieldType,
        steps: int = 1,
        method: str = "rkmk2",
        gradient: str = "discrete",
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.steps, self.method, self.gradient = steps, method, gradient
        group = fields.group
        self.features = GroupConv(fields, hidden, 1, generator=generator)
        self.value = GroupConv(FieldType((1, Sym2(group))), hidden, 1, bias=False, generator=generator)
        self.time = GroupConv(FieldType((1, Trivial(group))), hidden, 1, bias=False, generator=generator)
        nn.init.zeros_(self.time.weight)
        self.velocity = GroupConv(hidden, FieldType((1, Matrix(group))), 1, generator=generator)
        nn.init.zeros_(self.velocity.weight)

    def forward(self, features: Tensor, state: Tensor) -> Tensor:
        """State at time 1 of the flow.

        Args:
            features: shape (B, fields.channels, D, H, W), of the type `fields`.
            state: shape (B, 6, D, H, W), positive definite, Mandel planes.
        Returns:
            shape (B, 6, D, H, W), positive definite, in the unit of the state.
        """
        fixed = self.features(features).contiguous()
        times = torch.linspace(0, 1, self.steps + 1, dtype=state.dtype, device=state.device)
        solver = {"action": Congruence(dim=1), "method": self.method, "gradient": self.gradient}
        return odeint(self.xi, state, times, args=(fixed,), save="last", **solver)

    def xi(self, t: Tensor, z: Tensor, fixed: Tensor) -> Tensor:
        """The field of the flow.

        Args:
            t: scalar.
            z: shape (B, 6, D, H, W), positive definite, Mandel planes.
            fixed: shape (B, hidden.channels, D, H, W), what the features contribute at every time.
        Returns:
            shape (B, 9, D, H, W), in gl(3), row-major planes.
        """
        # features, log z, t -> hidden -> xi in gl(3), bounded entry by entry
        hidden = F.silu(fixed + self.value(sym3.log(z)) + self.time(t.view(1, 1, 1, 1, 1)))
        return _BOUND * torch.tanh(self.velocity(hidden) / _BOUND)
