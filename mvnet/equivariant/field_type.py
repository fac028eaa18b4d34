"""Direct sums of representations: the type of a field, which says what its channels are.

A field of type rho = n_1 rho_1 + n_2 rho_2 + ... holds, at every point, n_1 values of the first representation one
after the other, then n_2 of the second, and so on; it transforms by  (g . f)(p) = rho(g) f(M^-1 p).
Source: paper section 5.1.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mvnet.equivariant.groups import Group
from mvnet.equivariant.representations import REPRESENTATIONS, Representation
from mvnet.errors import MvnetError


class FieldType:
    """A direct sum of representations of one group; the channels of one summand are contiguous.

    Args:
        fields: pairs (multiplicity, representation), all of one group; those of multiplicity 0 are left out.
    Attributes:
        group: the group that acts.
        fields: the pairs that are kept.
    Raises:
        MvnetError: when the representations are of several groups, or there is none.

    Examples:
        >>> from mvnet.equivariant import FieldType, Sym2, Trivial, group
        >>> cube = group("Oh")
        >>> fields = FieldType((8, Trivial(cube)), (1, Sym2(cube)))
        >>> fields, fields.channels
        (8 trivial[1] + 1 sym2[6], 14)
    """

    def __init__(self, *fields: tuple[int, Representation]):
        groups = {id(rho.group): rho.group for _, rho in fields}
        if len(groups) != 1:
            raise MvnetError(f"fields: found groups {[g.name for g in groups.values()]}, expected one")
        self.fields = tuple((count, rho) for count, rho in fields if count)
        self.group = next(iter(groups.values()))

    @property
    def channels(self) -> int:
        """Number of channels of the sum."""
        return sum(count * rho.size for count, rho in self.fields)

    def summands(self) -> list[Representation]:
        """The representations one by one, with repetitions, in channel order."""
        return [rho for count, rho in self.fields for _ in range(count)]

    @property
    def is_permutation(self) -> bool:
        """Whether every field admits a pointwise nonlinearity."""
        return all(rho.is_permutation for _, rho in self.fields)

    @property
    def is_monomial(self) -> bool:
        """Whether every field admits an odd pointwise nonlinearity."""
        return all(rho.is_monomial for _, rho in self.fields)

    def act_on_values(self, g: int, x: Tensor) -> Tensor:
        """rho(g) f(p) at every point: values change, points stay.

        Args:
            g: index of the group element.
            x: shape (B, channels, ...).
        Returns:
            shape (B, channels, ...).
        Raises:
            MvnetError: when x has another number of channels.
        """
        if x.shape[1] != self.channels:
            raise MvnetError(f"x: found {x.shape[1]} channels, expected {self.channels} of {self}")
        out, start = [], 0
        for count, rho in self.fields:
            block = x[:, start : (start := start + count * rho.size)].unflatten(1, (count, rho.size))
            out.append(torch.einsum("ij,bcj...->bci...", rho.matrices[g].to(x), block).flatten(1, 2))
        return torch.cat(out, 1)

    def act(self, g: int, x: Tensor) -> Tensor:
        """(g . f)(p) = rho(g) f(M^-1 p).

        Args:
            g: index of the group element.
            x: the field f, shape (B, channels, n_1, ..., n_d).
        Returns:
            shape (B, channels, n_1, ..., n_d).
        """
        return self.act_on_values(g, self.group.act(g, x))

    def __repr__(self) -> str:
        return " + ".join(f"{count} {rho}" for count, rho in self.fields)


def field_type(group: Group, fields: Mapping[str, int]) -> FieldType:
    """The direct sum of named representations.

    Args:
        group: the group that acts.
        fields: multiplicities of names of `REPRESENTATIONS`, such as {"trivial": 4, "regular": 2}.
    Returns:
        the type, its summands in the order of the names.
    Raises:
        MvnetError: when a name is not known.

    Examples:
        >>> from mvnet.equivariant import field_type, group
        >>> field_type(group("D4"), {"trivial": 4, "regular": 2}).channels
        20
    """
    for name in fields:
        if name not in REPRESENTATIONS:
            raise MvnetError(f"fields: found {name!r}, expected one of {sorted(REPRESENTATIONS)}")
    return FieldType(*((count, REPRESENTATIONS[name](group)) for name, count in fields.items()))


def permutation_type(group: Group, fields: Mapping[str, int]) -> FieldType:
    """The direct sum of named representations that pointwise nonlinearities keep equivariant.

    Args:
        group: the group that acts.
        fields: multiplicities of names of `REPRESENTATIONS`.
    Returns:
        the type, of permutation representations only.
    Raises:
        MvnetError: when a name is not known, or not that of a permutation representation.

    Examples:
        >>> from mvnet.equivariant import group, permutation_type
        >>> permutation_type(group("Oh"), {"trivial": 4, "faces": 2}).channels
        16
    """
    found = field_type(group, fields)
    if not found.is_permutation:
        raise MvnetError(f"fields: found {found}, expected permutation representations only")
    return found
