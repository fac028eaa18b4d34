"""Losses between images with values on a manifold.

    L(prediction, target) = sum over voxels of  w rho(d(prediction, target)),    d the geodesic distance

    distance  rho(d) = d                                      paper section 2.3; robust to outliers
    squared   rho(d) = d^2                                    least squares
    huber     rho(d) = d^2/2 for d <= delta, delta (d - delta/2) above

The gradient is finite everywhere: zero where prediction and target coincide, exact at repeated eigenvalues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.manifolds.base import Manifold
from mvnet.manifolds.spd import SPDField

KINDS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "distance": lambda d, delta: d,
    "squared": lambda d, delta: d.square(),
    "huber": lambda d, delta: torch.where(d <= delta, d.square() / 2, delta * (d - delta / 2)),
}
REDUCTIONS = ("sum", "mean", "none")


def manifold_loss(
    prediction: Tensor,
    target: Tensor,
    manifold: Manifold | None = None,
    *,
    kind: str = "distance",
    mask: Tensor | None = None,
    delta: float = 1.0,
    reduction: str = "sum",
) -> Tensor:
    """Sum over voxels of a function of the geodesic distance.

    Args:
        prediction, target: points of the manifold, of one shape.
        manifold: any `Manifold`, e.g. `Circle()` for radians (...); None is `SPDField()`, fields of Mandel planes
            (B, 6, ...) with the affine-invariant metric.
        kind: "distance", "squared" or "huber".
        mask: bool, or weights >= 0; of the shape of the distance, e.g. (B, D, H, W), or broadcasting to it.
            Values where it is 0 are ignored, nan included, and receive zero gradient.
        delta: threshold of the Huber loss, in the unit of the distance (log units, radians).
        reduction: "sum", as in the paper; "mean", divided by the sum of the weights; "none", per voxel.
    Returns:
        scalar, or the shape of the distance for "none".
    Raises:
        MvnetError: unknown kind or reduction, delta not positive, shapes that do not agree.
    Source: paper section 2.3, first display; Huber, Ann. Math. Statist. 35 (1964) 73.
    """
    manifold = SPDField() if manifold is None else manifold
    if not isinstance(manifold, Manifold):
        raise MvnetError(f"manifold: found {manifold!r}, expected a Manifold such as Circle()")
    _check_name("kind", kind, KINDS)
    _check_name("reduction", reduction, REDUCTIONS)
    if not delta > 0:
        raise MvnetError(f"delta: found {delta}, expected a positive number")
    if target.shape != prediction.shape:
        raise MvnetError(
            f"target: found shape {tuple(target.shape)}, expected {tuple(prediction.shape)} like prediction"
        )
    batch = manifold.batch_shape(prediction)
    if batch is None:
        raise MvnetError(f"prediction: found shape {tuple(prediction.shape)}, expected {manifold.expected_shape}")

    if mask is None:
        weights = torch.ones((), dtype=prediction.dtype, device=prediction.device)
    else:
        weights = _broadcast(mask.to(prediction.dtype), batch)
        # outside the mask: one point for both, whose distance and gradient are 0
        inside, point = manifold.expand(weights > 0), manifold.point_like(prediction)
        prediction, target = (torch.where(inside, p, point) for p in (prediction, target))
    distance = manifold.dist(prediction, target)
    loss = weights * KINDS[kind](distance, delta)
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    total = weights.expand_as(loss).sum()
    return loss.sum() / torch.where(total > 0, total, 1.0)


def _broadcast(mask: Tensor, shape: tuple[int, ...]) -> Tensor:
    try:
        return mask.expand(shape)
    except RuntimeError:
        raise MvnetError(f"mask: found shape {tuple(mask.shape)}, expected one that broadcasts to {shape}") from None


def _check_name(name: str, found: str, options: Iterable[str]) -> None:
    if found not in options:
        raise MvnetError(f"{name}: found {found!r}, expected one of {', '.join(options)}")
