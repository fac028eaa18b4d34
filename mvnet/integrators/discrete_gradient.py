"""Discrete gradients: the energy is kept where the flow keeps it, and falls where it falls, at every step size.

    (z_1 - z) / h = B(t + h/2, (z + z_1)/2) DE(z, z_1),      <DE(z, z_1), z_1 - z> = E(z_1) - E(z)

so that E(z_1) - E(z) = h <DE, B DE>: zero for a skew-symmetric B, not positive for B <= 0. E that changes in time is
frozen at the middle of the step: then this is said of E(t + h/2, .).

With d = z_1 - z and m = (z + z_1)/2:

    Gonzalez      grad E(m) + (E(z_1) - E(z) - <grad E(m), d>) / |d|^2 d
    mean value    the integral of grad E(z + s d) over s in [0, 1], by Gauss points, with the same correction
    Itoh-Abe      (E(z_1,1 ... z_1,i, z_i+1 ...) - E(z_1,1 ... z_i, z_i+1 ...)) / d_i, one coordinate after another

Quotients of differences near rounding are replaced by derivatives, which agree with them to rounding.

Source: paper section 2.2.2; McLachlan, Quispel, Robidoux, Phil. Trans. R. Soc. A 357 (1999) 1021; Gonzalez,
J. Nonlinear Sci. 6 (1996) 449; Itoh, Abe, J. Comput. Phys. 76 (1988) 85.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from mvnet.fields.base import ActingField, EnergyField
from mvnet.fields.energy import gradient_of
from mvnet.integrators.base import Step
from mvnet.integrators.implicit.equations import Solver, solve
from mvnet.integrators.implicit.newton import NEWTON
from mvnet.manifolds.actions import Translation

Energy = Callable[[Tensor], Tensor]
"""z (..., d) -> (...)"""

NODES = 5
"""Gauss points of the mean value: exact without the correction for polynomials up to degree 10."""


def safe_ratio(numerator: Tensor, squared: Tensor, reference: Tensor) -> Tensor:
    """numerator / squared, and 0 where a step is so short that the numerator, of third order in it, is rounding.

    Args:
        numerator: an error of third order in the step.
        squared: squared length of the step.
        reference: squared length of the state.
    Returns:
        the same shape.
    """
    short = squared <= torch.finfo(squared.dtype).eps ** (2 / 3) * reference
    short = short | (squared == 0)
    return torch.where(short, 0.0, numerator / torch.where(short, 1.0, squared))


def _correct(energy: Energy, g: Tensor, z: Tensor, d: Tensor) -> Tensor:
    """g + (E(z + d) - E(z) - <g, d>) / |d|^2 d"""
    defect = energy(z + d) - energy(z) - (g * d).sum(-1)
    return g + safe_ratio(defect, d.square().sum(-1), z.square().sum(-1))[..., None] * d


def gonzalez(energy: Energy, z: Tensor, d: Tensor) -> Tensor:
    """The gradient at the midpoint, corrected along d.

    Args:
        energy: E.
        z, d: states and increments (..., n).
    Returns:
        DE(z, z + d), shape (..., n).
    """
    return _correct(energy, gradient_of(energy, z + d / 2), z, d)


def mean_value(energy: Energy, z: Tensor, d: Tensor) -> Tensor:
    """The mean of the gradient along the segment, corrected along d for what the quadrature misses.

    Args:
        energy: E.
        z, d: states and increments (..., n).
    Returns:
        DE(z, z + d), shape (..., n).
    """
    x, w = (torch.as_tensor(v, dtype=z.dtype, device=z.device) for v in np.polynomial.legendre.leggauss(NODES))
    x, w = (v.reshape(-1, *(1,) * z.ndim) / 2 for v in (1 + x, w))
    return _correct(energy, (w * gradient_of(energy, z + x * d)).sum(0), z, d)


def itoh_abe(energy: Energy, z: Tensor, d: Tensor) -> Tensor:
    """Quotients of differences, from coordinate to coordinate; first order, no gradient but for short steps.

    Args:
        energy: E.
        z, d: states and increments (..., n).
    Returns:
        DE(z, z + d), shape (..., n).
    """
    n = z.shape[-1]
    moved = torch.tril(torch.ones(n + 1, n, dtype=z.dtype, device=z.device), -1)
    # corner i has moved in its first i coordinates
    corners = z.unsqueeze(-2) + moved * d.unsqueeze(-2)
    rise = energy(corners).diff(dim=-1)
    middle = (corners[..., 1:, :] + corners[..., :-1, :]) / 2
    slope = gradient_of(energy, middle).diagonal(dim1=-2, dim2=-1)
    squared, reference = d.square(), z.square().sum(-1, keepdim=True)
    return slope + safe_ratio(rise - slope * d, squared, reference) * d


@dataclass(frozen=True)
class DiscreteGradient:
    """The method of a discrete gradient.

    Args:
        order: of the method.
        gradient: energy, z, d -> DE(z, z + d).
        solver: of the equation for d, for every state by itself.
    """

    takes: ClassVar[type] = EnergyField
    kind: ClassVar[str] = "discrete_gradient"
    actions: ClassVar[tuple[type, ...]] = (Translation,)
    options: ClassVar[tuple[str, ...]] = ("solver",)
    preserves = frozenset({"energy"})

    order: int
    gradient: Callable[[Energy, Tensor, Tensor], Tensor]
    solver: Solver = NEWTON

    def init(self, field: ActingField, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> None:
        """No state."""

    def step(
        self, field: ActingField, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...], state: Any = None
    ) -> Step:
        """Step from z at t to t + h."""
        of, middle = cast(EnergyField, field.function), t + h / 2

        def energy(x: Tensor) -> Tensor:
            return of.energy(middle, x, *args)

        def residual(d: Tensor) -> Tensor:
            # d -> DE -> h B DE
            return d - h * of.structure(middle, z + d / 2, self.gradient(energy, z, d), *args)

        with torch.no_grad():
            zero = torch.zeros_like(z)
            start = zero - residual(zero)
        name = f"discrete gradient step at t = {t.detach():.6g}"
        return Step(z + solve(residual, start, zero, solver=self.solver, size=z, name=name, independent=True))


GONZALEZ = DiscreteGradient(2, gonzalez)
MEAN_VALUE = DiscreteGradient(2, mean_value)
ITOH_ABE = DiscreteGradient(1, itoh_abe)
