"""Vector fields: an element of a Lie algebra for every time, state and further input, and the action it is meant for.

Methods that preserve a structure ask the field for it: its energy, its parts, its constraint.

z' = xi(t, z, *args) . z, left action, right-trivialised: see `mvnet.manifolds.actions`. Everything with
respect to which gradients are taken enters through `args` (or is a parameter of the field), never through a closure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.manifolds.actions import GroupAction, Translation
from mvnet.manifolds.base import Manifold


@runtime_checkable
class Field(Protocol):
    """A function or module; its values act on the state by the action in its attribute `action`, if it has one."""

    def __call__(self, t: Tensor, z: Tensor, /, *args: Tensor) -> Tensor:
        """The field at a time and a state.

        Args:
            t: time, a scalar tensor.
            z: state, in the layout of the action.
            args: further inputs.
        Returns:
            xi(t, z, *args) in the Lie algebra of the action, or of a shape that broadcasts to it.
        """
        ...


@runtime_checkable
class EnergyField(Field, Protocol):
    """z' = B(t, z) grad E(t, z), z (..., d): E is conserved where B is skew-symmetric, and falls where B <= 0."""

    def energy(self, t: Tensor, z: Tensor, /, *args: Tensor) -> Tensor:
        """E(t, z)

        Args:
            t: time, a scalar tensor.
            z: states (..., d).
            args: further inputs.
        Returns:
            shape (...), one number for every state.
        """
        ...

    def structure(self, t: Tensor, z: Tensor, v: Tensor, /, *args: Tensor) -> Tensor:
        """B(t, z) v

        Args:
            t: time, a scalar tensor.
            z: states (..., d).
            v: covectors (..., d), such as a gradient or a discrete gradient.
            args: further inputs.
        Returns:
            shape (..., d).
        """
        ...


class Part(Field, Protocol):
    """A summand of a field that can be solved by itself."""

    def flow(self, t: Tensor, h: Tensor, z: Tensor, /, *args: Tensor) -> Tensor:
        """Solution of z' = part(t, z, *args) after h, with t frozen: exact, or of the structure of the whole.

        Args:
            t: time at which the part is frozen, a scalar tensor.
            h: step size, of either sign.
            z: states.
            args: further inputs.
        Returns:
            states.
        """
        ...


@runtime_checkable
class SplitField(Field, Protocol):
    """A field that is the sum of its parts."""

    @property
    def parts(self) -> Sequence[Part]:
        """The summands, in the order in which they act."""
        ...


@runtime_checkable
class ConstrainedField(Field, Protocol):
    """q' = p / m, p' = -grad V(t, q) on {g(q) = 0}; z = [q, p] along the last dimension."""

    mass: Tensor
    """Masses m, broadcasting to q."""

    def potential(self, t: Tensor, q: Tensor, /, *args: Tensor) -> Tensor:
        """V(t, q)

        Args:
            t: time, a scalar tensor.
            q: positions (..., n).
            args: further inputs.
        Returns:
            shape (...).
        """
        ...

    def constraint(self, q: Tensor) -> Tensor:
        """g(q)

        Args:
            q: positions (..., n).
        Returns:
            shape (..., m); zero on the manifold.
        """
        ...


@runtime_checkable
class GradientField(Field, Protocol):
    """-grad V(t, z) on a Riemannian manifold, as values in the algebra of its action."""

    @property
    def manifold(self) -> Manifold:
        """Where states lie, with the metric of the gradient."""
        ...

    def energy(self, t: Tensor, z: Tensor, /, *args: Tensor) -> Tensor:
        """V(t, z)

        Args:
            t: time, a scalar tensor.
            z: points (..., *point_shape).
            args: further inputs.
        Returns:
            shape (...).
        """
        ...


class VectorField(nn.Module):
    """Base of the vector fields of paper section 2.1, z' = f(t, z): modules that know what they preserve.

    `forward(t, z, *args)` gives the field; what is not known about it is None or empty.
    """

    preserves: ClassVar[frozenset[str]] = frozenset()
    """Words of `PRESERVED`: what its exact flow preserves."""

    def one_sided_bound(self) -> Tensor | None:
        """Upper bound, from the parameters alone, of the one-sided Lipschitz constant of paper eq. (14).

        <f(t, x) - f(t, y), x - y> <= nu |x - y|^2 for all x, y and t: the flow contracts where nu <= 0.

        Returns:
            nu, a scalar; None where no bound is known.
        """
        return None


PRESERVED = (
    "manifold",
    "linear invariants",
    "quadratic invariants",
    "energy",
    "symplectic",
    "volume",
    "contractive",
    "reversible",
    "constraint",
)
"""What a flow or a method can preserve. A flow is "contractive" where distances do not grow, a method where it passes
that on at every step size (B-stability). "energy": conserved, or dissipated where the field dissipates it."""


@dataclass(frozen=True)
class ActingField:
    """A field with its action; the shape of its values is checked.

    Args:
        function: the field.
        action: how xi acts on z.
        algebra_shape: the shape that values broadcast to.
    """

    function: Field
    action: GroupAction
    algebra_shape: tuple[int, ...]

    @classmethod
    def of(cls, field: Field, z0: Tensor, action: GroupAction | None = None) -> ActingField:
        """Bind a field to its action and to the layout of its states.

        Args:
            field: the field.
            z0: any state, in the layout of the action.
            action: None selects the attribute `action` of the field, or addition in R^n where it has none.
        Returns:
            the field with its action.
        Raises:
            MvnetError: z0 is not in the layout of the action.
        """
        chosen: GroupAction = getattr(field, "action", Translation()) if action is None else action
        return cls(field, chosen, chosen.algebra_shape(z0))

    def __call__(self, t: Tensor, z: Tensor, /, *args: Tensor) -> Tensor:
        """xi(t, z, *args)

        Args:
            t: time, a scalar tensor.
            z: state, in the layout of the action.
            args: further inputs.
        Returns:
            an element of the algebra for every state, or a shape that broadcasts.
        Raises:
            MvnetError: the value does not broadcast to the algebra.
        """
        xi = self.function(t, z, *args)
        found, expected = tuple(xi.shape), self.algebra_shape
        if len(found) > len(expected) or any(
            n not in (1, m) for n, m in zip(reversed(found), reversed(expected), strict=False)
        ):
            raise MvnetError(f"field: found a value of shape {found}, expected {expected}")
        return xi
