"""The convolutions of a stage: residual ones, or couplings of two streams that can be run backwards.

    residual      h <- h + f_k(h)
    reversible    (a, b) = (a, b + f_k(a)),  then (a + f_k(b), b),  ...;  an orthogonal map of (a, b) between them

with f(h) = silu(K * squash(h)), K an equivariant kernel of 3x3x3 taps. The streams are halves of the fields, and the
orthogonal maps are equivariant as well. Backpropagation through reversible convolutions keeps their last output alone,
however many there are.
Source: paper sections 4.1.1 to 4.2.2; Gomez et al., The reversible residual network (2017).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.equivariant import FieldType, GroupConv, rms_squash
from mvnet.errors import MvnetError
from mvnet.invertible import (
    Chain,
    Channels,
    Coupling,
    EquivariantOrthogonal,
    Inverted,
    Invertible,
    Permutation,
    Reversible,
)


class ResidualConvolutions(nn.ModuleList):
    """h <- h + silu(K * squash(h)), repeated.

    Args:
        fields: type of the features, permutations only.
        count: number of convolutions.
        generator: source of the initial weights; torch's global generator when None.
    Shape:
        h (B, fields.channels, D, H, W), mask (B, 1, D, H, W) -> (B, fields.channels, D, H, W).
    """

    def __init__(self, fields: FieldType, count: int, *, generator: torch.Generator | None = None):
        super().__init__(GroupConv(fields, fields, 3, gain=0.5, generator=generator) for _ in range(count))

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """Features after all convolutions.

        Args:
            h: shape (B, fields.channels, D, H, W).
            mask: shape (B, 1, D, H, W), in {0, 1}.
        Returns:
            shape (B, fields.channels, D, H, W).
        """
        for convolution in self:
            h = h + F.silu(convolution(rms_squash(h))) * mask
        return h


class Branch(nn.Module):
    """silu(K * squash(h)) inside the mask: what one stream adds to the other.

    Args:
        fields: type of a stream, permutations only.
        generator: source of the initial weights; torch's global generator when None.
    Shape:
        h (B, fields.channels, D, H, W), mask (B, 1, D, H, W) -> (B, fields.channels, D, H, W).
    """

    def __init__(self, fields: FieldType, *, generator: torch.Generator | None = None):
        super().__init__()
        self.convolution = GroupConv(fields, fields, 3, gain=0.5, generator=generator)

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """What is added.

        Args:
            h: shape (B, fields.channels, D, H, W).
            mask: shape (B, 1, D, H, W), in {0, 1}.
        Returns:
            shape (B, fields.channels, D, H, W).
        """
        return F.silu(self.convolution(rms_squash(h))) * mask


class ReversibleConvolutions(nn.Module):
    """Additive couplings of two streams, each half of the fields, with orthogonal maps of both between them.

    The orthogonal maps are the identity at initialisation.

    Args:
        fields: type of the features, permutations only, of even multiplicities.
        count: number of couplings.
        generator: source of the initial weights; torch's global generator when None.
    Shape:
        h (B, fields.channels, D, H, W), mask (B, 1, D, H, W) -> (B, fields.channels, D, H, W).
    Raises:
        MvnetError: a field of odd multiplicity.
    """

    def __init__(self, fields: FieldType, count: int, *, generator: torch.Generator | None = None):
        super().__init__()
        if odd := [f"{n} {rho}" for n, rho in fields.fields if n % 2]:
            raise MvnetError(f"fields: found {', '.join(odd)}, expected even numbers for the two streams of the trunk")
        stream = FieldType(*((n // 2, rho) for n, rho in fields.fields))
        streams = FieldType(*stream.fields, *stream.fields)
        divide = Permutation(first_halves(fields))
        layers: list[Invertible] = [divide]
        for k in range(count):
            if k:
                mixer = EquivariantOrthogonal(streams, generator=generator)
                nn.init.zeros_(mixer.weight)
                layers.append(mixer)
            branch = Branch(stream, generator=generator)
            layers.append(Coupling(branch, partition=Channels(swap=k % 2 == 1), conditional=True))
        self.chain = Chain(*layers, Inverted(divide))

    def forward(self, h: Tensor, mask: Tensor, memory: str = "plain") -> Tensor:
        """Features after all couplings.

        Args:
            h: shape (B, fields.channels, D, H, W).
            mask: shape (B, 1, D, H, W), in {0, 1}.
            memory: "low" keeps only the result for the backward pass, which finds the states from it.
        Returns:
            shape (B, fields.channels, D, H, W).
        """
        layers = Reversible(self.chain) if memory == "low" and torch.is_grad_enabled() else self.chain
        return layers(h, mask)[0]


def first_halves(fields: FieldType) -> list[int]:
    """Channels of the first half of the fields of every representation, then those of the second.

    Args:
        fields: the type, of even multiplicities.
    Returns:
        a permutation of the channels.
    """
    halves: tuple[list[int], list[int]] = ([], [])
    start = 0
    for count, rho in fields.fields:
        middle, end = start + count * rho.size // 2, start + count * rho.size
        halves[0].extend(range(start, middle))
        halves[1].extend(range(middle, end))
        start = end
    return [*halves[0], *halves[1]]


TRUNKS: dict[str, type[ResidualConvolutions] | type[ReversibleConvolutions]] = {
    "residual": ResidualConvolutions,
    "reversible": ReversibleConvolutions,
}
"""By the name that cards hold."""
