"""Finite groups of rotations and reflections, and how they act on pixels and voxels.

Coordinates are the array axes: a point of an image is (row, column), of a volume (i, j, k), measured from its centre. A
group element is an orthogonal matrix M; it acts on a scalar field by

    (g . x)(p) = x(M^-1 p)

Elements whose matrix is a signed permutation move pixels onto pixels, exactly; the others interpolate.

A symmetry of the values that moves no point, such as the conjugation of complex numbers, has the identity as its
matrix. A second, internal matrix beside the spatial one distinguishes such elements.
Source: paper section 5.1 (group actions on signals on a domain).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.errors import MvnetError

_SAME = 1e-9  # matrices of one group differ by far more


@dataclass(frozen=True, eq=False)
class Group:
    """A finite subgroup of O(d), or of O(d) x O(k) where elements act on values alone as well.

    Args:
        name: Schoenflies symbol.
        matrices: shape (|G|, d, d), float64, orthogonal, the identity first: how points move.
        internal: shape (|G|, k, k), float64, orthogonal, or None; the pairs (matrix, internal) are all different.
    """

    name: str
    matrices: Tensor
    internal: Tensor | None = None

    @property
    def order(self) -> int:
        """Number of elements |G|."""
        return self.matrices.shape[0]

    @property
    def dim(self) -> int:
        """Dimension d of the space acted on."""
        return self.matrices.shape[-1]

    @cached_property
    def faithful(self) -> Tensor:
        """Shape (|G|, n, n): spatial and internal matrix as blocks of one, which tells all elements apart."""
        if self.internal is None:
            return self.matrices
        return torch.stack([torch.block_diag(m, v) for m, v in zip(self.matrices, self.internal)])

    @cached_property
    def table(self) -> Tensor:
        """Shape (|G|, |G|), long: table[a, b] is the index of the product a b."""
        products = torch.einsum("aij,bjk->abik", self.faithful, self.faithful)
        return self.index(products)

    @cached_property
    def inverse(self) -> Tensor:
        """Shape (|G|,), long: index of the inverse of each element."""
        return self.index(self.faithful.mT)

    @cached_property
    def on_grid(self) -> tuple[bool, ...]:
        """For every element, whether it is a signed permutation: exact on pixels and voxels."""
        whole = (self.matrices.round() - self.matrices).abs().amax((1, 2)) < _SAME
        return tuple(whole.tolist())

    def index(self, matrices: Tensor) -> Tensor:
        """Indices of group elements.

        Args:
            matrices: shape (..., n, n), like those of `faithful`.
        Returns:
            shape (...), long.
        Raises:
            MvnetError: when a matrix is not in the group.
        """
        difference = (matrices.unsqueeze(-3) - self.faithful).abs().amax((-2, -1))
        distance, which = difference.min(-1)
        if bool((distance > 1e-6).any()):
            raise MvnetError(f"matrices: found an element outside {self.name}, expected one of its {self.order}")
        return which

    def act(self, g: int, x: Tensor) -> Tensor:
        """(g . x)(p) = x(M^-1 p) on a scalar field or on every channel of one.

        Off the grid: bicubic in the plane, trilinear in space, zero outside the field.

        Args:
            g: index of the element.
            x: shape (..., n_1, ..., n_d).
        Returns:
            the shape of x.
        Raises:
            MvnetError: when two axes of different length are exchanged.
        """
        matrix = self.matrices[g]
        return permute_axes(matrix, x) if self.on_grid[g] else interpolate(matrix, x)


def permute_axes(matrix: Tensor, x: Tensor) -> Tensor:
    """A signed permutation of the last d axes: copies, no arithmetic.

    Args:
        matrix: shape (d, d), one entry +-1 in each row.
        x: shape (..., n_1, ..., n_d).
    Returns:
        the shape of x.
    Raises:
        MvnetError: when the axes that are exchanged differ in length.
    """
    d, lead = matrix.shape[-1], x.ndim - matrix.shape[-1]
    source = matrix.abs().argmax(1)  # output axis a reads input axis source[a]
    sign = matrix.sum(1)
    out = x.permute(*range(lead), *(lead + int(s) for s in source))
    if out.shape != x.shape:
        raise MvnetError(f"x: found a field of shape {tuple(x.shape[lead:])}, expected equal lengths to exchange axes")
    return out.flip([lead + a for a in range(d) if sign[a] < 0])


def interpolate(matrix: Tensor, x: Tensor) -> Tensor:
    """A rotation or reflection of the last d axes about the centre, zero outside the field.

    Args:
        matrix: shape (d, d), orthogonal.
        x: shape (..., n, ..., n), the last d lengths equal.
    Returns:
        the shape of x; bicubic in the plane, trilinear in space.
    Raises:
        MvnetError: when the lengths differ.
    """
    d = matrix.shape[-1]
    if len(set(x.shape[-d:])) > 1:
        raise MvnetError(f"x: found a field of shape {tuple(x.shape[-d:])}, expected equal lengths to interpolate")
    planes = x.reshape(1, -1, *x.shape[-d:])
    # grid_sample orders coordinates from the last axis to the first
    theta = F.pad(matrix.mT.flip((0, 1)), (0, 1)).to(planes)[None]
    grid = F.affine_grid(theta, list(planes.shape), align_corners=False)
    mode = "bicubic" if d == 2 else "bilinear"
    return F.grid_sample(planes, grid, mode=mode, align_corners=False).reshape(x.shape)


def rotation_2d(angle: float) -> Tensor:
    """Rotation of the plane.

    Args:
        angle: radians, from the first axis to the second.
    Returns:
        shape (2, 2), float64.
    """
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s], [s, c]], dtype=torch.float64)


def generate_group(name: str, generators: Sequence[Tensor]) -> Group:
    """The finite group generated by matrices: the closure under products from the left.

    Args:
        name: name of the group.
        generators: shape (d, d) each, float64, orthogonal, of finite order.
    Returns:
        the group, the identity first; what is within 1e-9 of a whole number is rounded to it.
    """
    elements = [torch.eye(generators[0].shape[-1], dtype=torch.float64)]
    for element in elements:  # grows while it is read
        for generator in generators:
            candidate = generator @ element
            if all(float((candidate - known).abs().max()) > 1e-6 for known in elements):
                elements.append(candidate)
    matrices = torch.stack(elements)
    whole = matrices.round()
    return Group(name, torch.where((matrices - whole).abs() < _SAME, whole, matrices))


def cyclic(n: int) -> Group:
    """C_n: the n rotations of the plane by multiples of 2 pi / n.

    Args:
        n: order of the group.
    Returns:
        the group.
    """
    return generate_group(f"C{n}", [rotation_2d(2 * math.pi / n)])


def dihedral(n: int) -> Group:
    """D_n: the n rotations of C_n and n reflections of the plane.

    Args:
        n: half the order of the group.
    Returns:
        the group.
    """
    return generate_group(f"D{n}", [rotation_2d(2 * math.pi / n), _diagonal(1, -1)])


def adjoin_conjugation(base: Group) -> Group:
    """The product of a group with Z2 = {1, conjugation}.

    Args:
        base: a group without internal matrices.
    Returns:
        the group of 2 |G| elements, those without conjugation first; the internal matrix is +1 or -1.
    """
    signs = torch.ones(2 * base.order, 1, 1, dtype=torch.float64)
    signs[base.order :] = -1
    return Group(f"{base.name}xZ2", base.matrices.repeat(2, 1, 1), signs)


def _diagonal(*entries: float) -> Tensor:
    return torch.diag(torch.tensor(entries, dtype=torch.float64))


def _quarter_turn(axis: int) -> Tensor:
    """Rotation of space by 90 degrees about an axis."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out = torch.zeros(3, 3, dtype=torch.float64)
    out[axis, axis], out[i, j], out[j, i] = 1, -1, 1
    return out


