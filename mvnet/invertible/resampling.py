"""Orthogonal down- and up-sampling: blocks of points become channels, turned by a learned orthogonal matrix.

An orthogonal tau x tau matrix, tau = s_1 ... s_d, reordered into a filter of the size of its stride, is an orthogonal
convolution: its inverse is the transposed convolution. `Inverted(Resample(...))` is the up-sampling.
Source: paper section 4.1.3; Etmann, Ke, Schoenlieb, iUNets (2020), the paper's reference [48].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mvnet.equivariant import FieldType, HaarPool
from mvnet.errors import MvnetError
from mvnet.invertible.base import Invertible, Mapped, wide, zeros
from mvnet.invertible.linear import EquivariantOrthogonal, Orthogonal


class Resample(Invertible):
    """Blocks of s_1 x ... x s_d points of every channel -> tau channels, by one orthogonal matrix for each channel.

    Args:
        channels: of the input.
        stride: s_1, ..., s_d; their number is the number of axes of space.
        kind: "shuffle" (pixel shuffle: the matrix is the identity), or a name of `ORTHOGONAL`.
        generator: source of the initial parameters; torch's global one when None.
    Shape:
        (B, channels, n_1, ..., n_d) -> (B, channels tau, n_1 / s_1, ..., n_d / s_d).
    Raises:
        MvnetError: a stride below 1, or unknown kind.

    Examples:
        >>> import torch
        >>> from mvnet.invertible import Inverted, Resample
        >>> down, x = Resample(2, (2, 2), "exp"), torch.randn(1, 2, 6, 8)
        >>> y, _ = down(x)
        >>> y.shape, torch.allclose(Inverted(down)(y)[0], x, atol=1e-5)
        (torch.Size([1, 8, 3, 4]), True)
    """

    def __init__(
        self,
        channels: int,
        stride: tuple[int, ...] = (2, 2),
        kind: str = "cayley",
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if not stride or min(stride) < 1:
            raise MvnetError(f"stride: found {stride}, expected numbers of at least 1")
        self.channels, self.stride, self.size = channels, tuple(stride), math.prod(stride)
        self.matrix = None if kind == "shuffle" else Orthogonal(self.size, kind, (channels,), generator=generator)

    def kernel(self) -> Tensor:
        """The filters as those of a strided convolution in `channels` groups, shape (channels tau, 1, *stride)."""
        matrix = torch.eye(self.size).expand(self.channels, -1, -1) if self.matrix is None else self.matrix()
        return matrix.reshape(self.channels * self.size, 1, *self.stride)

    def lipschitz(self, radius: float | None = None) -> tuple[float, float] | None:
        """1 and 1"""
        return 1.0, 1.0

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        d = len(self.stride)
        # (B, C, n_1, ..., n_d) -> (B, C, n_1 / s_1, s_1, ...) -> (B, C, tau, points)
        pairs = x.reshape(*x.shape[:2], *(m for n, s in zip(x.shape[2:], self.stride) for m in (n // s, s)))
        axes = (0, 1, *range(3, 3 + 2 * d, 2), *range(2, 2 + 2 * d, 2))
        blocks = pairs.permute(axes).flatten(2, 1 + d)
        if self.matrix is not None:
            blocks = (self.matrix() @ wide(blocks).flatten(3)).view(blocks.shape)
        return blocks.flatten(1, 2), zeros(x)

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        d = len(self.stride)
        blocks = z.unflatten(1, (self.channels, self.size))
        if self.matrix is not None:
            blocks = (self.matrix().mT @ wide(blocks).flatten(3)).view(blocks.shape)
        corners = blocks.unflatten(2, self.stride)
        axes = (0, 1, *(a for i in range(d) for a in (2 + d + i, 2 + i)))
        x = corners.permute(axes)
        return x.reshape(*x.shape[:2], *(n * s for n, s in zip(z.shape[2:], self.stride))), zeros(z)

    def _check(self, x: Tensor, context: Tensor | None, name: str) -> None:
        super()._check(x, context, name)
        channels, d = self.channels * (self.size if name == "z" else 1), len(self.stride)
        if x.ndim != 2 + d or x.shape[1] != channels:
            raise MvnetError(f"{name}: found shape {tuple(x.shape)}, expected {channels} channels on {d} axes")
        if name == "x" and any(n % s for n, s in zip(x.shape[2:], self.stride)):
            raise MvnetError(f"x: found a grid {tuple(x.shape[2:])}, expected multiples of {self.stride}")


class EquivariantResample(Invertible):
    """Blocks of 2^d points to channels in the Haar basis, then an equivariant orthogonal matrix.

    Args:
        fields: type of the input, `fields_in`; `fields_out` is that of its product with the corners.
        generator: source of the initial weights; torch's global one when None.
    Shape:
        (B, fields_in.channels, n_1, ..., n_d) -> (B, fields_out.channels, n_1 / 2, ..., n_d / 2), even lengths.
    """

    def __init__(self, fields: FieldType, *, generator: torch.Generator | None = None):
        super().__init__()
        self.pool = HaarPool(fields)
        self.fields_in, self.fields_out = fields, self.pool.fields_out
        self.turn = EquivariantOrthogonal(self.fields_out, generator=generator)

    def lipschitz(self, radius: float | None = None) -> tuple[float, float] | None:
        """1 and 1"""
        return 1.0, 1.0

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        return self.turn(self.pool(wide(x)))

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        y, change = self.turn.inverse(z)
        return self.pool.inverse(y), change
