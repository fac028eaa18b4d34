"""Shifted views of an image for pixels that are grouped in 2x2 blocks.

Features live on blocks, values on pixels. The four pixels ("corners") of the blocks see different shifts of the image,
so the padded image is split into its four fields of equal parity; a tap of a corner is then one of these fields at an
offset: a view, no copy.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


class Stencil:
    """Taps of the four corners of a 2x2 block.

    Args:
        size: taps along each axis, odd.
        dilation: their distance in pixels.
    Attributes:
        receptive_radius: pixels from the central tap to the outermost one.
        blocks: 2x2 blocks of padding that this needs on every side.
        taps: for every corner in row-major order, (row, column) of its taps in the padded image for block (0, 0).

    Examples:
        >>> import torch
        >>> from mvnet.nn import Stencil
        >>> stencil, image = Stencil(size=3, dilation=2), torch.randn(1, 2, 8, 12)  # 4 x 6 blocks
        >>> windows = stencil.windows(stencil.split(stencil.pad(image)), 4, 6)
        >>> len(windows), windows[0].shape  # 4 corners with 9 taps
        (36, torch.Size([1, 2, 4, 6]))
    """

    def __init__(self, size: int, dilation: int):
        self.size, self.dilation = size, dilation
        self.receptive_radius = dilation * (size // 2)
        self.blocks = (self.receptive_radius + 1) // 2
        line = [dilation * (tap - size // 2) + 2 * self.blocks for tap in range(size)]
        self.taps = [[(cy + y, cx + x) for y in line for x in line] for cy in (0, 1) for cx in (0, 1)]

    def pad(self, planes: Tensor) -> Tensor:
        """Zeros around an image, `blocks` blocks wide.

        Args:
            planes: shape (B, C, 2 n, 2 m).
        Returns:
            shape (B, C, 2 (n + 2 blocks), 2 (m + 2 blocks)).
        """
        return F.pad(planes, (2 * self.blocks,) * 4)

    def split(self, padded: Tensor) -> list[list[Tensor]]:
        """The four fields of equal parity, indexed by row and column.

        Args:
            padded: shape (B, C, 2 (n + 2 blocks), 2 (m + 2 blocks)), of `pad`.
        Returns:
            2x2 contiguous tensors of shape (B, C, n + 2 blocks, m + 2 blocks).
        """
        return [[padded[:, :, a::2, b::2].contiguous() for b in (0, 1)] for a in (0, 1)]

    def windows(self, parts: list[list[Tensor]], n: int, m: int) -> list[Tensor]:
        """Shifted views: every tap of every corner of the n x m blocks.

        Args:
            parts: from `split`.
            n, m: number of blocks along each axis, without the padding.
        Returns:
            4 size^2 views of shape (B, C, n, m): corner by corner, tap by tap, row-major.
        """
        first = parts[0][0]
        size, stride = (*first.shape[:2], n, m), first.stride()
        # tap (y, x) of block (0, 0) -> parity of y and x chooses the field, half of them is the offset in it
        places = (
            (parts[y % 2][x % 2], y // 2 * stride[2] + x // 2 * stride[3]) for corner in self.taps for y, x in corner
        )
        return [part.as_strided(size, stride, start) for part, start in places]


def unblock(values: Tensor) -> Tensor:
    """Corners of 2x2 blocks back to pixels.

    Args:
        values: shape (B, C, 4, n, m), the corners in row-major order.
    Returns:
        shape (B, C, 2 n, 2 m).
    """
    return F.pixel_shuffle(values.flatten(1, 2), 2)
