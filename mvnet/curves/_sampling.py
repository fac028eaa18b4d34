"""Square-root-velocity transform and sampling of curves in Lie groups. Private: see `mvnet.curves`."""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.curves._groups import CurveGroup, check_side, find_group, scaled_root, scaled_square
from mvnet.errors import MvnetError
from mvnet.linalg.smooth import safe_sqrt


def srv_transform(c: Tensor, t: Tensor | None = None, *, group: str = "rotations", side: str = "right") -> Tensor:
    """q = a / sqrt|a|,  a = log(c_(i+1) c_i^-1) / (t_(i+1) - t_i)

    Args:
        c: curve, shape (..., T, joints, *point), radians for angles; steps shorter than half a turn.
        t: increasing times (T,) or (..., T); uniform on [0, 1] by default.
        group: "rotations", "circle" or "vectors".
        side: "right": a = c' c^-1, unchanged by c -> c g; "left": a = c^-1 c', unchanged by c -> g c.
    Returns:
        shape (..., T - 1, joints, c). |a| is the norm over all joints; q is 0, with gradient 0, where the curve rests.
    Raises:
        MvnetError: not a curve of the group, fewer than 2 samples, times that do not fit or do not increase.
    Source: Celledoni, Eslitzbichler, Schmeding, Shape analysis on Lie groups (2016).
    """
    kind = find_group(group)
    check_side(side)
    samples = kind.check(c, "c")
    steps = _times(t, c, samples).diff()[..., None, None]
    return scaled_root(kind.velocities(c, side) / steps)


def inverse_srv_transform(
    q: Tensor, start: Tensor, t: Tensor | None = None, *, group: str = "rotations", side: str = "right"
) -> Tensor:
    """The piecewise geodesic curve c_(i+1) = exp((t_(i+1) - t_i) |q_i| q_i) c_i; inverts `srv_transform` exactly.

    Args:
        q: square-root velocities, shape (..., T - 1, joints, c).
        start: c_0, shape (..., joints, *point).
        t: increasing times (T,) or (..., T); uniform on [0, 1] by default.
        group: "rotations", "circle" or "vectors".
        side: as in `srv_transform`.
    Returns:
        shape (..., T, joints, *point).
    Raises:
        MvnetError: shapes that do not fit the group or each other, times that do not increase.
    """
    kind = find_group(group)
    check_side(side)
    kind.check(start.unsqueeze(kind.time_dim + 1), "start", 1)
    width = 3 if group == "rotations" else 1
    joints = start.shape[kind.time_dim + 1]
    if q.ndim < 3 or tuple(q.shape[-2:]) != (joints, width):
        raise MvnetError(f"q: found shape {tuple(q.shape)}, expected (..., T - 1, {joints}, {width})")
    steps = _times(t, q, q.shape[-3] + 1).diff()[..., None, None]
    return kind.trace(start, scaled_square(q) * steps, side)


def resample(
    c: Tensor,
    frames: int | None = None,
    *,
    at: Tensor | None = None,
    t: Tensor | None = None,
    group: str = "rotations",
) -> Tensor:
    """The curve at other times, on the geodesic between the two samples about each.

    Args:
        c: shape (..., T, joints, *point).
        frames: number of times, uniform from the first to the last of t; or
        at: the times themselves, (K,) or (..., K); those outside are moved to the end.
        t: times of c, increasing or resting; uniform on [0, 1] by default.
        group: "rotations", "circle" or "vectors".
    Returns:
        shape (..., K, joints, *point). One sample is a curve at rest.
    Raises:
        MvnetError: not a curve of the group, both or none of frames and at, times that decrease.
    """
    kind = find_group(group)
    samples = kind.check(c, "c", 1)
    times = _times(t, c, samples, resting=True)
    if at is None and frames is not None and frames >= 1:
        unit = torch.linspace(0, 1, frames, dtype=c.dtype, device=c.device)
        at = times[..., :1] + unit * (times[..., -1:] - times[..., :1])
        if frames > 1:
            at = torch.cat((at[..., :-1], times[..., -1:]), -1)  # exactly
    elif at is None or frames is not None:
        raise MvnetError(f"frames, at: found {frames} and {at}, expected a number of frames >= 1 or times, not both")
    elif samples == 1:
        at = at.to(c)
    # at -> cell and share -> samples x, y about it -> exp(share log(y x^-1)) x
    batch = torch.broadcast_shapes(c.shape[: kind.time_dim], times.shape[:-1], at.shape[:-1])
    if samples == 1:
        shape = list(c.shape)
        shape[kind.time_dim] = at.shape[-1]
        return c.expand(*batch, *shape[kind.time_dim :])
    cell, share = locate(at.expand(*batch, -1), times.expand(*batch, -1))
    c = c.expand(*batch, *c.shape[kind.time_dim :])
    x, y = (torch.take_along_dim(c, _over_points(i, c, kind), kind.time_dim) for i in (cell, cell + 1))
    return kind.act(share[..., None, None] * kind.displacement(x, y), x)


