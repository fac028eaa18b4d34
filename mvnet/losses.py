"""Losses between images with values on a manifold.

    L(prediction, target) = sum over voxels of  w rho(d(prediction, target)),    d the geodesic distance

    distance  rho(d) = d                                      paper section 2.3; robust to outliers
    squared   rho(d) = d^2                                    least squares
    huber     rho(d) = d^2/2 for d <= delta, delta (d - delta/2) above

The gradient is finite everywhere: zero where prediction and target coincide, exact at repeated eigenvalues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg import affine_invariant, sym3
from mvnet.manifolds.base import Manifold
from mvnet.manifolds.circle import Circle
from mvnet.manifolds.rotations import Rotations

KINDS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "distance": lambda d, delta: d,
    "squared": lambda d, delta: d.square(),
    "huber": lambda d, delta: torch.where(d <= delta, d.square() / 2, delta * (d - delta / 2)),
}
LAYOUTS = ("field", "point")
REDUCTIONS = ("sum", "mean", "none")
MANIFOLDS: dict[str, Manifold] = {"circle": Circle(), "rotations": Rotations()}
"""Beside "spd", which has layouts of its own."""


def manifold_loss(
    prediction: Tensor,
    target: Tensor,
    manifold: str | Manifold = "spd",
    *,
    kind: str = "distance",
    mask: Tensor | None = None,
    delta: float = 1.0,
    layout: str = "field",
    reduction: str = "sum",
) -> Tensor:
    """Sum over voxels of a function of the geodesic distance.

    Args:
        prediction, target: of one shape. "spd": Mandel planes (B, 6, ...) in the field layout, matrices
            (..., 3, 3) in the point layout; "circle": radians (...); "rotations": matrices (..., 3, 3);
            a `Manifold`: (..., *point_shape).
        manifold: "spd" (affine-invariant metric), "circle", "rotations" or any `Manifold`.
        kind: "distance", "squared" or "huber".
        mask: bool, or weights >= 0; of the shape of the distance, e.g. (B, D, H, W), or broadcasting to it.
            Where it is 0 the values may be anything, nan included; they receive zero gradient.
        delta: Huber's bend, in the unit of the distance (log units, radians).
        layout: "field" or "point"; only "spd" has both.
        reduction: "sum", as in the paper; "mean", divided by the sum of the weights; "none", per voxel.
    Returns:
        scalar, or the shape of the distance for "none".
    Raises:
        ValueError: unknown name, delta not positive, shapes that do not agree.
    Source: paper section 2.3, first display; Huber, Ann. Math. Statist. 35 (1964) 73.
    """
    _expect("kind", kind, KINDS)
    _expect("layout", layout, LAYOUTS)
    _expect("reduction", reduction, REDUCTIONS)
    if not delta > 0:
        raise MvnetError(f"delta: found {delta}, expected a positive number")
    if target.shape != prediction.shape:
        raise MvnetError(
            f"target: found shape {tuple(target.shape)}, expected {tuple(prediction.shape)} like prediction"
        )

    geometry = _geometry(prediction, manifold, layout)
    if mask is None:
        weights = torch.ones((), dtype=prediction.dtype, device=prediction.device)
    else:
        weights = _broadcast(mask.to(prediction.dtype), geometry.batch_shape)
        inside = geometry.insert_point_dims(weights > 0)
        prediction, target = (torch.where(inside, p, geometry.stand_in) for p in (prediction, target))
    distance = geometry.dist(prediction, target)
    loss = weights * KINDS[kind](distance, delta)
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    total = weights.expand_as(loss).sum()
    return loss.sum() / torch.where(total > 0, total, 1.0)


@dataclass(frozen=True)
class _Geometry:
    """How values are laid out: distance, shape without the dims of a point, and any point of the manifold."""

    dist: Callable[[Tensor, Tensor], Tensor]
    batch_shape: tuple[int, ...]
    point_dim: int  # where the dims of a point start
    point_ndim: int
    stand_in: Tensor

    def insert_point_dims(self, x: Tensor) -> Tensor:
        for _ in range(self.point_ndim):
            x = x.unsqueeze(self.point_dim)
        return x


def _geometry(values: Tensor, manifold: str | Manifold, layout: str) -> _Geometry:
    shape = tuple(values.shape)
    if manifold == "spd":
        identity = sym3.pack(torch.eye(3, dtype=values.dtype, device=values.device))
        if layout == "field":
            if len(shape) < 2 or shape[1] != 6:
                raise MvnetError(f"prediction: found shape {shape}, expected 6 Mandel planes at dim 1")
            stand_in = identity.reshape(6, *(1,) * (len(shape) - 2))
            return _Geometry(affine_invariant.dist, (shape[0], *shape[2:]), 1, 1, stand_in)
        point = (3, 3)
        dist, stand_in = _spd_point_distance, sym3.unpack(identity, dim=-1)
    else:
        if isinstance(manifold, str):
            _expect("manifold", manifold, ("spd", *MANIFOLDS))
            manifold = MANIFOLDS[manifold]
        point, dist = manifold.point_shape, manifold.dist
        generator = torch.Generator().manual_seed(0)
        stand_in = manifold.random_point((), generator=generator, dtype=values.dtype, device=values.device)
    start = len(shape) - len(point)
    if start < 0 or shape[start:] != tuple(point):
        raise MvnetError(f"prediction: found shape {shape}, expected (..., {', '.join(map(str, point))})")
    return _Geometry(dist, shape[:start], start, len(point), stand_in)


def _spd_point_distance(x: Tensor, y: Tensor) -> Tensor:
    return affine_invariant.dist(sym3.pack(x), sym3.pack(y), dim=-1)


def _broadcast(mask: Tensor, shape: tuple[int, ...]) -> Tensor:
    try:
        return mask.expand(shape)
    except RuntimeError:
        raise MvnetError(f"mask: found shape {tuple(mask.shape)}, expected one that broadcasts to {shape}") from None


def _expect(name: str, found: str, options: Iterable[str]) -> None:
    if found not in options:
        raise MvnetError(f"{name}: found {found!r}, expected one of {', '.join(options)}")
