"""Equivariant features at several resolutions: residual convolutions going down, then up again.

The mean of 2x2 blocks and bilinear interpolation back are symmetric, so levels of even size commute with every symmetry
of the square. Features are zero where nothing valid is below them, as the padding of a convolution is: the result does
not depend on how much of nothing surrounds the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.equivariant import FieldType, GroupConv, rms_squash
from mvnet.errors import MvnetError


class Residual(nn.Module):
    """h <- h + silu(K h), as often as asked."""

    def __init__(self, fields: FieldType, convolutions: int):
        super().__init__()
        self.convolutions = nn.ModuleList(GroupConv(fields, fields, 3, gain=0.5) for _ in range(convolutions))

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        for convolution in self.convolutions:
            step = convolution(rms_squash(h))
            h = torch.addcmul(h, F.silu(step, inplace=not torch.is_grad_enabled()), mask)
        return h


class EquivariantUNet(nn.Module):
    """A U-shaped network of residual convolutions.

    Args:
        fields: type of the features of every level, permutations only; each level has half the resolution of the one
            before.
        inputs: types of what enters every level.
        down, up: number of convolutions of every level before and after the coarser ones.
    Raises:
        ValueError: when the lists differ in length.
    """

    def __init__(
        self, fields: Sequence[FieldType], inputs: Sequence[FieldType | None], down: Sequence[int], up: Sequence[int]
    ):
        super().__init__()
        if not len(fields) == len(inputs) == len(down) == len(up):
            raise MvnetError(
                f"levels: found {len(fields)} types, {len(inputs)} inputs, {len(down)} and {len(up)} counts, "
                "expected as many of each"
            )
        self.counts = list(zip(down, up))
        lifts = [nn.Identity() if given is None else GroupConv(given, own, 1) for given, own in zip(inputs, fields)]
        self.lifts = nn.ModuleList(lifts)
        self.down = nn.ModuleList(Residual(own, count) for own, count in zip(fields, down))
        self.up = nn.ModuleList(Residual(own, count) for own, count in zip(fields, up))
        pairs = list(pairwise(fields))
        self.coarser = nn.ModuleList(GroupConv(fine, coarse, 1, gain=1.0) for fine, coarse in pairs)
        self.finer = nn.ModuleList(GroupConv(coarse, fine, 1, gain=1.0) for fine, coarse in pairs)

    @property
    def receptive_radius(self) -> int:
        """How many points of the finest level on each side an output point can depend on."""
        total = 0
        for level, (down, up) in enumerate(self.counts):
            total += 2**level * (down + up) + (2**level if level else 0)  # and a neighbour of the interpolation
        return total + 2 ** (len(self.counts) - 1) - 1

    def forward(self, inputs: Sequence[Tensor | None], mask: Tensor) -> Tensor:
        """inputs: for every level (B, C_l, n / 2^l, m / 2^l), None where it has none; mask (B, 1, n, m) in {0, 1}.

        Returns:
            (B, C_0, n, m).
        """
        masks, kept, h = [mask], [], None
        for level, given in enumerate(inputs):
            if level:
                masks.append(F.max_pool2d(masks[-1], 2))
                h = self.coarser[level - 1](F.avg_pool2d(rms_squash(kept[-1]), 2))
            if given is not None:
                lifted = self.lifts[level](given)
                h = lifted if h is None else lifted.add_(h)
            assert h is not None
            h = h.contiguous(memory_format=torch.channels_last)  # as convolutions want it and leave it
            kept.append(self.down[level](F.silu(h).mul_(masks[level]), masks[level]))
        h = self.up[-1](kept.pop(), masks[-1])
        for level in reversed(range(len(kept))):
            raised = F.interpolate(self.finer[level](rms_squash(h)), scale_factor=2.0, mode="bilinear")
            h = self.up[level](torch.addcmul(kept.pop(), raised, masks[level]), masks[level])
        return h
