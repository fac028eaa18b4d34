"""How a group acts on the values of a field: its representations.

A field of type rho transforms by  (g . f)(p) = rho(g) f(M^-1 p).  Every representation here is orthogonal. Two
properties decide what a layer may do with it: a *permutation* admits any pointwise nonlinearity, a *monomial*
representation (one entry +-1 in each row) admits odd ones and kernels tied by index alone.
Source: paper section 5.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor

from mvnet.equivariant.groups import Group
from mvnet.errors import MvnetError
from mvnet.linalg.sym3 import MANDEL

_EXACT = 1e-9
_INDEPENDENT = 1e-6  # length of what a projected unit vector adds to the span of those before it


class Representation:
    """Orthogonal matrices rho(g), one for every group element.

    A new representation is a subclass that hands its matrices to this constructor.

    Args:
        name: for messages.
        group: G.
        matrices: shape (|G|, n, n), float64, orthogonal, with rho(g h) = rho(g) rho(h); what is within 1e-9 of a whole
            number is rounded to it.
    """

    def __init__(self, name: str, group: Group, matrices: Tensor):
        whole = matrices.round()
        self.name, self.group = name, group
        self.matrices = torch.where((matrices - whole).abs() < _EXACT, whole, matrices)

    @property
    def size(self) -> int:
        """Number of components n."""
        return self.matrices.shape[-1]

    @cached_property
    def images(self) -> Tensor:
        """Shape (|G|, n), long: component i goes to component images[g, i]; of a monomial representation."""
        return self.matrices.abs().argmax(1)

    @cached_property
    def signs(self) -> Tensor:
        """Shape (|G|, n): the sign, +1 or -1, with which component i goes there."""
        return self.matrices.sum(1).round()

    @cached_property
    def is_monomial(self) -> bool:
        """Whether every rho(g) is a signed permutation."""
        whole = float((self.matrices - self.matrices.round()).abs().max()) < _EXACT
        return whole and bool((self.matrices.abs().sum(1).round() == 1).all())

    @cached_property
    def is_permutation(self) -> bool:
        """Whether every rho(g) is a permutation."""
        return self.is_monomial and bool((self.signs > 0).all())

    @cached_property
    def invariants(self) -> Tensor:
        """Shape (count, n): orthonormal vectors b with rho(g) b = b for every g, the biases that are allowed."""
        return fixed_vectors(self.matrices.mean(0))

    def __repr__(self) -> str:
        return f"{self.name}[{self.size}]"


def fixed_vectors(average: Tensor) -> Tensor:
    """Orthonormal basis of the vectors that a group leaves alone: of the range of the group average, a projection.

    Gram-Schmidt on the projected unit vectors in their order, so that the basis is unique and the weights of a
    checkpoint mean the same everywhere: eigenvectors would differ between LAPACKs and numbers of threads.

    Args:
        average: shape (n, n), the mean of rho(g) over the group.
    Returns:
        shape (count, n), count = tr(average).
    """
    projection = (average + average.mT) / 2
    basis = projection.new_zeros(round(float(projection.trace())), len(projection))
    found = 0
    for vector in projection:
        if found == len(basis):
            break
        # v -> v - sum_k b_k <b_k, v>; the second time removes what rounding left
        for _ in range(2):
            vector = vector - basis[:found].mT @ (basis[:found] @ vector)
        length = vector.norm()
        if length > _INDEPENDENT:
            basis[found] = vector / length
            found += 1
    return basis


class Trivial(Representation):
    """Scalars: rho(g) = 1."""

    def __init__(self, group: Group):
        super().__init__("trivial", group, torch.ones(group.order, 1, 1, dtype=torch.float64))


class Sign(Representation):
    """Pseudo-scalars: rho(g) = det g."""

    def __init__(self, group: Group):
        super().__init__("sign", group, torch.linalg.det(group.matrices).round().view(-1, 1, 1))


class Vector(Representation):
    """Vectors: rho(g) = M."""

    def __init__(self, group: Group):
        super().__init__("vector", group, group.matrices)


class PseudoVector(Representation):
    """Axial vectors of space, such as a rotation axis: rho(g) = det(M) M."""

    def __init__(self, group: Group):
        if group.dim != 3:
            raise MvnetError(f"group: found {group.name} in dimension {group.dim}, expected a group of space")
        determinant = torch.linalg.det(group.matrices).round().view(-1, 1, 1)
        super().__init__("pseudo-vector", group, determinant * group.matrices)


class Internal(Representation):
    """Values on which the internal matrices act: rho(g) = internal(g).

    Of a product with Z2: numbers that are odd under conjugation; scalars where the group moves points only.
    """

    def __init__(self, group: Group):
        super().__init__("internal", group, internal_matrices(group))


class WaveVector(Representation):
    """Wave vectors of a complex field, the local gradients of its phase: rho(g) = det(internal) M.

    They rotate with the image and change sign under conjugation.
    """

    def __init__(self, group: Group):
        sign = torch.linalg.det(internal_matrices(group)).round().view(-1, 1, 1)
        super().__init__("wave-vector", group, sign * group.matrices)


def internal_matrices(group: Group) -> Tensor:
    """The internal matrices of a group; 1 for every element of a group that moves points only.

    Args:
        group: G.
    Returns:
        shape (|G|, k, k), float64.
    """
    return torch.ones(group.order, 1, 1, dtype=torch.float64) if group.internal is None else group.internal


class Matrix(Representation):
    """d x d matrices, row-major: X -> M X M^T, so rho(g) = M (x) M. Elements of gl(d)."""

    def __init__(self, group: Group):
        super().__init__("matrix", group, kronecker(group.matrices, group.matrices))


class Sym2(Representation):
    """Symmetric 3x3 matrices in Mandel components, P -> M P M^T; also their logarithms."""

    def __init__(self, group: Group):
        if group.dim != 3:
            raise MvnetError(f"group: found {group.name} in dimension {group.dim}, expected a group of space")
        basis = _mandel_basis()
        super().__init__("sym2", group, basis @ kronecker(group.matrices, group.matrices) @ basis.mT)


def _mandel_basis() -> Tensor:
    """(6, 9): the orthonormal symmetric matrices whose coefficients are the Mandel components, row-major."""
    basis = torch.zeros(6, 3, 3, dtype=torch.float64)
    for k, (i, j) in enumerate(MANDEL):
        basis[k, i, j] = basis[k, j, i] = 1 if i == j else 0.5**0.5
    return basis.view(6, 9)


def kronecker(a: Tensor, b: Tensor) -> Tensor:
    """Kronecker products a_g (x) b_g of two families of matrices.

    Args:
        a: shape (|G|, m, m).
        b: shape (|G|, n, n).
    Returns:
        shape (|G|, m n, m n); component (i, k) is number i n + k.
    """
    return torch.einsum("gij,gkl->gikjl", a, b).reshape(len(a), a.shape[1] * b.shape[1], -1)


class Regular(Representation):
    """Functions on the group: (rho(g) f)(h) = f(g^-1 h), a permutation of |G| components."""

    def __init__(self, group: Group):
        super().__init__("regular", group, permutation_matrices(group.table))


class Points(Representation):
    """Functions on a finite set of points closed under the group, permuted as the points are.

    Args:
        group: acts on the points.
        points: shape (n, d), float64, all different.
        name: name of the set.
        action: representation on the coordinates, `Vector` when None.
    Raises:
        MvnetError: when the set is not closed.
    """

    def __init__(self, group: Group, points: Tensor, name: str = "points", action: Representation | None = None):
        matrices = group.matrices if action is None else action.matrices
        # M p_j -> its distances to all points -> the index of the one that it coincides with
        moved = torch.einsum("gij,nj->gni", matrices, points.double())
        difference = (moved[:, :, None] - points).abs().amax(-1)
        distance, images = difference.min(-1)
        if bool((distance > 1e-6).any()):
            raise MvnetError(f"points: found a set that {group.name} does not map onto itself, expected a closed one")
        self.points = points
        super().__init__(name, group, permutation_matrices(images))


class Quotient(Points):
    """Functions on G / H, as the orbit of a point whose stabiliser is H.

    Of the cube: (1, 0, 0) its 6 faces, (1, 1, 1) its 8 vertices, (1, 1, 0) its 12 edges, (2, 1, 0) and (2, 1, 1) the
    two orbits of 24 points on mirror planes; of the square: (1, 0) its 4 sides, (1, 1) its 4 corners.

    Args:
        group: G.
        point: d coordinates, in any unit.
        name: name of the orbit.
        action: representation on the coordinates, `Vector` when None.
    """

    def __init__(
        self, group: Group, point: Sequence[float], name: str | None = None, action: Representation | None = None
    ):
        matrices = group.matrices if action is None else action.matrices
        orbit = matrices @ torch.tensor(point, dtype=torch.float64)
        first = [i for i in range(len(orbit)) if i == 0 or float((orbit[:i] - orbit[i]).abs().amax(-1).min()) > 1e-6]
        super().__init__(group, orbit[first], name or "orbit" + "".join(f"{c:g}" for c in point), action)


def permutation_matrices(images: Tensor) -> Tensor:
    """Permutations as matrices.

    Args:
        images: shape (|G|, n), long: component i goes to images[g, i].
    Returns:
        shape (|G|, n, n), float64.
    """
    return torch.nn.functional.one_hot(images).mT.double()


REPRESENTATIONS: dict[str, Callable[[Group], Representation]] = {
    "trivial": Trivial,
    "sign": Sign,
    "vector": Vector,
    "pseudo-vector": PseudoVector,
    "internal": Internal,
    "wave-vector": WaveVector,
    "matrix": Matrix,
    "sym2": Sym2,
    "regular": Regular,
    "faces": lambda group: Quotient(group, (1, 0, 0), "faces"),
    "vertices": lambda group: Quotient(group, (1, 1, 1), "vertices"),
    "edges": lambda group: Quotient(group, (1, 1, 0), "edges"),
    "flags": lambda group: Quotient(group, (2, 1, 1), "flags"),
    "faces-edges": lambda group: Quotient(group, (2, 1, 0), "faces-edges"),
    "sides": lambda group: Quotient(group, (1, 0), "sides"),
    "corners": lambda group: Quotient(group, (1, 1), "corners"),
    "waves-sides": lambda group: Quotient(group, (1, 0), "waves-sides", WaveVector(group)),
    "waves-corners": lambda group: Quotient(group, (1, 1), "waves-corners", WaveVector(group)),
    "waves": lambda group: Quotient(group, (2, 1), "waves", WaveVector(group)),
}
"""Representations by name. A new one is a class, or an orbit, and one line here."""
