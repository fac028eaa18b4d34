"""Gradient flows on symmetric positive definite matrices (paper section 2.4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.fields.activations import Activation, get_activation
from mvnet.fields.base import VectorField
from mvnet.fields.in_time import TimeGrid, check_count, draw
from mvnet.fields.on_manifolds.convex import CONVEX
from mvnet.manifolds.actions import Congruence
from mvnet.manifolds.spd import SPD


class SPDGradientFlow(VectorField):
    """-grad V on Sym+(n), V(t, P) = sum_k gamma(w_k(t) g_k(t, P) + b_k(t)), gamma' = sigma, w_k > 0.

    The analogue of (16): g_k are geodesically convex (see `mvnet.fields.on_manifolds.convex`), and V is too where gamma
    rises and is convex, sigma >= 0 and sigma' >= 0. Sym+(n) has non-positive curvature, so then no two solutions move
    apart, in the affine-invariant distance. An explicit step can move them apart at any size; a proximal step does not.

    z (..., n, n); the values are elements of gl(n) for `Congruence`: z' = xi z + z xi^T.

    Args:
        size: n.
        hidden: number of functions g_k of each kind.
        functions: kinds, names of `CONVEX`.
        intervals, duration, kind: in time; see `TimeGrid`.
        sigma: a name of `ACTIVATIONS` or an `Activation`, monotone.
        scale: of the initial parameters.
        generator: source of the initial values; torch's global generator when None.

    Examples:
        >>> import torch
        >>> from mvnet.fields import SPDGradientFlow
        >>> from mvnet.integrators import odeint
        >>> field = SPDGradientFlow(3, functions=("distance", "log_det"), generator=torch.Generator().manual_seed(0))
        >>> odeint(field, torch.eye(3).expand(5, 3, 3), [0.0, 0.1, 0.2], method="rkmk3", save="last").shape
        torch.Size([5, 3, 3])
    """

    preserves: ClassVar[frozenset[str]] = frozenset({"manifold", "contractive", "energy"})
    """"contractive" for a sigma >= 0: see `one_sided_bound`."""

    def __init__(
        self,
        size: int,
        *,
        hidden: int = 2,
        functions: Sequence[str] = tuple(CONVEX),
        intervals: int = 1,
        duration: float = 1.0,
        kind: str = "constant",
        sigma: str | Activation = "sigmoid",
        scale: float = 0.5,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_count("size", size)
        check_count("hidden", hidden)
        unknown = [name for name in functions if name not in CONVEX]
        if unknown or not functions:
            raise MvnetError(f"functions: found {list(functions)}, expected some of {', '.join(CONVEX)}")
        self.grid, self.sigma = TimeGrid(intervals, duration, kind), get_activation(sigma, monotone=True)
        self.action, self.manifold = Congruence(), SPD(size)
        kinds = [CONVEX[name](size, hidden, self.grid, scale, generator) for name in functions]
        self.functions = nn.ModuleList(kinds)
        self.weight = draw((self.grid.count, len(kinds) * hidden), scale, generator)
        self.bias = draw((self.grid.count, len(kinds) * hidden), scale, generator)

    def energy(self, t: Tensor, z: Tensor) -> Tensor:
        """V(t, z)

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: points (..., n, n).
        Returns:
            shape (...).
        """
        return self._evaluate(t, z)[0]

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """xi = sum_k sigma(w_k g_k + b_k) w_k xi_k, xi_k the descent of g_k

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: points (..., n, n).
        Returns:
            elements of gl(n), (..., n, n).
        """
        return self._evaluate(t, z)[1]

    def _evaluate(self, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        found = [functions(t, z) for functions in self.functions]
        value, xi = (torch.cat(parts, dim) for parts, dim in zip(zip(*found, strict=True), (-1, -3), strict=True))
        w, b = self.grid.at(t, F.softplus(self.weight), self.bias, batch=z.ndim - 2)
        s = w * value + b
        return self.sigma.antiderivative(s).sum(-1), ((self.sigma(s) * w)[..., None, None] * xi).sum(-3)

    def one_sided_bound(self) -> Tensor | None:
        """0 where V is geodesically convex; None for a sigma that takes both signs."""
        return self.weight.new_zeros(()) if self.sigma.nonnegative else None
