"""Equivariant nonlinearities: pointwise, of the norm, and gated. Products of fields are in `tensor_product.py`.

Source: paper section 5.1.3; Worrall et al., Harmonic networks (2017), for norms; Weiler et al., 3D steerable CNNs
(2018), for gates.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.equivariant import fieldwise
from mvnet.equivariant.field_type import FieldType
from mvnet.equivariant.representations import Trivial
from mvnet.errors import MvnetError


class Pointwise(nn.Module):
    """fn on every component: any fn on permutation fields, an odd fn on monomial ones.

    Args:
        fields: type of the input and of the output.
        fn: a function of numbers, or a module that acts as one; whether it is odd is tried on [-4, 4].
    Shape:
        (B, fields.channels, ...) -> the same.
    Raises:
        MvnetError: when a representation mixes components, or changes their signs and fn is not odd.

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import Pointwise, field_type, group
        >>> fields = field_type(group("D4"), {"trivial": 2, "regular": 1})
        >>> Pointwise(fields, torch.relu)(torch.randn(1, 10, 6, 6)).shape
        torch.Size([1, 10, 6, 6])
    """

    def __init__(self, fields: FieldType, fn: Callable[[Tensor], Tensor] = F.relu):
        super().__init__()
        for _, rho in fields.fields:
            if not rho.is_monomial:
                raise MvnetError(f"fields: found {rho}, which mixes components, expected (signed) permutations")
            if not rho.is_permutation and not is_odd(fn):
                raise MvnetError(f"fields: found {rho}, which changes signs, expected permutations unless fn is odd")
        self.fields_in = self.fields_out = fields
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function to every channel.

        Args:
            x: shape (B, fields.channels, ...).
        Returns:
            same shape.
        Raises:
            MvnetError: the channels do not fit.
        """
        fieldwise.check_channels(self.fields_in, x)
        return self.fn(x)

    def extra_repr(self) -> str:
        """Type and function, for print(layer)."""
        return f"{self.fields_in}, {getattr(self.fn, '__name__', self.fn)}"


def is_odd(fn: Callable[[Tensor], Tensor]) -> bool:
    """Whether fn(-x) = -fn(x) at 81 points of [-4, 4], to rounding.

    Args:
        fn: elementwise function.
    Returns:
        True where it holds.
    """
    points = torch.linspace(-4, 4, 81)
    with torch.no_grad():
        return torch.allclose(fn(-points), -fn(points), rtol=1e-5, atol=1e-6)


class NormNonlinearity(nn.Module):
    """v -> f(|v|) v / |v| for every field v, with f(n) = relu(n - t), t > 0, or softplus(n - t) - softplus(-t).

    One t for each field, the softplus of a parameter. Both are non-expansive: 0 <= f' <= 1 and f(n) <= n. (With
    t < 0 the map would be discontinuous at v = 0.) |v| stands for sqrt(|v|^2 + eps^2): the gradient at v = 0 is
    finite, and the output differs from the formula by at most eps.

    Args:
        fields: any type; the input's and the output's.
        fn: "relu" sets fields shorter than t to zero, "softplus" damps short ones smoothly.
        threshold: t at the start, in units of the field.
        eps: length below which fields count as zero.
    Shape:
        (B, fields.channels, ...) -> the same.
    Raises:
        MvnetError: when fn is another name, or the threshold not positive.
    Source: Worrall et al., Harmonic networks (2017).

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import NormNonlinearity, field_type, group
        >>> fields = field_type(group("D4"), {"trivial": 2, "vector": 1})
        >>> NormNonlinearity(fields)(torch.randn(1, 4, 6, 6)).shape
        torch.Size([1, 4, 6, 6])
    """

    def __init__(self, fields: FieldType, fn: str = "relu", threshold: float = 0.1, eps: float = 1e-3):
        super().__init__()
        if fn not in ("relu", "softplus"):
            raise MvnetError(f"fn: found {fn!r}, expected 'relu' or 'softplus'")
        self.fields_in = self.fields_out = fields
        self.fn, self.eps = fn, eps
        self.raw = nn.Parameter(raw_threshold(threshold, fieldwise.field_count(fields)))

    def forward(self, x: Tensor) -> Tensor:
        """Apply f to the norm of every field.

        Args:
            x: shape (B, fields.channels, ...).
        Returns:
            same shape.
        Raises:
            MvnetError: the channels do not fit.
        """
        fieldwise.check_channels(self.fields_in, x)
        # v -> |v| -> f(|v|) / |v| -> times v
        norm = (fieldwise.squares(self.fields_in, x) + self.eps**2).sqrt()
        t = fieldwise.broadcast_over_space(F.softplus(self.raw), x)
        length = F.relu(norm - t) if self.fn == "relu" else F.softplus(norm - t) - F.softplus(-t)
        return fieldwise.scale(self.fields_in, x, length / norm)

    def extra_repr(self) -> str:
        """Type and function, for print(layer)."""
        return f"{self.fields_in}, {self.fn}"


def raw_threshold(threshold: float, count: int) -> Tensor:
    """The number whose softplus is the threshold, repeated.

    Args:
        threshold: a length, positive.
        count: number of copies.
    Returns:
        shape (count,).
    Raises:
        MvnetError: when the threshold is not positive.
    """
    if threshold <= 0:
        raise MvnetError(f"threshold: found {threshold}, expected a positive length")
    return torch.full((count,), threshold + math.log(-math.expm1(-threshold)))


class Gated(nn.Module):
    """Every field times the sigmoid of a scalar of its own: (gates, fields) -> sigmoid(gate_i) field_i.

    Args:
        fields: type of the output, `fields_out`. The input's, `fields_in`, has in front a trivial gate for each field.
    Shape:
        (B, fields_in.channels, ...) -> (B, fields_out.channels, ...).
    Source: Weiler et al., 3D steerable CNNs (2018).

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import Gated, field_type, group
        >>> fields = field_type(group("D4"), {"trivial": 2, "vector": 1})
        >>> gated = Gated(fields)
        >>> gated(torch.randn(1, gated.fields_in.channels, 6, 6)).shape
        torch.Size([1, 4, 6, 6])
    """

    def __init__(self, fields: FieldType):
        super().__init__()
        self.gates = fieldwise.field_count(fields)
        self.fields_in = FieldType((self.gates, Trivial(fields.group)), *fields.fields)
        self.fields_out = fields

    def forward(self, x: Tensor) -> Tensor:
        """Multiply every field by the sigmoid of its gate.

        Args:
            x: shape (B, fields_in.channels, ...), the gates first.
        Returns:
            shape (B, fields_out.channels, ...).
        Raises:
            MvnetError: the channels do not fit.
        """
        fieldwise.check_channels(self.fields_in, x)
        return fieldwise.scale(self.fields_out, x[:, self.gates :], torch.sigmoid(x[:, : self.gates]))

    def extra_repr(self) -> str:
        """Types of input and output, for print(layer)."""
        return f"{self.fields_in} -> {self.fields_out}"
