"""Fixed points x = phi(x) of contractions: two iterations, how exact the result is, and its gradient.

With c < 1 the Lipschitz constant of phi and r = phi(x) - x, Banach's theorem bounds the error of phi(x) by
c |r| / (1 - c). Rounding of phi, some eps |x|, is magnified likewise: below eps |x| / (1 - c) no iteration gets, and
one that waits for less never ends. So it also ends where the residual no longer falls, and says which bound it reached.
Source: paper section 4.1.2, equations (45) and (46); Walker and Ni, Anderson acceleration (2011).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.invertible.lipschitz import check_budget

METHODS = ("anderson", "banach")
PATIENCE = 6
"""Evaluations without a smaller residual after which an iteration has come to rest."""
ROUNDING = 4.0
"""Bound of the rounding of phi, in eps |x|."""


@dataclass(frozen=True)
class FixedPoint:
    """Where an iteration ended. Norms are Euclidean, over a sample.

    Attributes:
        x: the point, shape (B, ...).
        residual: |phi(x') - x'| of the iterate x' that gave x = phi(x'), shape (B,).
        bound: of the distance to the fixed point, rounding included, shape (B,).
        evaluations: of phi.
        reached: whether the bound without rounding is within the tolerance, shape (B,).
    """

    x: Tensor
    residual: Tensor
    bound: Tensor
    evaluations: int
    reached: Tensor


@torch.no_grad()
def solve(
    phi: Callable[[Tensor], Tensor],
    start: Tensor,
    contraction: float,
    tolerance: float = 1e-6,
    method: str = "anderson",
    limit: int = 5000,
    memory: int = 5,
) -> FixedPoint:
    """Iterate to the fixed point of a contraction.

    Args:
        phi: maps (B, ...) to itself, sample by sample.
        start: any point.
        contraction: Lipschitz constant c of phi, in (0, 1).
        tolerance: wanted bound of the error.
        method: "banach", x <- phi(x); "anderson", which combines the last iterates, and falls back on the former where
            it comes to rest too early.
        limit: most evaluations.
        memory: number of iterates that Anderson's method combines.
    Returns:
        the iterate of the smallest residual, sample by sample.
    Raises:
        MvnetError: unknown method, c not in (0, 1), a tolerance that is not positive.
    """
    check_budget(contraction)
    if method not in METHODS or not tolerance > 0:
        raise MvnetError(
            f"method, tolerance: found {method!r} and {tolerance}, expected anderson or banach and a number above 0"
        )
    eps, factor = torch.finfo(start.dtype).eps, contraction / (1 - contraction)
    x, best, waited, evaluations = start, None, 0, 0
    accelerate = _Anderson(memory) if method == "anderson" else None
    while evaluations < limit:
        image, evaluations = phi(x), evaluations + 1
        residual = _norm(image - x)
        if best is None:
            best, waited = (image, residual), 0
        else:
            better = residual < best[1]
            waited = 0 if bool(better.any()) else waited + 1
            best = _where(better, image, best[0]), torch.where(better, residual, best[1])
        floor = eps * _norm(best[0]) / (1 - contraction)
        if bool((factor * best[1] <= floor.clamp(min=tolerance)).all()):
            break
        if waited >= PATIENCE:
            if accelerate is None:
                break
            accelerate, waited, image = None, 0, best[0]
        x = image if accelerate is None else accelerate(x, image)
    assert best is not None
    bound = (contraction * best[1] + ROUNDING * eps * _norm(best[0])) / (1 - contraction)
    return FixedPoint(best[0], best[1], bound, evaluations, factor * best[1] <= tolerance)


class _Anderson:
    """x <- sum_i a_i phi(x_i), with sum a = 1 and |sum_i a_i (phi(x_i) - x_i)| least, over the last iterates."""

    def __init__(self, memory: int):
        self.images: deque[Tensor] = deque(maxlen=memory)
        self.residuals: deque[Tensor] = deque(maxlen=memory)

    def __call__(self, x: Tensor, image: Tensor) -> Tensor:
        self.images.append(image.flatten(1))
        self.residuals.append((image - x).flatten(1))
        if len(self.images) == 1:
            return image
        images, residuals = torch.stack(tuple(self.images), 1), torch.stack(tuple(self.residuals), 1).double()
        gram = residuals @ residuals.mT
        size = gram.diagonal(dim1=-2, dim2=-1).amax(-1)[:, None, None].clamp(min=torch.finfo(gram.dtype).tiny)
        ridge = 1e-12 * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        # gram a = 1, scaled to sum 1
        weights = torch.linalg.solve(gram / size + ridge, torch.ones_like(gram[..., :1]))
        weights = weights / weights.sum(1, keepdim=True)
        return (weights.mT.to(images) @ images).squeeze(1).view_as(image)


def attach_gradient(
    phi: Callable[[Tensor], Tensor],
    point: Tensor,
    contraction: float,
    tolerance: float = 1e-6,
    method: str = "anderson",
) -> Tensor:
    """The fixed point as a differentiable function of whatever phi depends on.

    dx = (1 - J)^-1 dphi, J the Jacobian of phi at x; the transposed system v = g + J^T v is solved in backward, by the
    same iteration. Gradients are first order.

    Args:
        phi: maps (B, ...) to itself; it may close over tensors, all of them receive their gradient.
        point: its fixed point.
        contraction: Lipschitz constant of phi.
        tolerance: of the solution in backward, relative to the norm of the gradient.
        method: as in `solve`.
    Returns:
        phi(point), with the gradient of the implicit function theorem.
    """
    if not torch.is_grad_enabled():
        return point
    at = point.detach().requires_grad_()
    image = phi(at)
    if not image.requires_grad:
        return image
    out = image.clone()

    def adjoint(gradient: Tensor | None) -> Tensor | None:
        if gradient is None:
            return None

        def step(v: Tensor) -> Tensor:
            (through,) = torch.autograd.grad(image, at, v, retain_graph=True, allow_unused=True)
            return gradient if through is None else gradient + through

        scale = float(_norm(gradient.detach()).max())
        if scale == 0:
            return gradient
        return solve(step, gradient, contraction, tolerance * scale, method).x

    out.register_hook(adjoint)
    # a tensor of its own: derivatives with respect to the point must not pass the hook
    return out.view_as(out)


def _norm(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x.flatten(1), dim=1)


def _where(mask: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(mask.view(-1, *(1,) * (a.ndim - 1)), a, b)
