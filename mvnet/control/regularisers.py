"""Regularisers of parameters that are functions of time, theta: [0, T] -> R^m, constant on K steps h = T / K.

A parameter of K layers is a tensor (K, ...); several of them (weights, biases) are a sequence, and add up. All but
`l1` and `total_variation` are smooth; these two have their proximal maps, `mvnet.optim.L1` and `TotalVariation`.
Paper section 3.2 and Theorem 3.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError


def l1(theta: Tensor | Sequence[Tensor], duration: float | Tensor = 1.0) -> Tensor:
    """int_0^T |theta(t)|_1 dt = (T / K) sum_k |theta_k|_1: promotes zeros.

    Args:
        theta: (K, ...), or several of them.
        duration: T; K gives the sum over the layers.
    Returns:
        a scalar.
    Source: paper section 3.2.
    """
    tensors = _tensors(theta)
    return duration / len(tensors[0]) * torch.stack([x.abs().sum() for x in tensors]).sum()


def l2(theta: Tensor | Sequence[Tensor], duration: float | Tensor = 1.0) -> Tensor:
    """int_0^T |theta(t)|^2 dt = (T / K) sum_k |theta_k|^2: promotes small values.

    Args:
        theta: (K, ...), or several of them.
        duration: T; K gives the sum over the layers.
    Returns:
        a scalar.
    Source: paper section 3.2.
    """
    tensors = _tensors(theta)
    return duration / len(tensors[0]) * torch.stack([x.square().sum() for x in tensors]).sum()


def h1(theta: Tensor | Sequence[Tensor], duration: float | Tensor = 1.0) -> Tensor:
    """Squared H1 norm in time: parameters that vary smoothly over the layers.

        |theta(0)|^2 + int_0^T |theta'(t)|^2 dt  ~  |theta_0|^2 + (K / T) sum_k |theta_{k+1} - theta_k|^2

    Args:
        theta: (K, ...), or several of them.
        duration: T.
    Returns:
        a scalar.
    Raises:
        MvnetError: no tensors, no layers, or tensors that differ in their number of layers.
    Source: paper (37); for T = 1 the regulariser of (40).
    """
    tensors = _tensors(theta)
    start = torch.stack([x[0].square().sum() for x in tensors]).sum()
    changes = torch.stack([x.diff(dim=0).square().sum() for x in tensors]).sum()
    return start + len(tensors[0]) / duration * changes


def total_variation(theta: Tensor | Sequence[Tensor]) -> Tensor:
    """sum_k |theta_{k+1} - theta_k|_1: parameters that are constant on few intervals, and may jump between them.

    It does not depend on the time scale.

    Args:
        theta: (K, ...), or several of them.
    Returns:
        a scalar.
    Raises:
        MvnetError: no tensors, no layers, or tensors that differ in their number of layers.
    Source: paper section 3.4.3, which asks for deep limits in this topology.
    """
    return torch.stack([x.diff(dim=0).abs().sum() for x in _tensors(theta)]).sum()


@torch.no_grad()
def prox_total_variation(x: Tensor, t: float) -> Tensor:
    """argmin_z |z - x|^2 / 2 + t sum_k |z_{k+1} - z_k|, exact, for every entry by itself.

    The derivative of the smallest value over z_1 ... z_k as a function of z_{k+1} is piecewise linear and clipped:

        d_1(b) = b - x_1,    d_{k+1}(b) = clip(d_k(b), -t, t) + b - x_{k+1},    d_K(z_K) = 0
        z_k = clip(z_{k+1}, lo_k, hi_k),    d_k(lo_k) = -t,    d_k(hi_k) = t

    Args:
        x: (K, ...), time first.
        t: not negative.
    Returns:
        the shape of x, without gradients; K^2 operations for each entry.
    Source: Johnson, A dynamic programming algorithm for the fused lasso and L0-segmentation, JCGS 22 (2013).
    """
    if t == 0 or len(x) < 2:
        return x.clone()
    rows = x.reshape(len(x), -1).T  # (entries, K)
    lows, highs = [], []
    # clip(d_k) by its knots: positions and values (entries, 2 k), increasing; constant on both sides
    at, value = rows[:, :0], rows[:, :0]
    for k in range(len(x) - 1):
        here = rows[:, k : k + 1]
        if k == 0:
            low, high = here - t, here + t
        else:
            slope_one = value + at - here  # d_{k+1} at the knots
            low, high = _root(at, slope_one, -t), _root(at, slope_one, t)
            at, value = at.clamp(low, high), slope_one.clamp(-t, t)
        at = torch.cat([low, at, high], 1)
        value = torch.cat([torch.full_like(low, -t), value, torch.full_like(high, t)], 1)
        lows.append(low)
        highs.append(high)
    z = [_root(at, value + at - rows[:, -1:], 0.0)]
    for low, high in zip(reversed(lows), reversed(highs), strict=True):
        z.append(z[-1].clamp(low, high))
    return torch.cat(z[::-1], 1).T.reshape(x.shape)


def _root(at: Tensor, value: Tensor, level: float) -> Tensor:
    """Where the increasing function with these knots, of slope 1 beside them, takes a value; shape (entries, 1)."""
    right = (value < level).sum(1, keepdim=True)
    last = at.shape[1] - 1
    i, j = (right - 1).clamp_min(0), right.clamp_max(last)
    (x0, x1), (y0, y1) = ((v.gather(1, i), v.gather(1, j)) for v in (at, value))
    inside = x0 + (level - y0) / torch.where(y1 > y0, y1 - y0, 1) * (x1 - x0)
    return torch.where(right == 0, x0 + level - y0, torch.where(right > last, x1 + level - y1, inside))


@dataclass(frozen=True)
class TotalVariation:
    """R = strength * total variation in time, as a proximal step: `mvnet.optim.add_proximal_step` takes it.

    Args:
        strength: not negative.
    Raises:
        MvnetError: strength negative.
    """

    strength: float

    def __post_init__(self) -> None:
        if not self.strength >= 0:
            raise MvnetError(f"strength: found {self.strength}, expected a number that is not negative")

    def __call__(self, x: Tensor, t: float) -> Tensor:
        """`prox_total_variation` at t strength.

        Args:
            x: (K, ...), time first.
            t: learning rate.
        Returns:
            the shape of x.
        """
        return prox_total_variation(x, t * self.strength)


def over_layers(layers: Iterable[nn.Module]) -> list[Tensor]:
    """Parameters of equal layers as functions of time.

    Args:
        layers: modules with parameters of the same names and shapes, in their order in time.
    Returns:
        one tensor (K, ...) for every name; gradients flow to the layers.
    Raises:
        MvnetError: no layers, or layers with different parameters.
    """
    named = [dict(layer.named_parameters()) for layer in layers]
    shapes = [{name: tuple(p.shape) for name, p in parameters.items()} for parameters in named]
    if not shapes or any(other != shapes[0] for other in shapes):
        raise MvnetError(f"layers: found {shapes}, expected parameters of the same names and shapes in each")
    return [torch.stack([parameters[name] for parameters in named]) for name in named[0]]


def _tensors(theta: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    """As a sequence; MvnetError unless all have the same number of layers."""
    tensors = (theta,) if isinstance(theta, Tensor) else tuple(theta)
    counts = {len(x) if x.ndim else 0 for x in tensors}
    if len(counts) != 1 or 0 in counts:
        shapes = [tuple(x.shape) for x in tensors]
        raise MvnetError(f"theta: found shapes {shapes}, expected (K, ...) with the same K >= 1")
    return tensors
