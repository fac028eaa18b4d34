"""Layers for fields of complex numbers that commute with the phase, with conjugation and with a group of the plane.

A field is z (B, C, n_1, ..., n_d), complex, or its planes (2, B, C, n_1, ..., n_d), the real and the imaginary part;
its channels are typed by a `FieldType`. A layer gives back what it was given. The way from complex numbers to planes
and back costs about half a convolution on the CPU: a network goes it once, by `planes` and `from_planes`. The layers
satisfy

    f(e^{ia} z) = e^{ia} f(z),        f(conj z) = conj f(z),        f(g . z) = g . f(z)

at once: kernels are real, so they are shared by cosine and sine and have no bias; what is nonlinear multiplies z by
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
    """(B, C, ...) complex -> (2, B, C, ...): real and imaginary parts, each in the memory layout of z.

    Raises:
        ValueError: when z is real.
    """
    if not z.is_complex():
        raise MvnetError(f"z: found {z.dtype}, expected a complex field")
    return torch.cat((z.real, z.imag)).unflatten(0, (2, len(z)))


def from_planes(p: Tensor) -> Tensor:
    """Inverse of `planes`."""
    return torch.complex(p[0], p[1])


class _OnPlanes(nn.Module):
    """A layer that computes on (2 B, C, ...), the real parts before the imaginary ones."""

    fields_in: FieldType
    fields_out: FieldType

    def forward(self, z: Tensor) -> Tensor:
        """z (B, fields_in.channels, ...) complex, or its planes (2, B, ...) -> the same of fields_out.

        Raises:
            ValueError: when it is neither.
        """
        if z.is_complex():
            return from_planes(self(planes(z)))
        if z.ndim != self.fields_in.group.dim + 3 or len(z) != 2:
            raise MvnetError(f"z: found {z.dtype} of shape {tuple(z.shape)}, expected a complex field or two planes")
        p = z.flatten(0, 1)
        fieldwise.check_channels(self.fields_in, p, "z")
        return self.on_planes(p).unflatten(0, (2, -1))

    def on_planes(self, p: Tensor) -> Tensor:
        raise NotImplementedError


def units(fields: FieldType) -> FieldType:
    """The smallest parts of a field whose modulus the group only permutes: components of a permutation, else fields."""
    trivial = Trivial(fields.group)
    return FieldType(*((n * rho.size, trivial) if rho.is_permutation else (n, rho) for n, rho in fields.fields))


def moduli(fields: FieldType) -> FieldType:
    """Type of the moduli of the units: the permutation itself, trivial otherwise."""
    trivial = Trivial(fields.group)
    return FieldType(*((n, rho if rho.is_permutation else trivial) for n, rho in fields.fields))


def modulus(parts: FieldType, p: Tensor, eps: float) -> Tensor:
    """sqrt(|z_i|^2 + eps^2) of every unit, planes (2 B, C, ...) -> (B, number of units, ...)."""
    real, imaginary = fieldwise.squares(parts, p).chunk(2)
    return (real + imaginary + eps**2).sqrt()


class CircleConv(_OnPlanes):
    """A real equivariant convolution of the real and of the imaginary part.

    Args:
        fields_in, fields_out: types of one group.
        size: taps along each axis.
        padding: zeros on every side; keeps the size of the field when None.
        gain: the variance of the output over that of the input at initialisation.
    """

    def __init__(
        self, fields_in: FieldType, fields_out: FieldType, size: int = 3, padding: int | None = None, gain: float = 1.0
    ):
        super().__init__()
        self.fields_in, self.fields_out = fields_in, fields_out
        self.conv = GroupConv(fields_in, fields_out, size, padding, bias=False, gain=gain)

    def on_planes(self, p: Tensor) -> Tensor:
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
    Raises:
        ValueError: when a hidden representation is not a permutation.
    """

    def __init__(self, fields: FieldType, hidden: FieldType, size: int = 3, eps: float = 1e-3):
        super().__init__()
        if not hidden.is_permutation:
            raise MvnetError(f"hidden: found {hidden}, expected permutation fields")
        self.fields_in = self.fields_out = fields
        self.eps, self._units = eps, units(fields)
        gates = moduli(fields)
        self.pairs = GroupConv(fields, FieldType(*hidden.fields, *hidden.fields), size, bias=False, gain=1.0)
        self.mix = GroupConv(FieldType(*gates.fields, *hidden.fields), hidden, size)
        self.gate = GroupConv(hidden, gates, 1, gain=1.0)

    def on_planes(self, p: Tensor) -> Tensor:
        invariants = torch.cat((modulus(self._units, p, self.eps), self._products(p)), 1)
        factor = 2 * torch.sigmoid(self.gate(F.relu(self.mix(invariants))))
        return fieldwise.scale(self._units, p, torch.cat((factor, factor)))

    def _products(self, p: Tensor) -> Tensor:
        """(2 B, C, ...) -> (B, hidden.channels, ...): Re(p conj q) / sqrt(|p|^2 + |q|^2 + eps^2)."""
        (a, b), (c, d) = (part.chunk(2, 1) for part in self.pairs(p).chunk(2))  # p = a + i c, q = b + i d
        squared = a.square() + c.square() + b.square() + d.square()
        return (a * b + c * d) * (squared + self.eps**2).rsqrt()


class ModulusReLU(_OnPlanes):
    """z_i -> relu(|z_i| - t) z_i / |z_i|: keeps the phase, non-expansive. |z| is sqrt(|z|^2 + eps^2).

    One t > 0 for each field, the softplus of a parameter.

    Args:
        fields: type of the input and of the output.
        threshold: t at the start, in units of the field.
        eps: modulus below which a number counts as zero.
    """

    def __init__(self, fields: FieldType, threshold: float = 0.1, eps: float = 1e-3):
        super().__init__()
        self.fields_in = self.fields_out = fields
        self.eps, self._units = eps, units(fields)
        sizes = torch.tensor([rho.size if rho.is_permutation else 1 for rho in fields.summands()])
        self._owner = fieldwise.Constant(torch.arange(len(sizes)).repeat_interleave(sizes))
        self.raw = nn.Parameter(raw_threshold(threshold, len(sizes)))

    def on_planes(self, p: Tensor) -> Tensor:
        length = modulus(self._units, p, self.eps)
        threshold = F.softplus(self.raw).index_select(0, self._owner(self.raw))
        factor = F.relu(length - fieldwise.broadcast_over_space(threshold, length)) / length
        return fieldwise.scale(self._units, p, torch.cat((factor, factor)))
