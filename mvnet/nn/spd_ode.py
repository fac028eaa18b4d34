"""Move: a manifold ODE. A network predicts an element of gl(3), a Lie-group integrator acts with it.

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

_BOUND = 1.0  # of each entry of xi per unit time: one step can scale a tensor by about e^2


class Move(nn.Module):
    """Flow of Sym+(3)-valued voxels under a velocity that depends on features, time and the value itself.

    Args:
        fields: type of the features, constant during the flow.
        hidden: type of the hidden layer of the pointwise network phi, permutations only.
        steps: integrator steps over the unit interval.
        method: any Lie-group method of `mvnet.integrators`.
    """

    def __init__(self, fields: FieldType, hidden: FieldType, steps: int = 1, method: str = "rkmk2"):
        super().__init__()
        self.steps, self.method = steps, method
        group = fields.group
        self.features = GroupConv(fields, hidden, 1)
        self.value = GroupConv(FieldType((1, Sym2(group))), hidden, 1, bias=False)
        self.time = GroupConv(FieldType((1, Trivial(group))), hidden, 1, bias=False)
        nn.init.zeros_(self.time.weight)
        self.velocity = GroupConv(hidden, FieldType((1, Matrix(group))), 1)
        nn.init.zeros_(self.velocity.weight)

    def forward(self, features: Tensor, state: Tensor) -> Tensor:
        """features (B, C, ...), state (B, 6, ...) positive definite -> state at time 1, same shape."""
        fixed = self.features(features).contiguous()
        times = torch.linspace(0, 1, self.steps + 1, dtype=state.dtype, device=state.device)
        return odeint(self.xi, state, times, args=(fixed,), action=Congruence(dim=1), method=self.method, save="last")

    def xi(self, t: Tensor, z: Tensor, fixed: Tensor) -> Tensor:
        """The field: t scalar, z (B, 6, ...) positive definite, fixed (B, C, ...) -> (B, 9, ...) in gl(3)."""
        hidden = F.silu(fixed + self.value(sym3.log(z)) + self.time(t.view(1, 1, 1, 1, 1)))
        return _BOUND * torch.tanh(self.velocity(hidden) / _BOUND)
