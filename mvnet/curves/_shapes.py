"""Geodesics, closed curves and means of shapes of curves in Lie groups. Private: see `mvnet.curves`."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.curves._elastic import match, pairwise_elastic_distance
from mvnet.curves._groups import CurveGroup, check_side, find_group, scaled_root, scaled_square
from mvnet.curves._sampling import resample
from mvnet.errors import MvnetError
from mvnet.linalg import alignment


def interpolate_shapes(
    c1: Tensor,
    c2: Tensor,
    share: Tensor | float,
    *,
    frames: int | None = None,
    group: str = "rotations",
    side: str = "right",
    max_step: int = 4,
    window: float | None = None,
) -> Tensor:
    """The motion a share of the way from c1 to c2 in shape, start and timing.

    After the optimal warp the square-root velocities are mixed, (1 - share) s1 + share s2, which is the geodesic of the
    elastic metric, and integrated by the group's exponential; start points move along the group's geodesic, and each
    piece of the warp takes (1 - share) of its time in c1 and share of that in c2.

    Args:
        c1, c2: (..., T1, joints, *point), (..., T2, joints, *point); batch dims broadcast.
        share: a number or (K,), 0 for c1, 1 for c2.
        frames: samples of the result; T1 by default.
        group, side, max_step, window: as in `elastic_distance`.
    Returns:
        (..., frames, joints, *point), or (K, ..., frames, joints, *point).
    Raises:
        MvnetError: share of another shape, or as in `elastic_distance`.
    """
    kind = find_group(group)
    found = match(c1, c2, group=group, side=side, max_step=max_step, window=window)
    many = torch.as_tensor(share, dtype=c1.dtype, device=c1.device)
    if many.ndim > 1:
        raise MvnetError(f"share: found shape {tuple(many.shape)}, expected a number or (K,)")
    # roots s1, s2 -> (1 - share) s1 + share s2 -> displacements u = |s| s -> curve -> uniform times
    first, second = found.roots
    mix = many.reshape(-1, *(1,) * first.ndim)
    u = scaled_square((1 - mix) * first + mix * second)
    fraction = many.reshape(-1, *(1,) * (first.ndim - 2))
    start = kind.manifold.geodesic(c1.select(kind.time_dim, 0), c2.select(kind.time_dim, 0), fraction)
    curve = kind.trace(start, u, side)
    fraction = many.reshape(-1, *(1,) * found.times[0].ndim)
    times = (1 - fraction) * found.times[0] + fraction * found.times[1]
    curve = resample(curve, frames or c1.shape[kind.time_dim], t=times, group=group)
    return curve if many.ndim else curve[0]


def close(
    c: Tensor,
    *,
    group: str = "rotations",
    side: str = "right",
    tolerance: float | None = None,
    max_iterations: int = 100,
) -> Tensor:
    """A closed curve near c in the square-root-velocity metric: same start, end = start.

    Newton steps of least norm for  F(s) = log(c_T c_0^-1) = 0,  s the square-root velocities. With u = |s| s,

        ds -> du = |s| ds + (s . ds) s / |s| -> sum_i Ad_(P_i) dexp_(u_i) du_i =: sum_i J_i ds_i,  P_i = c_T c_(i+1)^-1,

    so that ds = -J^T (J J^T)^-1 F, where J J^T = sum_i |s|^2 A_i A_i^T + 3 (A_i s_i) (A_i s_i)^T, A_i = Ad dexp.

    Args:
        c: (..., T, joints, *point).
        group, side: as in `srv_transform`.
        tolerance: on the largest component of F, radians; 1e-11 in float64, 1e-5 below. A warning if it is not met.
        max_iterations: Newton steps.
    Returns:
        shape of c. Carries no gradient.
    Source: Celledoni, Eslitzbichler, Schmeding, Shape analysis on Lie groups (2016), who descend |F|^2 instead.
    """
    kind = find_group(group)
    check_side(side)
    kind.check(c, "c")
    if tolerance is None:
        tolerance = 1e-11 if c.dtype == torch.float64 else 1e-5
    with torch.no_grad():
        if side == "left":  # the left side of c is the right side of its inverse
            c = kind.inverse(c)
        start, s = c.select(kind.time_dim, 0), scaled_root(kind.velocities(c))
        for _ in range(max_iterations):
            c = kind.trace(start, scaled_square(s))
            gap = kind.displacement(start, c.select(kind.time_dim, -1))
            if gap.abs().amax() <= tolerance:
                break
            s = s - _closing_step(kind, c, s, gap)
        else:
            warnings.warn(
                f"close: a gap of {gap.abs().amax().item():.2g} is left after {max_iterations} steps",
                RuntimeWarning,
                stacklevel=2,
            )
        return kind.inverse(c) if side == "left" else c


def _closing_step(kind: CurveGroup, c: Tensor, s: Tensor, gap: Tensor) -> Tensor:
    """J^T (J J^T)^-1 gap, shape of s."""
    # c -> P_i = c_T c_(i+1)^-1 -> A_i = Ad_(P_i) dexp_(u_i)
    dim, last = kind.time_dim, s.shape[-3]
    end, after = c.narrow(dim, last, 1), c.narrow(dim, 1, last)
    quotient = end @ after.mT if kind.name == "rotations" else after
    transfer = kind.transfer(quotient, scaled_square(s))  # A, (..., n, joints, c, c)
    size2 = s.square().sum((-2, -1))
    joints, width = s.shape[-2:]
    # s -> A s;  A -> J J^T = sum |s|^2 A A^T (joint by joint) + 3 (A s) (A s)^T (over all joints)
    carried = (transfer @ s.unsqueeze(-1)).squeeze(-1)
    blocks = (size2[..., None, None, None] * transfer @ transfer.mT).sum(-4)  # (..., joints, c, c)
    flat = carried.flatten(-2)
    system = 3 * flat.mT @ flat
    system = system.unflatten(-1, (joints, width)).unflatten(-3, (joints, width))
    system.diagonal(dim1=-4, dim2=-2).add_(blocks.movedim(-3, -1))
    system = system.flatten(-4, -3).flatten(-2)
    # ridge of rounding size: a curve at rest makes J J^T singular
    scale = system.diagonal(dim1=-2, dim2=-1).amax(-1)[..., None, None]
    ridge = torch.finfo(s.dtype).eps * torch.eye(joints * width, dtype=s.dtype, device=s.device)
    system = torch.where(scale > 0, system, 1.0) + torch.where(scale > 0, scale, 1.0) * ridge
    # gap -> lambda = (J J^T)^-1 gap -> A^T lambda -> J^T lambda = |s| A^T lambda + (s . A^T lambda) s / |s|
    pull = torch.linalg.solve(system, gap.flatten(-2).unsqueeze(-1)).unflatten(-2, (joints, width)).squeeze(-1)
    back = (transfer.mT @ pull[..., None, :, :, None]).squeeze(-1)
    size = size2.sqrt()[..., None, None]
    along = (s * back).sum((-2, -1), keepdim=True) / torch.where(size > 0, size, 1.0)
    return size * back + along * s


class MeanCurve(NamedTuple):
    """Result of `mean_curve`."""

    curve: Tensor  # (T, joints, *point)
    distances: Tensor  # (N,), elastic, from the mean to each curve
    objective: list[float]  # sum w_i d_i^2 with sum w = 1 after each round; never rises


def mean_curve(
    curves: Tensor,
    weights: Tensor | None = None,
    *,
    group: str = "rotations",
    side: str = "right",
    max_step: int = 4,
    window: float | None = None,
    tolerance: float = 1e-6,
    max_iterations: int = 50,
) -> MeanCurve:
    """Karcher mean of shapes: argmin over c of sum_i w_i d(c, c_i)^2, d the elastic distance.

    Alternating: the warp of every curve to the mean and, for these warps, the best step function on the mean's cells,
        s_k = sum_i w_i sum over pieces r in cell k of sqrt(alpha_r beta_r) s_(i, second_r),
    both exact, from the medoid. The mean starts at the Frechet mean of the starts. Carries no gradient.

    Args:
        curves: (N, T, joints, *point).
        weights: (N,), >= 0, equal by default.
        group, side, max_step, window: as in `elastic_distance`.
        tolerance: stop when a round lowers the objective by less than this share.
        max_iterations: rounds.
    Returns:
        the mean, distances to it, and the objective after each round.
    Raises:
        MvnetError: not a set of curves, or weights that are negative or of another number.
    """
    kind = find_group(group)
    kind.check(curves, "curves")
    if curves.ndim != 2 - kind.time_dim - 1 or len(curves) < 1:
        raise MvnetError(f"curves: found shape {tuple(curves.shape)}, expected (N, T, joints, ...), N >= 1")
    count = len(curves)
    weights = curves.new_ones(count) if weights is None else weights.to(curves)
    if weights.shape != (count,) or not (weights >= 0).all() or not weights.sum() > 0:
        raise MvnetError(f"weights: found shape {tuple(weights.shape)}, expected ({count},), >= 0, of positive sum")
    with torch.no_grad():
        weights = weights / weights.sum()
        s = scaled_root(kind.velocities(curves, side)).flatten(-2)  # (N, n, d)
        options = {"group": group, "side": side, "max_step": max_step, "window": window}
        between = pairwise_elastic_distance(curves, squared=True, **options)
        mean = s[(between @ weights).argmin()]
        objective: list[float] = []
        distances = s.new_zeros(count)
        for turn in range(max_iterations + 1):
            # mean -> warps of all curves to it -> both on pieces -> distances, objective
            found = alignment.align(mean, s, max_step=max_step, window=window)
            on_pieces = found.beta.sqrt().unsqueeze(-1) * s.take_along_dim(found.second.unsqueeze(-1), -2)
            at = found.alpha.sqrt().unsqueeze(-1)
            distances = (at * mean[found.first] - on_pieces).square().sum((-2, -1))
            objective.append((weights * distances).sum().item())
            if (turn and objective[-2] - objective[-1] <= tolerance * objective[-2]) or turn == max_iterations:
                break
            # pieces -> weighted sums over the cells of the mean: the best step function for these warps
            pull = weights[:, None, None] * at * on_pieces
            mean = torch.zeros_like(mean).index_add_(0, found.first.flatten(), pull.flatten(0, 1))
        start = kind.manifold.mean(curves.select(kind.time_dim, 0), weights.unsqueeze(-1), 0)
        u = scaled_square(mean.unflatten(-1, (curves.shape[kind.time_dim + 1], -1)))
        return MeanCurve(kind.trace(start, u, side), distances.sqrt(), objective)
