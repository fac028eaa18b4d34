"""Gradient flows of convex functions, z' = -A^T sigma(A z + b) (paper section 2.1.1, eq. (16))."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mvnet.fields.activations import Activation, get_activation
from mvnet.fields.bounds import smallest_stretch, spectral_norm
from mvnet.fields.energy import EnergyVectorField
from mvnet.fields.in_time import TimeGrid
from mvnet.fields.potentials import RidgePotential


class GradientFlow(EnergyVectorField):
    """f(t, z) = -A(t)^T sigma(A(t) z + b(t)) = -grad V(t, z), V = sum_j gamma((A z + b)_j): paper eq. (16).

    Two solutions never move apart (Theorem 2.1). An explicit step needs more: see `step_bound`.

    Args:
        features: d.
        hidden: rows of A, d when None. With fewer rows than columns V has flat directions.
        intervals, duration, kind: in time; see `TimeGrid`.
        sigma: a name of `ACTIVATIONS` or an `Activation`, monotone.
        scale: of the initial weights and biases; see `RidgePotential`.
        generator: source of the initial values; torch's global generator when None.

    Examples:
        >>> import torch
        >>> from mvnet.fields import GradientFlow
        >>> field = GradientFlow(3, hidden=8, generator=torch.Generator().manual_seed(0))
        >>> t, z, w = torch.tensor(0.0), torch.zeros(3), torch.ones(3)
        >>> bool((field(t, z) - field(t, w)) @ (z - w) <= 0)
        True
        >>> h = field.step_bound()
        >>> bool((z + h * field(t, z) - w - h * field(t, w)).norm() <= (z - w).norm())
        True
    """

    preserves: ClassVar[frozenset[str]] = frozenset({"contractive", "energy"})

    def __init__(
        self,
        features: int,
        *,
        hidden: int | None = None,
        intervals: int = 1,
        duration: float = 1.0,
        kind: str = "constant",
        sigma: str | Activation = "tanh",
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.grid = TimeGrid(intervals, duration, kind)
        sigma = get_activation(sigma, monotone=True)
        hidden = features if hidden is None else hidden
        self.potential = RidgePotential(features, hidden, self.grid, sigma, scale, generator)

    def energy(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """V(t, z)"""
        return self.potential(t, z)

    def gradient(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """A^T sigma(A z + b)"""
        return self.potential.gradient(t, z)

    def structure(self, t: Tensor, z: Tensor, v: Tensor, *args: Tensor) -> Tensor:
        """-v"""
        return -v

    def one_sided_bound(self) -> Tensor:
        """-(min sigma') mu_*^2 <= 0, mu_* the smallest stretch |A x| / |x| over all x and the values of A.

        Returns:
            nu; 0 where sigma' comes near 0, and for parameters joined by lines: mu may be smaller between two values.
        """
        weight = self.potential.weight
        if self.grid.kind == "linear":
            return weight.new_zeros(())
        return -self.potential.sigma.slopes[0] * smallest_stretch(weight).amin().square()

    def least_one_sided_bound(self) -> Tensor:
        """-(max sigma') mu_*^2 <= nu: the other side of Theorem 2.1, attained by a linear sigma with this slope.

        (mu_* is 0 where A has fewer rows than columns: the smallest singular value of A as a map of R^d.)

        Returns:
            a scalar, the most negative that nu can be.
        """
        return -self.potential.sigma.slopes[1] * smallest_stretch(self.potential.weight).amin().square()

    def cocoercivity(self) -> Tensor:
        """beta = 1 / (max sigma' max |A|^2): <f(t, x) - f(t, y), x - y> <= -beta |f(t, x) - f(t, y)|^2.

        The one-sided condition (14) alone lets no explicit method pass contractivity on; this does.

        Returns:
            beta, a scalar.
        Source: Baillon, Haddad, Israel J. Math. 26 (1977): f is a gradient with this Lipschitz constant.
        """
        return 1 / (self.potential.sigma.slopes[1] * spectral_norm(self.potential.weight).amax().square())

    def step_bound(self, radius: float = 1.0) -> Tensor:
        """The largest step up to which an explicit method keeps distances from growing: h = 2 r beta.

        |x + h f(x) - y - h f(y)|^2 <= |x - y|^2 - h (2 beta - h) |f(x) - f(y)|^2 for Euler's method.

        Args:
            radius: r, the method's radius of contractivity: 1 for Euler, Heun and RK4.
        Returns:
            h, a scalar.
        Source: paper section 2.2.1; Dahlquist, Jeltsch, ETH Zürich SAM report (1979).
        """
        return 2 * radius * self.cocoercivity()
