"""Elastic distance between curves in Lie groups, and the warp that attains it. Private: see `mvnet.curves`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.curves._groups import CurveGroup, check_side, find_group, scaled_root
from mvnet.curves._sampling import interpolate, reparametrise, uniform_times
from mvnet.errors import MvnetError
from mvnet.linalg import alignment, so3
from mvnet.linalg.alignment import Alignment
from mvnet.linalg.smooth import safe_sqrt

_ROUNDS = 20  # alternations of rotation and warp; the score rises in each, so few are ever taken


@dataclass(frozen=True)
class Match:
    """Two curves cut into the R pieces on which their optimal warp is linear.

    Attributes:
        roots: square-root velocities of both on each piece, times the root of its duration: two tensors
            (..., R, joints, c), the second rotated by `rotation`. They carry gradients.
        times: where the pieces start and end, as nondecreasing times in [0, 1] of each curve, both (..., R + 1).
        rotation: (..., 3, 3), with `modulo_rotation`.
    """

    roots: tuple[Tensor, Tensor]
    times: tuple[Tensor, Tensor]
    rotation: Tensor | None

    def squared_distance(self) -> Tensor:
        """sum over pieces of |s1 - s2|^2, shape (...)."""
        first, second = self.roots
        return (first - second).square().sum((-3, -2, -1))

    def warp(self, at: Tensor) -> Tensor:
        """The warp gamma, from times of the first curve to times of the second.

        Args:
            at: times in [0, 1] of the first curve, shape (K,) or (..., K).
        Returns:
            times in [0, 1] of the second, shape (..., K).
        """
        batch = torch.broadcast_shapes(at.shape[:-1], self.times[0].shape[:-1])
        return interpolate(at.expand(*batch, -1), *(time.expand(*batch, -1) for time in self.times))


def match(
    c1: Tensor,
    c2: Tensor,
    *,
    group: str = "rotations",
    side: str = "right",
    max_step: int = 4,
    window: float | None = None,
    modulo_rotation: bool = False,
) -> Match:
    """The reparametrisation of c2, and the rotation with `modulo_rotation`, that bring it nearest to c1.

    Args:
        c1, c2: curves (..., T1, joints, *point), (..., T2, joints, *point); batch dims broadcast.
        group, side, max_step, window, modulo_rotation: as in `elastic_distance`.
    Returns:
        the pieces on which the warp is linear.
    Raises:
        MvnetError: as in `elastic_distance`.
    """
    kind = find_group(group)
    if modulo_rotation and group != "rotations":
        raise MvnetError(f"modulo_rotation: found True for group {group!r}, expected the group 'rotations'")
    s1, s2 = (_roots(c, name, kind, side) for c, name in ((c1, "c1"), (c2, "c2")))
    if s1.shape[-2:] != s2.shape[-2:]:
        raise MvnetError(f"c2: found {s2.shape[-2]} joints, expected {s1.shape[-2]} like c1")
    batch = torch.broadcast_shapes(s1.shape[:-3], s2.shape[:-3])
    s1, s2 = (s.expand(*batch, *s.shape[-3:]) for s in (s1, s2))
    # c -> s;  s1, s2 -> best pieces (and rotation) -> s1, s2 on the pieces
    rotation = None
    if modulo_rotation:
        rotation, found = _best_rotation(s1.detach(), s2.detach(), max_step, window)
        s2 = _rotate(rotation, s2)
    else:
        found = alignment.align(s1.flatten(-2), s2.flatten(-2), max_step=max_step, window=window)
    corners = found.path()
    times = tuple((corner / s.shape[-3]).clamp(max=1) for corner, s in zip(corners, (s1, s2)))
    return Match(_on_pieces(s1, s2, found), times, rotation)  # type: ignore[arg-type]


def elastic_distance(
    c1: Tensor,
    c2: Tensor,
    *,
    group: str = "rotations",
    side: str = "right",
    max_step: int = 4,
    window: float | None = None,
    modulo_rotation: bool = False,
    squared: bool = False,
) -> Tensor:
    """d(c1, c2) = inf over gamma of | q1 - (q2 o gamma) sqrt(gamma') |_L2

    The infimum is over polylines gamma of coprime slopes up to max_step on the grid of the samples. Both curves are
    taken to be piecewise geodesic, for which the integral is exact; the times of their samples do not matter.
    The gradient is that of the distance at the optimal warp held fixed (envelope theorem), and 0 at d = 0.

    Args:
        c1, c2: curves (..., T1, joints, *point), (..., T2, joints, *point); batch dims broadcast.
        group: "rotations", "circle" or "vectors".
        side: "right": invariant under c -> c g of either curve; "left": under c -> g c (`srv_transform`).
        max_step: largest slope; T1 - 1 and T2 - 1 are at most this ratio apart. 4: 11 slopes; 6: 23, as in fdasrsf.
        window: largest |gamma(t) - t|, None for no bound.
        modulo_rotation: also minimise over one rotation of space, common to all joints, of every velocity of
            c2 (c -> g c for side "right"): warp and rotation alternate, from two starts, hence a local minimum.
        squared: return d^2, which is smooth at d = 0.
    Returns:
        shape (...), radians^(1/2), radians if squared; at most sqrt(length(c1)) + sqrt(length(c2)).
    Raises:
        MvnetError: what is not a curve, T = 1, lengths too far apart, a window too narrow, values not finite.
    Source: paper section 2.3. The paper prints a sum of norms, which grows without bound as the sampling is refined;
        this is the L2 norm of its reference [18], Celledoni, Eslitzbichler, Schmeding (2016).
    """
    found = match(
        c1, c2, group=group, side=side, max_step=max_step, window=window, modulo_rotation=modulo_rotation
    ).squared_distance()
    return found if squared else safe_sqrt(found)


def pairwise_elastic_distance(
    c1: Tensor,
    c2: Tensor | None = None,
    *,
    group: str = "rotations",
    side: str = "right",
    max_step: int = 4,
    window: float | None = None,
    squared: bool = False,
) -> Tensor:
    """`elastic_distance` of every pair of two sets of curves, faster and without gradient.

    d^2 = length(c1) + length(c2) - 2 (largest score), so that near 0 d is exact to the root of rounding only.

    Args:
        c1, c2: (N, T1, joints, *point) and (M, T2, joints, *point); c2 None: c1 with itself, diagonal 0.
        group, side, max_step, window, squared: as in `elastic_distance`.
    Returns:
        shape (N, M), radians^(1/2), radians if squared.
    """
    kind = find_group(group)
    with torch.no_grad():
        s1 = _roots(c1, "c1", kind, side).flatten(-2)
        s2 = s1 if c2 is None else _roots(c2, "c2", kind, side).flatten(-2)
        # |s1 - s2|^2 = |s1|^2 + |s2|^2 - 2 <s1, s2>, the last term maximised over warps
        scores = alignment.pairwise_scores(s1, s2, max_step=max_step, window=window)
        lengths = [s.square().sum((-2, -1)) for s in (s1, s2)]
        found = (lengths[0][:, None] + lengths[1] - 2 * scores).clamp(min=0)
        if c2 is None:
            found.fill_diagonal_(0)
        return found if squared else found.sqrt()


def align(
    c1: Tensor,
    c2: Tensor,
    *,
    group: str = "rotations",
    side: str = "right",
    max_step: int = 4,
    window: float | None = None,
) -> tuple[Tensor, Tensor]:
    """c2 o gamma sampled at the times of c1, and gamma there; times are uniform on [0, 1].

    Args:
        c1, c2: curves (..., T1, joints, *point), (..., T2, joints, *point); batch dims broadcast.
        group, side, max_step, window: as in `elastic_distance`.
    Returns:
        curve (..., T1, joints, *point) and increasing times (..., T1) from 0 to 1.
    """
    found = match(c1, c2, group=group, side=side, max_step=max_step, window=window)
    gamma = found.warp(uniform_times(c1.shape[find_group(group).time_dim], c1))
    return reparametrise(c2, gamma, group=group), gamma


def _roots(c: Tensor, name: str, kind: CurveGroup, side: str) -> Tensor:
    """u / sqrt|u| of the displacements u: q times the root of the step, free of times; (..., T - 1, joints, c)."""
    check_side(side)
    kind.check(c, name)
    return scaled_root(kind.velocities(c, side))


def _on_pieces(s1: Tensor, s2: Tensor, found: Alignment) -> tuple[Tensor, Tensor]:
    """sqrt(alpha) s1_first and sqrt(beta) s2_second, both (..., R, joints, c)."""
    return tuple(
        share.sqrt()[..., None, None] * torch.take_along_dim(s, cell[..., None, None], -3)
        for s, cell, share in ((s1, found.first, found.alpha), (s2, found.second, found.beta))
    )  # type: ignore[return-value]


def _rotate(rotation: Tensor, s: Tensor) -> Tensor:
    return s @ rotation.mT.unsqueeze(-3)


def _best_rotation(s1: Tensor, s2: Tensor, max_step: int, window: float | None) -> tuple[Tensor, Alignment]:
    """Alternate rotation and warp: given the warp, R = argmax tr(R^T M), M = sum over pieces and joints of s1 s2^T.

    Starts: the identity, and the warp that aligns the speeds of the joints, which no rotation changes.

    Args:
        s1, s2: square-root velocities times the root of the step, (..., n, joints, 3) and (..., m, joints, 3).
        max_step, window: as in `elastic_distance`.
    Returns:
        rotation (..., 3, 3) of the better start, and its alignment.
    """
    with torch.no_grad():
        speeds = [safe_sqrt(s.square().sum(-1)) for s in (s1, s2)]
        by_speed = alignment.align(*speeds, max_step=max_step, window=window)
        identity = torch.eye(3, dtype=s1.dtype, device=s1.device).expand(*s1.shape[:-3], 3, 3)
        runs = []
        for rotation in (identity, _procrustes(s1, s2, by_speed)):
            # R -> R s2 -> its warp to s1 -> M -> nearest rotation, as long as the score rises
            score = s1.new_full(s1.shape[:-3], -torch.inf)
            for _ in range(_ROUNDS):
                rotated = _rotate(rotation, s2).flatten(-2)
                found = alignment.align(s1.flatten(-2), rotated, max_step=max_step, window=window)
                gained = found.score > score + 1e2 * torch.finfo(s1.dtype).eps * found.score.abs()
                if not gained.any():
                    break
                score, rotation = found.score, _procrustes(s1, s2, found)
            found = alignment.align(s1.flatten(-2), _rotate(rotation, s2).flatten(-2), max_step=max_step, window=window)
            runs.append((rotation, found))
    # the better of the two starts, pair by pair
    (r1, a1), (r2, a2) = runs
    second = a2.score > a1.score
    fields = ("first", "second", "alpha", "beta")
    pick = {name: torch.where(second.unsqueeze(-1), getattr(a2, name), getattr(a1, name)) for name in fields}
    best = Alignment(**pick, score=torch.maximum(a1.score, a2.score))
    return torch.where(second[..., None, None], r2, r1), best


def _procrustes(s1: Tensor, s2: Tensor, found: Alignment) -> Tensor:
    # s1, s2 on pieces -> M = sum s1 s2^T -> nearest rotation
    first, second = (s.flatten(-3, -2) for s in _on_pieces(s1, s2, found))
    return so3.project(first.mT @ second)
