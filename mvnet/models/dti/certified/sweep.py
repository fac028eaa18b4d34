"""The pair maps along affine-invariant geodesics, one offset after another.

On Sym+(3) the size (log det) and the shape (the tensor of determinant 1) are orthogonal factors: the distance of two
tensors is that of both, and geodesics run in both. A pair goes towards each other along its geodesic,

    x <- gamma(t),   y <- gamma(1 - t),   gamma the geodesic from x to y,   t = w (1 - s(d)/d) / 2

with slopes of s in [0, 1]: the proximal map of a convex function of the distance, which is non-expansive on a manifold
of non-positive curvature, and the geodesic implicit Euler step of its gradient flow (paper section 2.4.3). The 26
matchings follow each other: the flow of their sum, Lie-Trotter split.
Source: Jost, Nonpositive curvature (1997), section 2.4; Bacak (2014), section 2.2.22.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.linalg import affine_invariant, sym3
from mvnet.models.dti.certified.pairs import OFFSETS, moved_share, norm, pair_maps


def sweep(
    size: Tensor, shape: Tensor, mask: Tensor, maps: Tensor, weights: Tensor, slopes: Tensor
) -> tuple[Tensor, Tensor]:
    """One round of 26 matchings.

    Args:
        size, shape: logs (B, 1, D, H, W) and (B, 6, D, H, W), of `mvnet.models.dti.certified.pairs.split`.
        mask: (B, 1, D, H, W) in {0, 1}.
        maps: (B, 4, 27, D, H, W), as in `pair_maps`.
        weights: (B, 13), w of `OFFSETS`.
        slopes: (2, 4), of s for size and shape, in [0, 1].
    Returns:
        logs of size and shape.
    """
    size, tensors = size.clone(), sym3.exp(shape)
    for k, offset in enumerate(OFFSETS):
        scales = [pair_maps(maps, offset, part) for part in (0, 1)]
        inside = mask[:, :, *offset.first] * mask[:, :, *offset.second] * weights[:, k].view(-1, 1, 1, 1, 1)
        for parity in (0, 1):
            pair = inside * _every_other(inside, offset.axis, parity)
            # size: a geodesic of R
            difference = size[:, :, *offset.second] - size[:, :, *offset.first]
            flow = pair * moved_share(norm(difference), *scales[0], slopes[0]) * difference
            size = _add(_add(size, offset.first, flow), offset.second, -flow)
            # shape: x, y -> d(x, y) -> t -> gamma(t), gamma(1 - t)
            x, y = tensors[:, :, *offset.first].contiguous(), tensors[:, :, *offset.second].contiguous()
            smallest = torch.finfo(x.dtype).tiny ** 0.25
            distance = affine_invariant.dist(x, y).unsqueeze(1).clamp_min(smallest)
            share = pair * moved_share(distance, *scales[1], slopes[1])
            along = affine_invariant.log(x, y)
            nearer, farther = (affine_invariant.exp(x, t * along) for t in (share, 1 - share))
            tensors = _replace(tensors, offset.first, nearer, pair > 0)
            tensors = _replace(tensors, offset.second, farther, pair > 0)
    return size, sym3.log(tensors)


def _every_other(pairs: Tensor, axis: int, parity: int) -> Tensor:
    """1 where the place along an axis has a parity, else 0; broadcasts to the pairs."""
    n = pairs.shape[2 + axis]
    kept = (torch.arange(n, device=pairs.device) % 2 == parity).to(pairs)
    return kept.view([n if a == axis else 1 for a in range(3)])


def _add(values: Tensor, place: tuple[slice, ...], change: Tensor) -> Tensor:
    out = values.clone()
    out[:, :, *place] += change
    return out


def _replace(values: Tensor, place: tuple[slice, ...], new: Tensor, where: Tensor) -> Tensor:
    out = values.clone()
    out[:, :, *place] = torch.where(where, new, out[:, :, *place])
    return out
