"""An equivariant U-Net: residual convolutions at several resolutions, going down, then up again.

The mean of 2x2 blocks and bilinear interpolation back are symmetric, so levels of even size commute with every symmetry
of the square. Features are zero where nothing valid is below them, as the padding of a convolution is: the result does
not depend on how much of nothing surrounds the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.equivariant import FieldType, GroupConv, rms_squash
from mvnet.errors import MvnetError
from mvnet.nn.memory import run_part


class Residual(nn.Module):
    """h <- h + silu(K h), repeated.

    Args:
        fields: type of the features, permutations only.
        convolutions: number of repetitions.
        generator: source of the initial weights; torch's global generator when None.
    Shape:
        h (B, fields.channels, n, m), mask (B, 1, n, m) -> (B, fields.channels, n, m).
    """

    def __init__(self, fields: FieldType, convolutions: int, *, generator: torch.Generator | None = None):
        super().__init__()
        self.convolutions = nn.ModuleList(
            GroupConv(fields, fields, 3, gain=0.5, generator=generator) for _ in range(convolutions)
        )

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """Features after all convolutions.

        Args:
            h: shape (B, fields.channels, n, m).
            mask: shape (B, 1, n, m), in {0, 1}: where features may be other than zero.
        Returns:
            shape (B, fields.channels, n, m).
        """
        for convolution in self.convolutions:
            step = convolution(rms_squash(h))
            h = torch.addcmul(h, F.silu(step, inplace=not torch.is_grad_enabled()), mask)
        return h


class EquivariantUNet(nn.Module):
    """Features of the finest level from inputs at every level.

    Args:
        fields: type of the features of every level, permutations only; each level has half the resolution of the one
            before.
        inputs: types of what enters every level; None where nothing does, but something on the first.
        down, up: number of convolutions of every level before and after the coarser ones.
        generator: source of the initial weights; torch's global generator when None.
    Shape:
        for every level l an input (B, inputs[l].channels, n / 2^l, m / 2^l) or None, mask (B, 1, n, m)
        -> (B, fields[0].channels, n, m); n and m are multiples of 2^(levels - 1).
    Raises:
        MvnetError: when the lists differ in length, or nothing enters the first level.
    Source: Ronneberger, Fischer and Brox, U-Net (2015); paper section 5.1 for the equivariance.

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import field_type, group
        >>> from mvnet.nn import EquivariantUNet
        >>> square = group("D4")
        >>> scalar, fine = field_type(square, {"trivial": 1}), field_type(square, {"trivial": 2, "regular": 1})
        >>> coarse = field_type(square, {"regular": 2})
        >>> net = EquivariantUNet([fine, coarse], [scalar, None], down=[1, 2], up=[1, 0])
        >>> net([torch.randn(1, 1, 16, 24), None], torch.ones(1, 1, 16, 24)).shape
        torch.Size([1, 10, 16, 24])
        >>> net.receptive_radius
        9
    """

    def __init__(
        self,
        fields: Sequence[FieldType],
        inputs: Sequence[FieldType | None],
        down: Sequence[int],
        up: Sequence[int],
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if not len(fields) == len(inputs) == len(down) == len(up):
            raise MvnetError(
                f"down and up: found {len(down)} and {len(up)} counts, {len(inputs)} inputs, {len(fields)} types, "
                "expected as many of each"
            )
        if inputs[0] is None:
            raise MvnetError("inputs: found None for the first level, expected the type of what enters it")
        self.counts = list(zip(down, up))
        conv, residual = partial(GroupConv, size=1, generator=generator), partial(Residual, generator=generator)
        lifts = [nn.Identity() if given is None else conv(given, own) for given, own in zip(inputs, fields)]
        self.lifts = nn.ModuleList(lifts)
        self.down = nn.ModuleList(residual(own, count) for own, count in zip(fields, down))
        self.up = nn.ModuleList(residual(own, count) for own, count in zip(fields, up))
        pairs = list(pairwise(fields))
        self.coarser = nn.ModuleList(conv(fine, coarse, gain=1.0) for fine, coarse in pairs)
        self.finer = nn.ModuleList(conv(coarse, fine, gain=1.0) for fine, coarse in pairs)

    @property
    def receptive_radius(self) -> int:
        """Points of the finest level on each side that an output point can depend on."""
        total = 0
        for level, (down, up) in enumerate(self.counts):
            total += 2**level * (down + up) + (2**level if level else 0)  # and a neighbour of the interpolation
        return total + 2 ** (len(self.counts) - 1) - 1

    def forward(self, inputs: Sequence[Tensor | None], mask: Tensor, memory: str = "plain") -> Tensor:
        """Features of the finest level.

        Args:
            inputs: for every level l shape (B, inputs[l].channels, n / 2^l, m / 2^l), None where nothing enters.
            mask: shape (B, 1, n, m), in {0, 1}: where there are data.
            memory: a name of `mvnet.runtime.MEMORY`; the parts are the residual convolutions of a level.
        Returns:
            shape (B, fields[0].channels, n, m).
        Raises:
            MvnetError: when a level has no input and none above it.
        """
        # down: features of the level above -> half the resolution -> + input -> residual convolutions, kept
        masks, kept, h = [mask], [], None
        for level, given in enumerate(inputs):
            if level:
                masks.append(F.max_pool2d(masks[-1], 2))
                h = self.coarser[level - 1](F.avg_pool2d(rms_squash(kept[-1]), 2))
            if given is not None:
                lifted = self.lifts[level](given)
                h = lifted if h is None else lifted.add_(h)
            if h is None:
                raise MvnetError("inputs: found None for the first level, expected a field")
            h = h.contiguous(memory_format=torch.channels_last)  # as convolutions want it and leave it
            h = F.silu(h).mul_(masks[level])
            kept.append(run_part(self.down[level], h, masks[level], memory=memory))
        # up: features of the level below -> twice the resolution -> + kept ones -> residual convolutions
        h = run_part(self.up[-1], kept.pop(), masks[-1], memory=memory)
        for level in reversed(range(len(kept))):
            raised = F.interpolate(self.finer[level](rms_squash(h)), scale_factor=2.0, mode="bilinear")
            h = torch.addcmul(kept.pop(), raised, masks[level])
            h = run_part(self.up[level], h, masks[level], memory=memory)
        return h
