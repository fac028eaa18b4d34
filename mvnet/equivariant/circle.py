"""Layers for fields of complex numbers that commute with the phase, with conjugation and with a group of the plane.

A field is z (B, C, n_1, ..., n_d), complex, or its planes (2, B, C, n_1, ..., n_d), the real and the imaginary part;
its channels are typed by a `FieldType`. A layer returns the form that it was given. Splitting complex numbers into
planes and joining them costs about half a convolution on the CPU: a network does so once, by `planes` and
`from_planes`. The layers satisfy

    f(e^{ia} z) = e^{ia} f(z),        f(conj z) = conj f(z),        f(g . z) = g . f(z)

at once: kernels are real, so they are shared by cosine and sine and have no bias; nonlinearities multiply z by
real factors computed from the invariants |z_i| and Re(z_i conj z_j). (A complex kernel would keep the first and lose
the second.) Gradients are finite at z = 0. Convolutions run once, real and imaginary parts side by side in the batch.
Source: paper sections 2.3 (circle) and 5.1; Deng et al., Vector neurons (2021), for real kernels shared by components;
Trabelsi et al., Deep complex networks (2018), for the modulus nonlinearity.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.equivariant import fieldwise
from mvnet.equivariant.conv import GroupConv
from mvnet.equivariant.field_type import FieldType
from mvnet.equivariant.nonlinearity import raw_threshold
from mvnet.equivariant.representations import Trivial
from mvnet.errors import MvnetError


def planes(z: Tensor) -> Tensor:
    """Real and imaginary parts, each in the memory layout of z.

    Args:
        z: shape (B, C, ...), complex.
    Returns:
        shape (2, B, C, ...).
    Raises:
        MvnetError: when z is real.
    """
    if not z.is_complex():
        raise MvnetError(f"z: found {z.dtype}, expected a complex field")
    return torch.cat((z.real, z.imag)).unflatten(0, (2, len(z)))


def from_planes(p: Tensor) -> Tensor:
    """Inverse of `planes`.

    Args:
        p: shape (2, B, C, ...).
    Returns:
        shape (B, C, ...), complex.
    """
    return torch.complex(p[0], p[1])


class _OnPlanes(nn.Module):
    """A layer that computes on (2 B, C, ...), the real parts before the imaginary ones."""

    fields_in: FieldType
    fields_out: FieldType

    def forward(self, z: Tensor) -> Tensor:
        """The layer on a field or on its planes.

        Args:
            z: shape (B, fields_in.channels, ...), complex, or its planes (2, B, fields_in.channels, ...).
        Returns:
            shape (B, fields_out.channels, ...), complex, or planes (2, B, fields_out.channels, ...), as z is.
        Raises:
            MvnetError: when it is neither.
        """
        if z.is_complex():
            return from_planes(self(planes(z)))
        if z.ndim != self.fields_in.group.dim + 3 or len(z) != 2:
            raise MvnetError(f"z: found {z.dtype} of shape {tuple(z.shape)}, expected a complex field or two planes")
        p = z.flatten(0, 1)
        fieldwise.check_channels(self.fields_in, p, "z")
        return self.on_planes(p).unflatten(0, (2, -1))

    def on_planes(self, p: Tensor) -> Tensor:
        """(2 B, fields_in.channels, ...) -> (2 B, fields_out.channels, ...)."""
        raise NotImplementedError


def units(fields: FieldType) -> FieldType:
    """The smallest parts of a field whose modulus the group only permutes.

    Args:
        fields: type of the field.
    Returns:
        the same channels as components of permutations, one by one, and as whole fields of other representations.
    """
    trivial = Trivial(fields.group)
    return FieldType(*((n * rho.size, trivial) if rho.is_permutation else (n, rho) for n, rho in fields.fields))


def moduli(fields: FieldType) -> FieldType:
    """Type of the moduli of the units.

    Args:
        fields: type of the field.
    Returns:
        for every summand the permutation itself, and trivial otherwise.
    """
    trivial = Trivial(fields.group)
    return FieldType(*((n, rho if rho.is_permutation else trivial) for n, rho in fields.fields))


def modulus(parts: FieldType, p: Tensor, eps: float) -> Tensor:
    """sqrt(|z_i|^2 + eps^2) of every unit.

    Args:
        parts: from `units`.
        p: shape (2 B, C, ...), planes.
        eps: modulus below which a number counts as zero.
    Returns:
        shape (B, number of units, ...), the unit of p.
    """
    real, imaginary = fieldwise.squares(parts, p).chunk(2)
    return (real + imaginary + eps**2).sqrt()


class CircleConv(_OnPlanes):
    """A real equivariant convolution of the real and of the imaginary part.

    Args:
        fields_in, fields_out: types of one group.
        size: taps along each axis.
        padding: zeros on every side; keeps the size of the field when None.
        gain: the variance of the output over that of the input at initialisation.
        generator: source of the initial weights; torch's global generator when None.
    Shape:
        (B, fields_in.channels, n_1, ..., n_d) -> (B, fields_out.channels, n_1, ..., n_d), complex, or planes.

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import CircleConv, field_type, group
        >>> fields = field_type(group("D4"), {"regular": 1})
        >>> conv, z = CircleConv(fields, fields, size=3), torch.randn(1, 8, 6, 6, dtype=torch.complex64)
        >>> torch.allclose(conv(1j * z), 1j * conv(z), atol=1e-5)
        True
    """

    def __init__(
        self,
        fields_in: FieldType,
        fields_out: FieldType,
        size: int = 3,
        padding: int | None = None,
        gain: float = 1.0,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.fields_in, self.fields_out = fields_in, fields_out
        self.conv = GroupConv(fields_in, fields_out, size, padding, bias=False, gain=gain, generator=generator)

    def on_planes(self, p: Tensor) -> Tensor:
        """(2 B, fields_in.channels, ...) -> (2 B, fields_out.channels, ...)."""
        return self.conv(p)


class CircleGate(_OnPlanes):
    """z_i -> 2 sigmoid(h_i) z_i with h from two real equivariant convolutions of invariants.

    The invariants are the moduli |z_i|, and Re(p_k conj q_k) / sqrt(|p_k|^2 + |q_k|^2) for pairs (p_k, q_k) of learned
    combinations of the channels: sums of Re(z_i conj z_j), brought to the scale of a modulus and well conditioned.

    Args:
        fields: type of the input and of the output.
        hidden: permutation fields between the two convolutions; as many pairs are formed.
        size: taps along each axis of the combinations p, q and of the first convolution.
        eps: modulus below which a number counts as zero.
        generator: source of the initial weights; torch's global generator when None.
    Shape:
        (B, fields.channels, ...) -> the same, complex, or planes.
    Raises:
        MvnetError: when a hidden representation is not a permutation.

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import CircleGate, field_type, group
        >>> fields = field_type(group("D4"), {"trivial": 2, "regular": 1})
        >>> gate, z = CircleGate(fields, fields), torch.randn(1, 10, 6, 6, dtype=torch.complex64)
        >>> torch.allclose(gate(1j * z), 1j * gate(z), atol=1e-5)
        True
    """

    def __init__(
        self,
        fields: FieldType,
        hidden: FieldType,
        size: int = 3,
        eps: float = 1e-3,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if not hidden.is_permutation:
            raise MvnetError(f"hidden: found {hidden}, expected permutation fields")
        self.fields_in = self.fields_out = fields
        self.eps, self._units = eps, units(fields)
        gates = moduli(fields)
        self.pairs = GroupConv(
            fields, FieldType(*hidden.fields, *hidden.fields), size, bias=False, gain=1.0, generator=generator
        )
        self.mix = GroupConv(FieldType(*gates.fields, *hidden.fields), hidden, size, generator=generator)
        self.gate = GroupConv(hidden, gates, 1, gain=1.0, generator=generator)

    def on_planes(self, p: Tensor) -> Tensor:
        """(2 B, fields.channels, ...) -> the same shape."""
        # z -> |z_i|, Re(p_k conj q_k) -> h -> 2 sigmoid(h_i) z_i
        invariants = torch.cat((modulus(self._units, p, self.eps), self._products(p)), 1)
        factor = 2 * torch.sigmoid(self.gate(F.relu(self.mix(invariants))))
        return fieldwise.scale(self._units, p, torch.cat((factor, factor)))

    def _products(self, p: Tensor) -> Tensor:
        """(2 B, C, ...) -> (B, hidden.channels, ...): Re(p conj q) / sqrt(|p|^2 + |q|^2 + eps^2)."""
        # p = a + i c, q = b + i d -> Re(p conj q) = a b + c d
        (a, b), (c, d) = (part.chunk(2, 1) for part in self.pairs(p).chunk(2))
        squared = a.square() + c.square() + b.square() + d.square()
        return (a * b + c * d) * (squared + self.eps**2).rsqrt()


class ModulusReLU(_OnPlanes):
    """z_i -> relu(|z_i| - t) z_i / |z_i|: keeps the phase, non-expansive. |z| is sqrt(|z|^2 + eps^2).

    One t > 0 for each field, the softplus of a parameter.

    Args:
        fields: type of the input and of the output.
        threshold: t at the start, in units of the field.
        eps: modulus below which a number counts as zero.
    Shape:
        (B, fields.channels, ...) -> the same, complex, or planes.
    Source: Trabelsi et al., Deep complex networks (2018).

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import ModulusReLU, field_type, group
        >>> fields = field_type(group("D4"), {"trivial": 2, "vector": 1})
        >>> z = torch.randn(1, 4, 6, 6, dtype=torch.complex64)
        >>> bool((ModulusReLU(fields)(z).abs() <= z.abs()).all())
        True
    """

    def __init__(self, fields: FieldType, threshold: float = 0.1, eps: float = 1e-3):
        super().__init__()
        self.fields_in = self.fields_out = fields
        self.eps, self._units = eps, units(fields)
        sizes = torch.tensor([rho.size if rho.is_permutation else 1 for rho in fields.summands()])
        self._owner = fieldwise.Constant(torch.arange(len(sizes)).repeat_interleave(sizes))
        self.raw = nn.Parameter(raw_threshold(threshold, len(sizes)))

    def on_planes(self, p: Tensor) -> Tensor:
        """(2 B, fields.channels, ...) -> the same shape."""
        # z_i -> |z_i| -> relu(|z_i| - t) / |z_i| -> times z_i
        length = modulus(self._units, p, self.eps)
        threshold = F.softplus(self.raw).index_select(0, self._owner(self.raw))
        factor = F.relu(length - fieldwise.broadcast_over_space(threshold, length)) / length
        return fieldwise.scale(self._units, p, torch.cat((factor, factor)))