def reparametrise(c: Tensor, phi: Tensor, t: Tensor | None = None, *, group: str = "rotations") -> Tensor:
    """c o phi, with phi given at the times of the result: `resample` at the times phi.

    Args:
        c: shape (..., T, joints, *point).
        phi: nondecreasing times, (K,) or (..., K).
        t: times of c, increasing or resting; uniform on [0, 1] by default.
        group: "rotations", "circle" or "vectors".
    Returns:
        shape (..., K, joints, *point).
    Raises:
        MvnetError: phi decreases, or as in `resample`.
    """
    if (phi.diff() < 0).any():
        raise MvnetError("phi: found decreasing values, expected a nondecreasing reparametrisation")
    return resample(c, at=phi, t=t, group=group)


def arc_length(c: Tensor, *, group: str = "rotations") -> Tensor:
    """Length of the curve up to each sample: cumulated |log(c_(i+1) c_i^-1)|.

    Args:
        c: shape (..., T, joints, *point).
        group: "rotations", "circle" or "vectors".
    Returns:
        shape (..., T), from 0; radians for angles.
    """
    kind = find_group(group)
    kind.check(c, "c", 1)
    steps = safe_sqrt(kind.velocities(c).square().sum((-2, -1)))
    return torch.nn.functional.pad(steps.cumsum(-1), (1, 0))


def resample_by_length(c: Tensor, frames: int, *, group: str = "rotations") -> Tensor:
    """The arc-length parametrisation, sampled: samples equally far apart along the curve.

    A curve that does not move is returned at rest.

    Args:
        c: shape (..., T, joints, *point).
        frames: number of samples.
        group: "rotations", "circle" or "vectors".
    Returns:
        shape (..., frames, joints, *point).
    """
    length = arc_length(c, group=group)
    total = length[..., -1:]
    share = torch.where(total > 0, length / torch.where(total > 0, total, 1.0), uniform_times(length.shape[-1], c))
    return resample(c, frames, t=share, group=group)


def locate(at: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """The cell of a grid of times that holds each time, and where in it.

    Args:
        at: shape (..., K).
        times: nondecreasing, shape (..., T).
    Returns:
        cells 0 to T - 2, and shares of them in [0, 1], both (..., K).
    """
    cell = torch.searchsorted(times.detach().contiguous(), at.detach().contiguous(), right=True) - 1
    cell = cell.clamp(0, times.shape[-1] - 2)
    low, high = times.gather(-1, cell), times.gather(-1, cell + 1)
    resting = high <= low
    share = torch.where(resting, 0.0, (at - low) / torch.where(resting, 1.0, high - low))
    return cell, share.clamp(0, 1)


def interpolate(at: Tensor, times: Tensor, values: Tensor) -> Tensor:
    """The polyline through (times, values).

    Args:
        at: shape (..., K).
        times, values: shape (..., T), times nondecreasing.
    Returns:
        shape (..., K).
    """
    cell, share = locate(at, times)
    low = values.gather(-1, cell)
    return low + share * (values.gather(-1, cell + 1) - low)


def uniform_times(samples: int, like: Tensor) -> Tensor:
    """Times uniform on [0, 1].

    Args:
        samples: their number.
        like: a tensor of the dtype and device wanted.
    Returns:
        shape (samples,).
    """
    return torch.linspace(0, 1, samples, dtype=like.dtype, device=like.device)


def _times(t: Tensor | None, c: Tensor, samples: int, resting: bool = False) -> Tensor:
    """Times in the dtype of c, (..., samples), checked."""
    if t is None:
        return uniform_times(samples, c)
    if t.ndim < 1 or t.shape[-1] != samples:
        raise MvnetError(f"t: found shape {tuple(t.shape)}, expected (..., {samples}), a time per sample")
    steps = t.diff()
    if not ((steps >= 0) if resting else (steps > 0)).all():
        raise MvnetError(f"t: found a step of {steps.min().item():.3g}, expected increasing times")
    return t.to(c)


def _over_points(index: Tensor, c: Tensor, kind: CurveGroup) -> Tensor:
    """(..., K) -> (..., K, 1, *1), to index the samples of c."""
    return index.reshape(*index.shape, *(1,) * (-kind.time_dim - 1))
