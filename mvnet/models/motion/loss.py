"""The objective of the denoiser of motions: distance to the truth and to its acceleration, over the noise.

    loss = sum over rounds k of w_k mean rho(d_k / (c (s + m))) + w_a mean log(1 + |a - a*| / (M + e s)) + likelihoods,
    rho(x) = sqrt(1 + x^2) - 1

d is the chordal distance to the truth, s the standard deviation of the noise, a the second difference in the frame of
the value in the middle, a* the true one, m its mean length over a curve, which bounds what can be known inside a gap,
and M over a recording: a result that jitters and one that lags both pay. The error head s_e minimises
log s_e + d / s_e, whose minimum is the conditional mean of d; the trust in a value is the probability that it is no
spike.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.data_loaders.motion.training.dataset import Curves
from mvnet.models.motion.curves import CurveKind, kind_of
from mvnet.models.motion.inputs import SMALLEST_NOISE, curve_batch, extent
from mvnet.models.motion.network import MotionDenoiser
from mvnet.ranks import mean_count

_EARLIER = 0.3  # weight of the state after each round before the last
_OUTLIER = 0.3  # c: errors above this share of the noise count as outliers
_ACCELERATION, _FLOOR = 0.15, 0.003  # w_a and e
_LIKELIHOOD = 0.05
_POSITIONS = 0.5  # weight of the curves in R^3


def acceleration(values: Tensor, kind: CurveKind) -> Tensor:
    """Second difference in the frame of the value in the middle: displacement(y_t, y_{t-1} + y_{t+1}).

    Args:
        values: (..., T, *tail).
        kind: of the curves.
    Returns:
        (..., 3, T - 2).
    """
    planes = kind.planes(values).flatten(0, -3)
    middle = planes[..., 1:-1]
    found = kind.displacement(middle, planes[..., :-2] + planes[..., 2:], 2.0)
    return found.unflatten(0, values.shape[: -1 - len(kind.tail)])


def curve_loss(model: MotionDenoiser, curves: Curves) -> tuple[Tensor, Tensor]:
    """Loss of one kind of curves.

    Args:
        model: on any device.
        curves: batched, on its device.
    Returns:
        the loss (), and the mean of d / (s + m) ().
    """
    kind = kind_of(curves.values, 2)
    given = curve_batch(curves.values, curves.seen, curves.parent)
    out = model(given)
    floor = SMALLEST_NOISE * extent(curves.target, kind)
    noise = torch.maximum(curves.noise.unsqueeze(-1), floor)  # (B, J)
    true = acceleration(curves.target, kind)
    typical = true.square().sum(-2).sqrt().mean(-1)  # m, (B, J)
    bound = (_OUTLIER * (noise + typical)).unsqueeze(-1)
    loss = out.values.new_zeros(())
    for number, state in enumerate(out.rounds, 1):
        squared = kind.square_distance(state, curves.target) / bound.square()
        weight = 1.0 if number == len(out.rounds) else _EARLIER
        loss = loss + weight * ((1 + squared).sqrt() - 1).mean()
    away = acceleration(out.values, kind) - true
    lengths = (away.square().sum(-2) + (0.01 * _FLOOR * noise.unsqueeze(-1)).square()).sqrt()
    scale = typical.mean(-1, keepdim=True) + _FLOOR * noise
    loss = loss + _ACCELERATION * torch.log1p(lengths / scale.unsqueeze(-1)).mean()
    distance = kind.distance(out.values, curves.target).detach()
    likelihood = out.log_error - noise.log().unsqueeze(-1) + distance * (-out.log_error).exp()
    spikes = F.binary_cross_entropy_with_logits(out.trust, (~curves.spike).to(out.trust), reduction="none")
    seen = curves.seen.to(spikes)
    loss = loss + _LIKELIHOOD * (likelihood.mean() + (spikes * seen).sum() / mean_count(seen.sum()))
    return loss, (distance / (noise + typical).unsqueeze(-1)).mean()


def motion_loss(model: MotionDenoiser, rotations: Curves, positions: Curves) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch of `mvnet.data_loaders.motion.training.dataset.MotionPair`, and the figures for the log.

    Args:
        model: on any device; the batch is moved there.
        rotations, positions: batched.
    Returns:
        the loss (), and "loss", "rotations" and "positions", the means of d / (s + m).
    """
    device = next(model.parameters()).device
    parts = [Curves(*(x.to(device) for x in curves)) for curves in (rotations, positions)]
    (first, of_rotations), (second, of_positions) = (curve_loss(model, curves) for curves in parts)
    loss = first + _POSITIONS * second
    figures = {"loss": loss, "rotations": of_rotations, "positions": of_positions}
    return loss, {name: float(value.detach()) for name, value in figures.items()}
