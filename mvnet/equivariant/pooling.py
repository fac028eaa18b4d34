"""Orthogonal resampling by blocks of 2^d, equivariant on even sizes.

The grid of an even-sized field has its centre between the points, and so have its blocks: a group element moves blocks
onto blocks and corners of a block onto corners. Values of a block become components: the output is of the type
rho (x) corners. In the Haar basis of the corners, the products of the signs of the corner's coordinates,

    h_S(c) = 2^(-d/2) prod_{a in S} sign(c_a),        S a subset of the axes,

the corners split into the mean (S empty) and 2^d - 1 details, which a group element permutes up to sign.
Source: paper section 5.1; Jacobsen et al., i-RevNet (2018), for invertible resampling.
"""

from __future__ import annotations

import itertools
from functools import cache, lru_cache

import torch
from torch import Tensor, nn

from mvnet.equivariant import fieldwise
from mvnet.equivariant.field_type import FieldType
from mvnet.equivariant.groups import Group
from mvnet.equivariant.kernels import taps
from mvnet.equivariant.representations import Points, Representation, kronecker
from mvnet.errors import MvnetError


class Kronecker(Representation):
    """The tensor product a (x) b; component i of a and j of b is number i n_b + j.

    Args:
        a, b: representations of one group.
    Raises:
        MvnetError: when the groups differ.
    """

    def __init__(self, a: Representation, b: Representation):
        if a.group is not b.group:
            raise MvnetError(f"b: found a representation of {b.group.name}, expected one of {a.group.name}")
        self.factors = a, b
        super().__init__(f"({a.name} x {b.name})", a.group, kronecker(a.matrices, b.matrices))


@cache
def corners(group: Group) -> Points:
    """Functions on the 2^d corners of a block, in row-major order.

    Args:
        group: maps corners onto corners.
    Returns:
        the permutation representation of 2^d components; built once.
    Raises:
        MvnetError: when the group is not one of the grid.
    """
    return taps(group, 2)


@cache
def haar(dim: int) -> Tensor:
    """The h_S at the corners in row-major order: the constant first, then by |S|.

    Args:
        dim: d.
    Returns:
        shape (2^d, 2^d), float64, orthogonal.
    """
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=dim)), dtype=torch.float64)
    subsets = [s for size in range(dim + 1) for s in itertools.combinations(range(dim), size)]
    return torch.stack([signs[:, list(s)].prod(1) for s in subsets]) / 2 ** (dim / 2)


class Details(Representation):
    """The h_S of non-empty S: 2^d - 1 components, permuted up to sign."""

    def __init__(self, group: Group):
        basis = haar(group.dim)
        super().__init__("details", group, (basis @ corners(group).matrices @ basis.mT)[:, 1:, 1:])


@cache
def details(group: Group) -> Details:
    """The one representation `Details` of a group.

    Args:
        group: any group.
    Returns:
        the same object for the same group.
    """
    return Details(group)


@lru_cache(maxsize=256)
def _kronecker(a: Representation, b: Representation) -> Kronecker:
    return Kronecker(a, b)


