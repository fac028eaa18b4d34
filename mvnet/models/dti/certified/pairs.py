"""Maps of pairs of neighbours that cannot move two pictures apart, and their average over all neighbours.

A pair (x, y) keeps its mean, and its difference d = y - x is mapped by a radial function:

    R(x, y) = (m - s(|d|) d / 2|d|,  m + s(|d|) d / 2|d|),     m = (x + y) / 2,     s(0) = 0,  |s'| <= 1
            = (x + t d,  y - t d),                             t = (1 - s(|d|) / |d|) / 2

(x, y) -> (m, d) is orthogonal up to scale, the mean is kept and a radial map of slope at most 1 is 1-Lipschitz: so is
R, in |.|^2 + |.|^2. With slopes in [0, 1], s is a resolvent: R is the proximal map of a convex function of the
distance, one step of implicit Euler for its gradient flow (paper section 2.1.1, eq. 14 with nu = 0, and 2.2.1: the
step contracts whatever its size). Slopes down to -1 are its over-relaxation.

The pairs (p, p + q) and (p - q, p) of one offset q are two matchings of the voxels, in each of which every voxel is in
one pair at most. A voxel has 26 neighbours, so 26 matchings; the average of their maps with fixed weights is

    x_p <- x_p + sum_q w_q t_pq (x_{p+q} - x_p),               w_q = w_-q >= 0,   sum_q w_q <= 1

and 1-Lipschitz as they are (Bacak, Convex analysis and optimization in Hadamard spaces (2014), section 2.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

PARTS = 2  # size and shape
KNOTS = (0.0, 1.0, 2.0, 4.0)
"""Where the linear pieces of s begin, in units of its scale."""

_TYPICAL_DISTANCE = (0.15, 0.35)  # of neighbours of one tissue, size and shape, at a noise of 0.1 per component
_SMALLEST_SCALE = 1e-3
_STRENGTH = 3.0  # logit of the strength at the start

Slices = tuple[slice, ...]


class Offset(NamedTuple):
    """One of 13 offsets; with the opposite ones they are the 26 neighbours of a voxel.

    Attributes:
        vector: its components, in {-1, 0, 1}.
        tap: its place among the 27 taps of a 3x3x3 kernel, row-major; that of the opposite one is 26 - tap.
        first, second: where p and p + q lie in a volume, for all pairs inside.
        axis: along which p and p + q differ: the pairs with p even, and those with p odd, are matchings.
    """

    vector: tuple[int, int, int]
    tap: int
    first: Slices
    second: Slices
    axis: int


def _offsets() -> Iterator[Offset]:
    ends = {-1: (slice(1, None), slice(None, -1)), 0: (slice(None),) * 2, 1: (slice(None, -1), slice(1, None))}
    for tap, (x, y, z) in enumerate(product((-1, 0, 1), repeat=3)):
        if tap > 13:
            first, second = ((ends[x][side], ends[y][side], ends[z][side]) for side in (0, 1))
            yield Offset((x, y, z), tap, first, second, 0 if x else 1 if y else 2)


OFFSETS = tuple(_offsets())


def size_of(logs: Tensor) -> Tensor:
    """tr L / sqrt 3, the coordinate of a log-tensor along I / sqrt 3.

    Args:
        logs: shape (B, 6, ...), Mandel planes.
    Returns:
        shape (B, 1, ...).
    """
    return logs[:, :3].sum(1, keepdim=True) / 3**0.5


def split(logs: Tensor) -> tuple[Tensor, Tensor]:
    """Size and shape of log-tensors: orthogonal parts, which every rotation of the values keeps apart.

    Args:
        logs: shape (B, 6, ...), Mandel planes.
    Returns:
        size (B, 1, ...), along I / sqrt 3, and shape (B, 6, ...), without trace.
    """
    size = size_of(logs)
    return size, torch.cat([logs[:, :3] - size / 3**0.5, logs[:, 3:]], 1)


def join(size: Tensor, shape: Tensor) -> Tensor:
    """Inverse of `split`.

    Args:
        size: shape (B, 1, ...).
        shape: shape (B, 6, ...).
    Returns:
        log-tensors (B, 6, ...), Mandel planes.
    """
    return torch.cat([shape[:, :3] + size / 3**0.5, shape[:, 3:]], 1)


def moved_share(distance: Tensor, scale: Tensor, strength: Tensor, slopes: Tensor) -> Tensor:
    """t = (1 - s(d) / d) / 2 of a function s that is linear between multiples of a scale.

    s(d) = (1 - a) d + a sum_k c_k min(max(d - r x_k, 0), r (x_{k+1} - x_k)),    |c_k| <= 1,  0 <= a <= 1,  x of `KNOTS`

    Args:
        distance: d > 0, any shape.
        scale: r > 0, broadcasting to it.
        strength: a, broadcasting to it.
        slopes: c, one for each of `KNOTS`; the last piece is unbounded.
    Returns:
        shape of the distance, in [0, 1].
    """
    total = torch.zeros_like(distance)
    # pieces of s(d), one after another
    for k, (start, stop) in enumerate(zip(KNOTS, (*KNOTS[1:], math.inf))):
        piece = (distance - scale * start).clamp_min(0) if start else distance
        total = total + slopes[k] * (piece if math.isinf(stop) else torch.minimum(piece, scale * (stop - start)))
    return strength * (1 - total / distance) / 2


def norm(difference: Tensor) -> Tensor:
    """Length over the channels, positive and smooth where the difference is zero.

    Args:
        difference: shape (B, C, ...).
    Returns:
        shape (B, 1, ...).
    """
    smallest = torch.finfo(difference.dtype).tiny ** 0.5  # far below the first knot: s(d) / d is constant there
    return (difference.square().sum(1, keepdim=True) + smallest).sqrt()


def pair_maps(maps: Tensor, offset: Offset, part: int) -> tuple[Tensor, Tensor]:
    """Scale and strength of s for the pairs of one offset: symmetric in both voxels.

    Args:
        maps: shape (B, 4, 27, D, H, W), what every voxel gives to its pairs: logits of scale and strength.
        offset: of the pairs.
        part: 0 for the size, 1 for the shape.
    Returns:
        two tensors (B, 1, ...) in the shape of the pairs.
    """
    scale, strength = (
        maps[:, k : k + 1, offset.tap][:, :, *offset.first] + maps[:, k : k + 1, 26 - offset.tap][:, :, *offset.second]
        for k in (2 * part, 2 * part + 1)
    )
    return _TYPICAL_DISTANCE[part] * scale.clamp(-5, 5).exp() + _SMALLEST_SCALE, torch.sigmoid(strength + _STRENGTH)


def average(
    size: Tensor, shape: Tensor, mask: Tensor, maps: Tensor, weights: Tensor, slopes: Tensor
) -> tuple[Tensor, Tensor]:
    """x_p + sum_q w_q t_pq (x_{p+q} - x_p) for size and shape; pairs that leave the mask are left out.

    Args:
        size, shape: (B, 1, D, H, W) and (B, 6, D, H, W), of `split`.
        mask: (B, 1, D, H, W) in {0, 1}.
        maps: (B, 4, 27, D, H, W), as in `pair_maps`.
        weights: (B, 13), w of `OFFSETS`; twice their sum is at most 1.
        slopes: (2, 4), of s for size and shape, in [-1, 1].
    Returns:
        size and shape.
    """
    out = []
    for part, values in enumerate((size, shape)):
        total = torch.zeros_like(values)
        for k, offset in enumerate(OFFSETS):
            # d_pq -> t_pq -> what p gains and p + q loses
            difference = values[:, :, *offset.second] - values[:, :, *offset.first]
            pair = mask[:, :, *offset.first] * mask[:, :, *offset.second] * weights[:, k].view(-1, 1, 1, 1, 1)
            share = moved_share(norm(difference), *pair_maps(maps, offset, part), slopes[part])
            flow = pair * share * difference
            total[:, :, *offset.first] += flow
            total[:, :, *offset.second] -= flow
        out.append(values + total)
    return out[0], out[1]
