"""Kernels that commute with a group: the linear maps between field types, solved once and expanded at every step.

A convolution with kernel k maps fields of type rho_1 to fields of type rho_2 equivariantly exactly when

    k(g x) = rho_2(g) k(x) rho_1(g)^-1        for every group element g and every tap x

(paper section 5.1: k(h2 g h1) = rho_2(h2) k(g) rho_1(h1), written for translations with a finite group H).
The entries k[o, i, x] form a representation rho_2 (x) rho_1 (x) taps, and the kernels are its fixed vectors:

- monomial representations only permute the entries, up to sign: entries on one orbit share one weight. The kernel is an
  index gather and no basis is stored (`tie_weights`).
- any other: the null space is solved numerically, orbit of taps by orbit of taps (`solve_kernels`).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.equivariant.groups import Group
from mvnet.equivariant.representations import Points, Representation, fixed_vectors, kronecker
from mvnet.errors import MvnetError


@cache
def taps(group: Group, size: int) -> Points:
    """The size^d grid of a kernel as a permutation representation, in row-major order (on-grid groups only).

    Args:
        group: acts on the grid about its centre.
        size: taps along each axis.
    Returns:
        the representation, of size^d components; built once.
    Raises:
        MvnetError: when the group does not map the grid onto itself.
    """
    if not all(group.on_grid):
        raise MvnetError(f"group: found {group.name} on a {size}-tap grid, expected one that maps taps onto taps")
    line = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    grid = torch.cartesian_prod(*(line,) * group.dim).reshape(-1, group.dim)
    return Points(group, grid, f"taps{size}")


class TiedWeights(NamedTuple):
    """Entry e of the flattened kernel (out, in, taps) is sign[e] weight[index[e]], zero where the sign is 0.

    Attributes:
        index: shape (out in taps,), long.
        sign: shape (out in taps,), +1, -1 or 0.
        count: number of weights.
    """

    index: Tensor
    sign: Tensor
    count: int


def tie_weights(rho_out: Representation, rho_in: Representation, size: int) -> TiedWeights:
    """Kernels between monomial representations: the entries on one orbit share a weight, up to sign.

    Where an element maps an entry to minus itself the entry, and with it its orbit, is zero.

    Args:
        rho_out, rho_in: representations of one group, signed permutations.
        size: taps along each axis.
    Returns:
        the weight and the sign of every entry.
    Raises:
        MvnetError: when a representation is not monomial.
    Source: Cohen and Welling (2016) for shared weights; Weiler and Cesa (2019), theorem 2, for the constraint.
    """
    if not (rho_out.is_monomial and rho_in.is_monomial):
        raise MvnetError(f"rho_out and rho_in: found {rho_out} and {rho_in}, expected signed permutations")
    grid = taps(rho_out.group, size)
    so, si, st = rho_out.size, rho_in.size, grid.size
    order = rho_out.group.order
    # entry (o, i, x) -> its image (g o, g i, g x), flattened, and the sign it gets, for every g
    image = (
        (rho_out.images.view(order, so, 1, 1) * si + rho_in.images.view(order, 1, si, 1)) * st
        + grid.images.view(order, 1, 1, st)
    ).view(order, -1)
    sign = (rho_out.signs.view(order, so, 1, 1) * rho_in.signs.view(order, 1, si, 1)).expand(-1, -1, -1, st)
    sign = sign.reshape(order, -1)
    # g e = e with sign -1 -> k(e) = -k(e) = 0
    entries = torch.arange(image.shape[1])
    vanishes = ((image == entries) & (sign < 0)).any(0)
    # orbit -> its smallest entry, and the sign on the way there
    representative, element = image.min(0)
    to_representative = sign.gather(0, element[None])[0]
    # smallest entries -> consecutive numbers of weights; those that vanish come last and are not counted
    kept, index = torch.unique(torch.where(vanishes, image.shape[1], representative), return_inverse=True)
    count = len(kept) - int(bool(vanishes.any()))
    return TiedWeights(index.clamp_max(max(count - 1, 0)), torch.where(vanishes, 0.0, to_representative), count)


def solve_kernels(rho_out: Representation, rho_in: Representation, size: int) -> Tensor:
    """Kernels between any orthogonal representations: an orthonormal basis, orbit of taps by orbit of taps.

    On one orbit of taps the kernel is fixed by its value at one of them, x, which the stabiliser of x must leave alone:
    k(x) = rho_2(s) k(x) rho_1(s)^-1. The others follow by k(g x) = rho_2(g) k(x) rho_1(g)^-1.

    Args:
        rho_out, rho_in: representations of one group.
        size: taps along each axis.
    Returns:
        shape (count, out, in, size^d), float64.
    Source: Weiler and Cesa (2019), theorem 2.
    """
    grid = taps(rho_out.group, size)
    joint = kronecker(rho_out.matrices, rho_in.matrices)
    basis, seen = [], set()
    for tap in range(grid.size):
        if tap in seen:
            continue
        orbit = grid.images[:, tap]
        seen.update(orbit.tolist())
        # stabiliser of x -> average of rho_2 (x) rho_1 over it -> what it leaves alone, a basis of k(x)
        at_tap = fixed_vectors(joint[orbit == tap].mean(0))
        members = torch.unique(orbit)
        block = torch.zeros(len(at_tap), rho_out.size * rho_in.size, grid.size, dtype=torch.float64)
        # k(x) -> k(g x), g the first element that takes x there
        for member in members:
            g = int((orbit == member).nonzero()[0, 0])
            block[:, :, member] = at_tap @ joint[g].mT
        basis.append(block / len(members) ** 0.5)
    return torch.cat(basis).view(-1, rho_out.size, rho_in.size, grid.size)


def constraint_error(kernel: Tensor, rho_out: Representation, rho_in: Representation) -> float:
    """Largest violation of k(g x) = rho_2(g) k(x) rho_1(g)^-1 over every g and x.

    Args:
        kernel: shape (out, in, *taps).
        rho_out, rho_in: representations of one group, of the sizes of its first two axes.
    Returns:
        the largest difference of two entries, in the unit of the kernel.
    """
    grid = taps(rho_out.group, kernel.shape[2])
    flat = kernel.detach().flatten(2).double()
    # rho_2(g) k(x) rho_1(g)^T  against  k(g x)
    expected = torch.einsum("gij,jkx,glk->gilx", rho_out.matrices, flat, rho_in.matrices)
    at_image = torch.stack([flat[:, :, images] for images in grid.images])
    return float((expected - at_image).abs().max())
