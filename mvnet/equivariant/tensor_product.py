"""Products of fields of space up to l = 2, in closed form: scalars, (pseudo-)vectors, symmetric 3x3 matrices.

A coupling is a bilinear map c with c(rho_1(g) a, rho_2(g) b) = rho_3(g) c(a, b) for every g of O(3), hence of O and
Oh. Symmetric matrices are six Mandel components xx, yy, zz, sqrt2 yz, sqrt2 xz, sqrt2 xy; the axial vector w of a
skew-symmetric matrix W is the one with W v = w x v.
Source: paper section 5.1.3; Thomas et al., Tensor field networks (2018).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mvnet.equivariant import fieldwise
from mvnet.equivariant.field_type import FieldType
from mvnet.equivariant.representations import PseudoVector, Representation, Sign, Sym2, Trivial, Vector
from mvnet.errors import MvnetError

_H = 0.5**0.5


def inner(a: Tensor, b: Tensor) -> Tensor:
    """<a, b>, the Euclidean product of vectors or the Frobenius product of matrices.

    Args:
        a, b: shape (..., 3) vectors, or (..., 6) matrices.
    Returns:
        shape (..., 1).
    """
    return (a * b).sum(-1, keepdim=True)


def product(a: Tensor, b: Tensor) -> Tensor:
    """A scalar times anything.

    Args:
        a, b: shapes (..., 1) and (..., n), either way round.
    Returns:
        shape (..., n).
    """
    return a * b


def cross(a: Tensor, b: Tensor) -> Tensor:
    """a x b.

    Args:
        a, b: shape (..., 3), vectors.
    Returns:
        shape (..., 3), an axial vector.
    """
    return torch.linalg.cross(*torch.broadcast_tensors(a, b))


def outer(a: Tensor, b: Tensor) -> Tensor:
    """(a b^T + b a^T) / 2, the symmetric outer product.

    Args:
        a, b: shape (..., 3), vectors.
    Returns:
        shape (..., 6), Mandel components.
    """
    # diagonal a_i b_i, off it (a_i b_j + a_j b_i) / 2 times sqrt 2
    (ax, ay, az), (bx, by, bz) = a.unbind(-1), b.unbind(-1)
    mixed = (ay * bz + az * by, ax * bz + az * bx, ax * by + ay * bx)
    return torch.stack((ax * bx, ay * by, az * bz, *(_H * m for m in mixed)), -1)


def apply(a: Tensor, v: Tensor) -> Tensor:
    """A v.

    Args:
        a: shape (..., 6), matrices.
        v: shape (..., 3), vectors.
    Returns:
        shape (..., 3), vectors.
    """
    # rows of A; Mandel components off the diagonal are sqrt 2 times the entries
    (xx, yy, zz, yz, xz, xy), (x, y, z) = a.unbind(-1), v.unbind(-1)
    return torch.stack(
        (xx * x + _H * (xy * y + xz * z), yy * y + _H * (xy * x + yz * z), zz * z + _H * (xz * x + yz * y)), -1
    )


def jordan_product(a: Tensor, b: Tensor) -> Tensor:
    """(A B + B A) / 2, the Jordan product of symmetric matrices.

    Args:
        a, b: shape (..., 6), matrices.
    Returns:
        shape (..., 6), matrices.
    """
    # components 0 1 2 3 4 5 are xx, yy, zz, sqrt2 yz, sqrt2 xz, sqrt2 xy
    a0, a1, a2, a3, a4, a5 = a.unbind(-1)
    b0, b1, b2, b3, b4, b5 = b.unbind(-1)
    yz, xz, xy = a3 * b3, a4 * b4, a5 * b5
    return torch.stack(
        (
            # xx: A_xx B_xx + A_xy B_xy + A_xz B_xz, and so on
            a0 * b0 + (xz + xy) / 2,
            a1 * b1 + (yz + xy) / 2,
            a2 * b2 + (yz + xz) / 2,
            # sqrt2 yz: the terms with A_yz or B_yz, then those through x, A_xz B_xy + A_xy B_xz
            (a3 * (b1 + b2) + (a1 + a2) * b3 + _H * (a4 * b5 + a5 * b4)) / 2,
            (a4 * (b0 + b2) + (a0 + a2) * b4 + _H * (a3 * b5 + a5 * b3)) / 2,
            (a5 * (b0 + b1) + (a0 + a1) * b5 + _H * (a3 * b4 + a4 * b3)) / 2,
        ),
        -1,
    )


def commutator(a: Tensor, b: Tensor) -> Tensor:
    """Axial vector of A B - B A, which is skew-symmetric.

    Args:
        a, b: shape (..., 6), matrices.
    Returns:
        shape (..., 3): w with (A B - B A) v = w x v.
    """
    # w = ([A, B]_zy, [A, B]_xz, [A, B]_yx): products of two off-diagonal entries, then off-diagonal times differences
    a0, a1, a2, a3, a4, a5 = a.unbind(-1)
    b0, b1, b2, b3, b4, b5 = b.unbind(-1)
    return torch.stack(
        (
            (a4 * b5 - a5 * b4) / 2 + _H * (a3 * (b1 - b2) - b3 * (a1 - a2)),
            (a5 * b3 - a3 * b5) / 2 + _H * (a4 * (b2 - b0) - b4 * (a2 - a0)),
            (a3 * b4 - a4 * b3) / 2 + _H * (a5 * (b0 - b1) - b5 * (a0 - a1)),
        ),
        -1,
    )


def trace(a: Tensor) -> Tensor:
    """tr A.

    Args:
        a: shape (..., 6), matrices.
    Returns:
        shape (..., 1).
    """
    return a[..., :3].sum(-1, keepdim=True)


def _trace_left(a: Tensor, b: Tensor) -> Tensor:
    """tr(A) B."""
    return trace(a) * b


def _trace_right(a: Tensor, b: Tensor) -> Tensor:
    """tr(B) A."""
    return trace(b) * a


class Coupling(NamedTuple):
    """A bilinear map to fields of the type `out`.

    Attributes:
        out: class of the representation of the result.
        map: (..., n_1), (..., n_2) -> (..., n_3).
    """

    out: type
    map: Callable[[Tensor, Tensor], Tensor]


def _couplings() -> dict[tuple[type, type], tuple[Coupling, ...]]:
    vectors = tuple(Coupling(out, f) for out, f in ((Trivial, inner), (PseudoVector, cross), (Sym2, outer)))
    matrices = tuple(
        Coupling(out, f)
        for out, f in (
            (Trivial, inner),
            (Sym2, jordan_product),
            (Sym2, _trace_left),
            (Sym2, _trace_right),
            (PseudoVector, commutator),
        )
    )
    table: dict[tuple[type, type], tuple[Coupling, ...]] = {
        (Vector, Vector): vectors,
        (PseudoVector, PseudoVector): vectors,
        (Vector, PseudoVector): (Coupling(Sign, inner), Coupling(Vector, cross)),
        (Sym2, Vector): (Coupling(Vector, apply),),
        (Sym2, PseudoVector): (Coupling(PseudoVector, apply),),
        (Sym2, Sym2): matrices,
        (Sign, Sign): (Coupling(Trivial, product),),
        (Sign, Vector): (Coupling(PseudoVector, product),),
        (Sign, PseudoVector): (Coupling(Vector, product),),
    }
    for rho in (Trivial, Sign, Vector, PseudoVector, Sym2):
        table[Trivial, rho] = (Coupling(rho, product),)
    for (left, right), couplings in list(table.items()):
        if left is not right:
            table[right, left] = tuple(Coupling(c.out, _swap(c.map)) for c in couplings)
    return table


def _swap(f: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda a, b: f(b, a)


COUPLINGS = _couplings()
"""The couplings of each pair of representations. Left out: what leaves these types (l > 2, and pseudo-matrices), and
tr(A) tr(B), which is a trace of tr(A) B."""


class TensorProduct(nn.Module):
    """All couplings of the i-th field of one input with the i-th of another; a convolution of size 1 may mix them.

    Args:
        left, right: types of one group of space, with the same multiplicities; `right` is `left` when None.
        outputs: representations to keep, all when None.
    Attributes:
        fields_in: `left`.
        fields_out: one block of fields for each pair of blocks and each of its couplings, in the order of `COUPLINGS`.
    Shape:
        a (B, left.channels, ...), b (B, right.channels, ...) -> (B, fields_out.channels, ...).
    Raises:
        MvnetError: when multiplicities differ, a pair has no coupling, or nothing is kept.

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import TensorProduct, field_type, group
        >>> product = TensorProduct(field_type(group("Oh"), {"sym2": 1}))
        >>> product.fields_out
        1 trivial[1] + 1 sym2[6] + 1 sym2[6] + 1 sym2[6] + 1 pseudo-vector[3]
        >>> product(torch.randn(1, 6, 3, 3, 3)).shape
        torch.Size([1, 22, 3, 3, 3])
    """

    def __init__(
        self, left: FieldType, right: FieldType | None = None, outputs: tuple[type[Representation], ...] | None = None
    ):
        super().__init__()
        right = left if right is None else right
        counts = [tuple(count for count, _ in fields.fields) for fields in (left, right)]
        if left.group is not right.group or counts[0] != counts[1]:
            raise MvnetError(f"right: found {right}, expected the group and multiplicities of {left}")
        out, self._maps = [], []
        for (count, a), (_, b) in zip(left.fields, right.fields):
            if (type(a), type(b)) not in COUPLINGS or left.group.dim != 3:
                raise MvnetError(f"left and right: found {a} with {b}, expected in space one of {_names()}")
            kept = [c for c in COUPLINGS[type(a), type(b)] if outputs is None or c.out in outputs]
            self._maps.append([c.map for c in kept])
            out += [(count, c.out(left.group)) for c in kept]
        if not out:
            raise MvnetError(f"outputs: found {outputs}, expected one that {left} with {right} couple to")
        self.fields_in, self.right, self.fields_out = left, right, FieldType(*out)

    def forward(self, a: Tensor, b: Tensor | None = None) -> Tensor:
        """All couplings at every point.

        Args:
            a: shape (B, left.channels, ...).
            b: shape (B, right.channels, ...); a itself when None.
        Returns:
            shape (B, fields_out.channels, ...).
        """
        b = a if b is None else b
        fieldwise.check_channels(self.fields_in, a, "a")
        fieldwise.check_channels(self.right, b, "b")
        out = []
        for maps, x, y in zip(self._maps, fieldwise.blocks(self.fields_in, a), fieldwise.blocks(self.right, b)):
            # blocks (B, count, n, ...) -> components last -> every coupling -> channels
            x, y = x.movedim(2, -1), y.movedim(2, -1)
            out += [coupling(x, y).movedim(-1, 2).flatten(1, 2) for coupling in maps]
        return torch.cat(out, 1)

    def extra_repr(self) -> str:
        """Types of the inputs and of the output, for print(layer)."""
        return f"{self.fields_in} x {self.right} -> {self.fields_out}"


def _names() -> str:
    return ", ".join(f"{a.__name__} x {b.__name__}" for a, b in COUPLINGS)