class BlockPool(nn.Module):
    """Blocks of 2^d points become the components of one: a permutation of the numbers, exactly invertible.

    Args:
        fields: type of the input, `fields_in`; the output's, `fields_out`, is that of its product with the corners.
    Shape:
        (B, fields_in.channels, n_1, ..., n_d) -> (B, fields_out.channels, n_1 / 2, ..., n_d / 2).
    Source: Jacobsen et al., i-RevNet (2018).

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import BlockPool, field_type, group
        >>> fields = field_type(group("D4"), {"trivial": 2, "vector": 1})
        >>> pool, x = BlockPool(fields), torch.randn(1, 4, 6, 6)
        >>> pool(x).shape, torch.equal(pool.inverse(pool(x)), x)
        (torch.Size([1, 16, 3, 3]), True)
    """

    def __init__(self, fields: FieldType):
        super().__init__()
        self.fields_in, self.fields_out = fields, self._type_out(fields)

    def _type_out(self, fields: FieldType) -> FieldType:
        return FieldType(*((count, _kronecker(rho, corners(fields.group))) for count, rho in fields.fields))

    def forward(self, x: Tensor) -> Tensor:
        """Blocks to channels.

        Args:
            x: shape (B, fields_in.channels, n_1, ..., n_d), even lengths.
        Returns:
            shape (B, fields_out.channels, n_1 / 2, ..., n_d / 2).
        Raises:
            MvnetError: when a length is odd or the channels do not fit.
        """
        return self._blocks(x).flatten(1, 2)

    def inverse(self, y: Tensor) -> Tensor:
        """Undo `forward`, bit for bit.

        Args:
            y: shape (B, fields_out.channels, m_1, ..., m_d).
        Returns:
            shape (B, fields_in.channels, 2 m_1, ..., 2 m_d).
        Raises:
            MvnetError: the channels do not fit.
        """
        fieldwise.check_channels(self.fields_out, y, "y")
        return self._unblocks(y.unflatten(1, (self.fields_in.channels, -1)))

    def _blocks(self, x: Tensor) -> Tensor:
        """(B, C, n_1, ..., n_d) -> (B, C, 2^d, n_1 / 2, ..., n_d / 2)."""
        fieldwise.check_channels(self.fields_in, x)
        d, sizes = self.fields_in.group.dim, x.shape[2:]
        if len(sizes) != d or any(n % 2 for n in sizes):
            raise MvnetError(f"x: found a field of shape {tuple(sizes)}, expected {d} even lengths")
        # (n_1, ..., n_d) -> (n_1 / 2, 2, ..., n_d / 2, 2) -> corners before space
        pairs = x.reshape(*x.shape[:2], *(m for n in sizes for m in (n // 2, 2)))
        axes = (0, 1, *range(3, 3 + 2 * d, 2), *range(2, 2 + 2 * d, 2))
        return pairs.permute(axes).flatten(2, 1 + d)

    def _unblocks(self, y: Tensor) -> Tensor:
        """Inverse of `_blocks`."""
        d, sizes = self.fields_in.group.dim, y.shape[3:]
        pairs = y.unflatten(2, (2,) * d)
        axes = (0, 1, *(axis for a in range(d) for axis in (2 + d + a, 2 + a)))
        return pairs.permute(axes).reshape(*y.shape[:2], *(2 * n for n in sizes))

    def extra_repr(self) -> str:
        """Types of input and output, for print(layer)."""
        return f"{self.fields_in} -> {self.fields_out}"


class HaarPool(BlockPool):
    """`BlockPool` in the Haar basis: means of the blocks times 2^(d/2), of the input's type, then details.

    Orthogonal: |y| = |x|, and the inverse is the transpose. `fields_out` is `fields_in` followed by rho (x) details for
    every rho.

    Args:
        fields: type of the input.
    Shape:
        (B, fields_in.channels, n_1, ..., n_d) -> (B, fields_out.channels, n_1 / 2, ..., n_d / 2).

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import HaarPool, field_type, group
        >>> fields = field_type(group("D4"), {"trivial": 2, "vector": 1})
        >>> pool, x = HaarPool(fields), torch.randn(1, 4, 6, 6)
        >>> torch.allclose(pool(x).norm(), x.norm())
        True
    """

    def _type_out(self, fields: FieldType) -> FieldType:
        detail = ((count, _kronecker(rho, details(fields.group))) for count, rho in fields.fields)
        return FieldType(*fields.fields, *detail)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, fields_in.channels, n_1, ..., n_d) -> (B, fields_out.channels, n_1 / 2, ..., n_d / 2)."""
        # blocks -> coefficients in the Haar basis -> means, then details, as channels
        blocks = self._blocks(x)
        y = torch.einsum("sk,bck...->bsc...", haar(self.fields_in.group.dim).to(x), blocks)
        return torch.cat((y[:, 0], y[:, 1:].transpose(1, 2).flatten(1, 2)), 1)

    def inverse(self, y: Tensor) -> Tensor:
        """y (B, fields_out.channels, m_1, ..., m_d) -> (B, fields_in.channels, 2 m_1, ..., 2 m_d), to rounding."""
        fieldwise.check_channels(self.fields_out, y, "y")
        channels = self.fields_in.channels
        mean, detail = y[:, :channels], y[:, channels:].unflatten(1, (channels, -1))
        basis = haar(self.fields_in.group.dim).to(y)
        return self._unblocks(torch.einsum("sk,bcs...->bck...", basis, torch.cat((mean[:, :, None], detail), 2)))