_INVERSION = (-1, -1, -1)
_MIRRORS = ((-1, 1, 1), (1, -1, 1), (1, 1, -1))

GROUPS: dict[str, Callable[[], Group]] = {
    **{f"C{n}": (lambda n=n: cyclic(n)) for n in (1, 2, 4, 6, 8, 12, 16)},
    **{f"D{n}": (lambda n=n: dihedral(n)) for n in (1, 2, 4, 6, 8, 12, 16)},
    **{f"{name}xZ2": (lambda name=name: adjoin_conjugation(group(name))) for name in ("C1", "C4", "D2", "D4")},
    "E": lambda: generate_group("E", [_diagonal(1, 1, 1)]),
    "O": lambda: generate_group("O", [_quarter_turn(0), _quarter_turn(2)]),
    "Oh": lambda: generate_group("Oh", [_quarter_turn(0), _quarter_turn(2), _diagonal(*_INVERSION)]),
    "D2h": lambda: generate_group("D2h", [_diagonal(*m) for m in _MIRRORS]),
    **{
        f"D4h-{name}": (
            lambda name=name, axis=axis: generate_group(
                f"D4h-{name}", [_quarter_turn(axis), *(_diagonal(*m) for m in _MIRRORS)]
            )
        )
        for axis, name in enumerate("ijk")
    },
}
"""Groups by name. In the plane C_n and D_n, some of them times the conjugation of the values; in space the identity
alone E, the rotations O of the cube, all its symmetries Oh, and those of a box: D4h with its four-fold axis along array
axis i, j or k, and D2h. A new group is one line here."""


@cache
def group(name: str) -> Group:
    """The group of a name, built once.

    Args:
        name: one of `GROUPS`.
    Returns:
        always the same object, as layers compare groups by identity.
    Raises:
        MvnetError: when no such group is known.
    """
    if name not in GROUPS:
        raise MvnetError(f"group: found {name!r}, expected one of {sorted(GROUPS)}")
    return GROUPS[name]()


def voxel_group(spacing: Sequence[float], tolerance: float = 1e-3) -> Group:
    """The symmetries of a voxel of the given side lengths: Oh, D4h about the odd axis, or D2h.

    Args:
        spacing: three lengths in one unit.
        tolerance: relative difference below which two lengths count as equal.
    Returns:
        the subgroup of Oh that preserves the voxel.
    Raises:
        MvnetError: when there are not three lengths, or one is not positive.
    """
    if len(spacing) != 3 or not all(length > 0 for length in spacing):
        raise MvnetError(f"spacing: found {tuple(spacing)}, expected three positive lengths")
    # for every axis, whether the two others are equal
    close = [abs(spacing[b] / spacing[c] - 1) < tolerance for b, c in ((1, 2), (0, 2), (0, 1))]
    if all(close):
        return group("Oh")
    return group(f"D4h-{'ijk'[close.index(True)]}") if any(close) else group("D2h")
