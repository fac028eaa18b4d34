"""Work and precision of every method: Lie-group methods on Sym+(3) under congruence and SO(3), explicit ones in R^2.

The flows are nonlinear and non-autonomous; the reference is an eighth-order solution in the ambient space
(scipy DOP853, tolerance 1e-13). Double precision; error is the mean geodesic distance at t = 1, ms the median
time of all steps on all points. Targets: the observed order is the nominal one.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.harness import Target
from mvnet.integrators import METHODS, Congruence, GroupAction, Method, RotationAction, Translation, odeint
from mvnet.linalg import affine_invariant, gl3, so3, sym3
from mvnet.manifolds.rotations import Rotations

REFERENCE_POINTS = 16  # the reference is solved for the first points, the clock runs on all of them


@dataclass(frozen=True)
class Problem:
    """z' = field(t, z) . z on the unit interval."""

    name: str
    action: GroupAction
    z0: Tensor
    field: Callable[[Tensor, Tensor], Tensor]
    velocity: Callable[[Tensor, Tensor], Tensor]  # xi . z in the ambient space
    dist: Callable[[Tensor, Tensor], Tensor]

    def reference(self) -> Tensor:
        """z(1) of the first points, sharing nothing with the methods."""
        from scipy.integrate import solve_ivp

        start = self.z0[:REFERENCE_POINTS]

        def slope(t, y):
            z = torch.from_numpy(y).reshape(start.shape)
            return self.velocity(self.field(torch.tensor(t), z), z).numpy().ravel()

        solved = solve_ivp(slope, (0, 1), start.numpy().ravel(), method="DOP853", rtol=1e-13, atol=1e-14)
        return torch.from_numpy(solved.y[:, -1]).reshape(start.shape)


def tensors(n: int) -> Problem:
    """n tensors in component planes; the velocity saturates in the tensor and turns with time."""
    generator = torch.Generator().manual_seed(0)
    a, b, c = 0.5 * torch.randn(3, 1, 9, generator=generator, dtype=torch.float64)
    z0 = sym3.exp(0.6 * torch.randn(n, 6, generator=generator, dtype=torch.float64))

    def field(t: Tensor, z: Tensor) -> Tensor:
        saturated = gl3.from_matrix(sym3.unpack(z), dim=1) / (1 + sym3.trace(z)).unsqueeze(1)
        return (3 * t).cos() * a + gl3.matmul(b, saturated) + t.sin() * gl3.matmul(saturated, c)

    def velocity(xi: Tensor, z: Tensor) -> Tensor:
        moved = gl3.to_matrix(xi) @ sym3.unpack(z)
        return sym3.pack(moved + moved.mT, dim=1)

    return Problem("SPD(3)", Congruence(dim=1), z0, field, velocity, affine_invariant.dist)


def rotations(n: int) -> Problem:
    """n rotations; angular velocities fixed in space, fixed in the body, and depending on the attitude."""
    generator = torch.Generator().manual_seed(1)
    a, b, c = 0.8 * torch.randn(3, 3, generator=generator, dtype=torch.float64)
    z0 = so3.exp(torch.randn(n, 3, generator=generator, dtype=torch.float64))

    def field(t: Tensor, r: Tensor) -> Tensor:
        return (2 * t).cos() * a + r @ b + (3 * t).sin() * r[..., 0, :1] * (r.mT @ c)

    return Problem("SO(3)", RotationAction(), z0, field, lambda xi, r: so3.hat(xi) @ r, Rotations().dist)


def vectors(n: int) -> Problem:
    """n points of the plane; nonlinear, turning with time."""
    z0 = torch.randn(n, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def field(t: Tensor, z: Tensor) -> Tensor:
        x, y = z[..., 0], z[..., 1]
        return torch.stack(((3 * y + t).tanh(), -(4 * x).sin() - t * y), -1)

    return Problem("R^2", Translation(), z0, field, lambda xi, z: xi, lambda a, b: (a - b).norm(dim=-1))


def solve(problem: Problem, method: str, steps: int) -> Tensor:
    times = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    return odeint(problem.field, problem.z0, times, action=problem.action, method=method)[-1]


def row(problem: Problem, reference: Tensor, method: str, steps: int, repeats: int) -> dict:
    """One row of the table."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        end = solve(problem, method, steps)
        seconds.append(time.perf_counter() - start)
    error = problem.dist(end[:REFERENCE_POINTS], reference).mean().item()
    return {
        "problem": problem.name,
        "method": method,
        "steps": steps,
        "error": error,
        "ms": 1e3 * statistics.median(seconds),
    }


def methods(problem: Problem) -> dict[str, Method]:
    """Those whose steps the problem tells apart: Lie-group methods on groups, explicit ones in R^n."""
    kind = "explicit" if isinstance(problem.action, Translation) else "lie_group"
    return {name: method for name, method in METHODS.items() if method.kind == kind}


def measure(quick: bool) -> tuple[list[dict], list[Target]]:
    """Rows of every problem, method and grid; the observed order of every method."""
    points, grids, repeats = (64, (32, 64), 1) if quick else (4096, (8, 16, 32, 64), 3)
    rows, targets = [], []
    for problem in (tensors(points), rotations(points), vectors(points)):
        reference = problem.reference()
        for name, method in methods(problem).items():
            found = [row(problem, reference, name, n, repeats) for n in grids]
            order = math.log2(found[-2]["error"] / found[-1]["error"])
            for one in found:
                rows.append({**one, "order": order if one is found[-1] else None})
            off = abs(order - method.order)
            targets.append(Target(f"{problem.name}: order of {name}", order, f"{method.order} +- 0.1", off <= 0.1))
    return rows, targets
