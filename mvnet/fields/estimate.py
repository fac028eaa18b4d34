"""A one-sided Lipschitz constant, searched: what a bound from the parameters is held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def estimate_one_sided(
    field: Callable[[Tensor, Tensor], Tensor],
    points: Tensor,
    times: Sequence[float] | Tensor = (0.0,),
    steps: int = 50,
    rate: float = 0.05,
) -> Tensor:
    """A lower bound of nu in paper eq. (14), by ascent: nu = sup over t and z of lambda_max(sym df/dz).

    From every point, at every time, Adam climbs lambda_max; the largest value on the way counts. The gradient is that
    of v^T (df/dz) v with v the eigenvector held, and 0 where f is piecewise linear: there the points should be many.

    Args:
        field: f(t, z) of single states z (d).
        points: where to start, (N, d).
        times: at which the field is looked at.
        steps: of the ascent.
        rate: of Adam.
    Returns:
        the largest value found, a scalar; nu is not smaller, up to rounding.
    """
    jacobians = torch.func.vmap(torch.func.jacrev(field, argnums=1), in_dims=(None, 0))
    best = points.new_full((), -torch.inf)
    for time in torch.as_tensor(times, dtype=points.dtype, device=points.device):
        z = points.detach().clone().requires_grad_()
        optimizer = torch.optim.Adam([z], lr=rate, maximize=True)
        for _ in range(steps + 1):
            with torch.no_grad():
                jacobian = jacobians(time, z)
                values, vectors = torch.linalg.eigh((jacobian + jacobian.mT) / 2)
                best = torch.maximum(best, values[:, -1].amax())
                v = vectors[..., -1]
            optimizer.zero_grad()
            slope = torch.func.jvp(lambda y, at=time: field(at, y), (z,), (v,))[1]
            if not slope.requires_grad:
                break  # a linear field: one look is enough
            (z.grad,) = torch.autograd.grad((slope * v).sum(), z, materialize_grads=True)
            optimizer.step()
    return best
