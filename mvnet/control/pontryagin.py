"""Pontryagin's conditions for the training of a flow, and their discrete form for Runge-Kutta methods.

    H(t, z, p, theta) = <p, f(t, z, theta)>                                       (9)
    z' = d_p H = f,    p' = -d_z H = -(d_z f)^T p,    p(T) = L'(z(T))             (10), (26)
    0 = d_theta H                                                                 (11)

Signs: (12) lacks the minus of (10) and (26); the recursion (28) has a minus where backpropagation has a plus,
p_k = p_{k+1} + h d_z f(z_k)^T p_{k+1}; with p(T) = +L' the optimal parameters minimise H, where (33) says maximise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.fields import Field, VectorField
from mvnet.integrators.tableaus import EULER

_SWEEPS = 200  # of an implicit method's stages; explicit ones need one


def hamiltonian(field: Field, t: Tensor, z: Tensor, p: Tensor, *args: Tensor) -> Tensor:
    """H = <p, f(t, z)>: linear in p, its p-gradient is the field and its z-gradient minus the adjoint's right side.

    Args:
        field: f.
        t: time, a scalar tensor, or times that broadcast.
        z: states (..., d).
        p: costates (..., d).
        args: further inputs of the field.
    Returns:
        shape (...).
    Source: paper (9).
    """
    return (p * field(t, z, *args)).sum(-1)


def adjoint(field: Field, t: Tensor, z: Tensor, p: Tensor, *args: Tensor) -> Tensor:
    """p' = -(d_z f)^T p, differentiable itself.

    Args:
        field: f, whose value at a state depends on that state alone.
        t: time.
        z: states (..., d).
        p: costates (..., d).
        args: further inputs of the field.
    Returns:
        shape (..., d).
    Source: paper (26), (32).
    """
    with torch.enable_grad():
        z = z if z.requires_grad else z.detach().requires_grad_()
        energy = hamiltonian(field, t, z, p, *args).sum()
        if not energy.requires_grad:
            return torch.zeros_like(z)
        (slope,) = torch.autograd.grad(energy, z, create_graph=True, materialize_grads=True)
    return -slope


class PontryaginField(VectorField):
    """States and costates together, [z, p] along the last dimension: the Hamiltonian system (10).

    H is a first integral where f and theta do not depend on time; the flow is symplectic. <p, v> is constant along
    every solution v' = d_z f v of the linearised equation, which is why p is the derivative of the loss.

    Args:
        field: f.
    """

    preserves: ClassVar[frozenset[str]] = frozenset({"symplectic", "volume"})

    def __init__(self, field: Field):
        super().__init__()
        self.field = field

    def forward(self, t: Tensor, zp: Tensor, *args: Tensor) -> Tensor:
        """[f, -(d_z f)^T p]

        Args:
            t: time.
            zp: states and costates (..., 2 d).
            args: further inputs of the field.
        Returns:
            shape (..., 2 d).
        """
        z, p = zp.chunk(2, -1)
        return torch.cat([self.field(t, z, *args), adjoint(self.field, t, z, p, *args)], -1)

    def energy(self, t: Tensor, zp: Tensor, *args: Tensor) -> Tensor:
        """H(t, z, p)

        Args:
            t: time.
            zp: states and costates (..., 2 d).
            args: further inputs of the field.
        Returns:
            shape (...).
        """
        z, p = zp.chunk(2, -1)
        return hamiltonian(self.field, t, z, p, *args)

    def structure(self, t: Tensor, zp: Tensor, v: Tensor, *args: Tensor) -> Tensor:
        """J v = [v_p, -v_z]

        Args:
            t: time, of no effect.
            zp: states and costates, of no effect.
            v: covectors (..., 2 d).
            args: of no effect.
        Returns:
            shape (..., 2 d).
        """
        first, second = v.chunk(2, -1)
        return torch.cat([second, -first], -1)


class RungeKutta(Protocol):
    """Coefficients of a method, explicit or implicit; short rows of `a` are filled with zeros."""

    @property
    def a(self) -> Sequence[Sequence[float]]:
        """Weights of the stages."""
        ...

    @property
    def b(self) -> Sequence[float]:
        """Weights of the step."""
        ...

    @property
    def c(self) -> Sequence[float]:
        """Nodes."""
        ...


@dataclass(frozen=True)
class Trajectory:
    """What one forward and one backward sweep give.

    Args:
        loss: L(z(T)).
        states: z_k, shape (K + 1, *z0.shape).
        costates: p_k = dL / dz_k, the same shape.
        gradients: dL / dtheta for each of the inputs.
    """

    loss: Tensor
    states: Tensor
    costates: Tensor
    gradients: tuple[Tensor, ...]


def trajectory(
    field: Field,
    z0: Tensor,
    times: Tensor,
    loss: Callable[[Tensor], Tensor],
    *,
    tableau: RungeKutta = EULER,
    args: tuple[Tensor, ...] = (),
    inputs: Sequence[Tensor] | None = None,
) -> Trajectory:
    """States by a Runge-Kutta method and costates by its adjoint method, stage by stage and without a stored graph.

        Z_i = z + sum_j a_ij h f(Z_j),    z_1 = z + sum_i b_i h f(Z_i)
        w_i = b_i p_1 + sum_j a_ji l_j,   l_i = h d_z f(Z_i)^T w_i,   p_0 = p_1 + sum_i l_i
        dL / dtheta = sum over steps and stages of h d_theta f(Z_i)^T w_i

    For explicit Euler p_k = p_{k+1} + h d_z f(z_k)^T p_{k+1}: Theorem 3.2. The implicit stages are iterated until they
    stand still, which needs h |d_z f| small; this is the definition, written out, and an oracle for faster ways.

    Args:
        field: f.
        z0: states at times[0].
        times: 1-D, K + 1 times.
        loss: of the states at times[-1], a scalar.
        tableau: a, b and c.
        args: further inputs of the field.
        inputs: theta, tensors that require gradients; the parameters of the field when None.
    Returns:
        losses, states, costates and gradients.
    Raises:
        MvnetError: the stages of an implicit method do not converge.
    Source: paper Theorem 3.2; Sanz-Serna, Symplectic Runge-Kutta schemes for adjoint equations, SIAM Review 58 (2016).
    """
    if inputs is None:
        inputs = tuple(field.parameters()) if isinstance(field, nn.Module) else ()
    states, stages = [z0.detach()], []
    with torch.no_grad():
        for start, stop in pairwise(times):
            z, step = _forward(field, tableau, start, stop - start, states[-1], args)
            states.append(z)
            stages.append(step)
    end = states[-1].clone().requires_grad_()
    with torch.enable_grad():
        value = loss(end)
    (p,) = torch.autograd.grad(value, end)
    costates, total = [p], [torch.zeros_like(x) for x in inputs]
    for (start, stop), points in zip(reversed(list(pairwise(times))), reversed(stages), strict=True):
        p = _backward(field, tableau, start, stop - start, points, p, args, inputs, total)
        costates.append(p)
    return Trajectory(value.detach(), torch.stack(states), torch.stack(costates[::-1]), tuple(total))


def _forward(
    field: Field, tableau: RungeKutta, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...]
) -> tuple[Tensor, list[Tensor]]:
    """z_1 and the stages Z_i."""

    def stage(i: int, slopes: list[Tensor | None]) -> tuple[Tensor, Tensor]:
        point = z + sum(a * k for a, k in zip(tableau.a[i], slopes, strict=False) if a and k is not None)
        return point, h * field(t + tableau.c[i] * h, point, *args)

    points, slopes = _sweep(stage, range(len(tableau.b)), _is_explicit(tableau))
    return z + sum(b * k for b, k in zip(tableau.b, slopes, strict=True) if b), points


def _backward(
    field: Field,
    tableau: RungeKutta,
    t: Tensor,
    h: Tensor,
    points: list[Tensor],
    p: Tensor,
    args: tuple[Tensor, ...],
    inputs: Sequence[Tensor],
    total: list[Tensor],
) -> Tensor:
    """p_0 from p_1; adds the gradients to the total."""
    leaves = [point.detach().requires_grad_() for point in points]
    with torch.enable_grad():
        values = [field(t + c * h, z, *args) for c, z in zip(tableau.c, leaves, strict=True)]

    def pull(i: int, w: Tensor, wanted: Sequence[Tensor]) -> tuple[Tensor, ...]:
        if not values[i].requires_grad:
            return tuple(torch.zeros_like(x) for x in wanted)
        return torch.autograd.grad(values[i], wanted, h * w, retain_graph=True, materialize_grads=True)

    def stage(i: int, slopes: list[Tensor | None]) -> tuple[Tensor, Tensor]:
        column = [row[i] if i < len(row) else 0.0 for row in tableau.a]
        w = tableau.b[i] * p + sum(a * k for a, k in zip(column, slopes, strict=True) if a and k is not None)
        return w, pull(i, w, (leaves[i],))[0]

    weights, slopes = _sweep(stage, range(len(points))[::-1], _is_explicit(tableau))
    for i, w in enumerate(weights if inputs else ()):
        for sum_of_steps, gradient in zip(total, pull(i, w, inputs), strict=True):
            sum_of_steps += gradient
    return p + sum(slopes)


def _is_explicit(tableau: RungeKutta) -> bool:
    return all(not any(row[i:]) for i, row in enumerate(tableau.a))


def _sweep(
    stage: Callable[[int, list[Tensor | None]], tuple[Tensor, Tensor]], order: range, once: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """Go through the stages in an order, again and again until they stand still."""
    points: dict[int, Tensor] = {}
    slopes: list[Tensor | None] = [None] * len(order)
    change, scale = torch.inf, 0.0
    for _ in range(1 if once else _SWEEPS):
        before = list(slopes)
        for i in order:
            points[i], slopes[i] = stage(i, slopes)
        found = [k for k in slopes if k is not None]
        if once:
            break
        scale = max(float(k.abs().max()) for k in found)
        steps = [float((k - old).abs().max()) for k, old in zip(found, before, strict=True) if old is not None]
        change = max(steps, default=torch.inf)
        if change <= 4 * torch.finfo(found[0].dtype).eps * scale:
            break
    else:
        raise MvnetError(
            f"tableau: found stages that still change by {change:.1e}, expected convergence at this step size"
        )
    return [points[i] for i in range(len(points))], [k for k in slopes if k is not None]
