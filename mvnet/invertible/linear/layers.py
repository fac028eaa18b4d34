"""Layers that mix channels by a learned invertible matrix (1x1 convolutions), or scale them.

Source: paper section 4.1.3; Kingma and Dhariwal, Glow (2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mvnet.equivariant import FieldType
from mvnet.equivariant.expansion import KernelExpansion
from mvnet.errors import MvnetError
from mvnet.invertible.base import Invertible, Mapped, wide, zeros
from mvnet.invertible.linear.matrices import LU, ORTHOGONAL, Orthogonal


class ChannelMix(Invertible):
    """z = W x along dimension 1, at every point alike.

    Args:
        channels: of input and output.
        kind: "lu", or a name of `ORTHOGONAL`.
        generator: source of the initial parameters; torch's global one when None.
    Shape:
        (B, channels, ...) -> the same.
    Raises:
        MvnetError: unknown kind.

    Examples:
        >>> import torch
        >>> from mvnet.invertible import ChannelMix
        >>> layer, x = ChannelMix(6, "householder"), torch.randn(2, 6, 4, 4)
        >>> torch.allclose(layer.inverse(layer(x)[0])[0], x, atol=1e-5)
        True
    """

    def __init__(self, channels: int, kind: str = "lu", *, generator: torch.Generator | None = None):
        super().__init__()
        if kind != "lu" and kind not in ORTHOGONAL:
            raise MvnetError(f"kind: found {kind!r}, expected one of lu, {', '.join(ORTHOGONAL)}")
        self.channels = channels
        self.matrix = (
            LU(channels, generator=generator) if kind == "lu" else Orthogonal(channels, kind, generator=generator)
        )

    def lipschitz(self, radius: float | None = None) -> tuple[float, float] | None:
        """Largest singular values of W and W^-1."""
        values = torch.linalg.svdvals(self.matrix().detach())
        return float(values[0]), 1 / float(values[-1])

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        return mix(self.matrix(), x), self._change(x)

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        if not isinstance(self.matrix, LU):
            return mix(self.matrix().mT, z), zeros(z)
        lower, upper = self.matrix.factors()
        y = wide(z)[:, self.matrix.permutation.argsort()].transpose(0, 1)
        y = torch.linalg.solve_triangular(lower, y.flatten(1), upper=False, unitriangular=True)
        y = torch.linalg.solve_triangular(upper, y, upper=True)
        return y.unflatten(1, (z.shape[0], *z.shape[2:])).transpose(0, 1), -self._change(z)

    def _change(self, x: Tensor) -> Tensor:
        if not isinstance(self.matrix, LU):
            return zeros(x)
        return (self.matrix.log_diagonal().sum() * math.prod(x.shape[2:])).expand(x.shape[0])

    def _check(self, x: Tensor, context: Tensor | None, name: str) -> None:
        super()._check(x, context, name)
        check_channels(x, self.channels, name)


def mix(matrix: Tensor, x: Tensor) -> Tensor:
    """A matrix along dimension 1.

    Args:
        matrix: shape (m, n).
        x: shape (B, n, ...).
    Returns:
        shape (B, m, ...).
    """
    return (matrix @ wide(x).flatten(2)).unflatten(2, x.shape[2:]) if x.ndim > 2 else wide(x) @ matrix.mT


def check_channels(x: Tensor, channels: int, name: str) -> None:
    """Raise unless dimension 1 is as long as wanted.

    Args:
        x: any tensor.
        channels: how long.
        name: of the argument.
    Raises:
        MvnetError: it is not.
    """
    if x.ndim < 2 or x.shape[1] != channels:
        raise MvnetError(f"{name}: found shape {tuple(x.shape)}, expected {channels} channels")


class Permutation(Invertible):
    """z_i = x_p(i): channels in another order.

    Args:
        order: p, the channel that comes first, the one that comes second, ...
    Shape:
        (B, len(order), ...) -> the same.
    Raises:
        MvnetError: not a permutation of 0, 1, ...

    Examples:
        >>> import torch
        >>> from mvnet.invertible import Permutation
        >>> Permutation([2, 0, 1])(torch.tensor([[10.0, 11.0, 12.0]]))[0]
        tensor([[12., 10., 11.]])
    """

    order: Tensor
    back: Tensor

    def __init__(self, order: Sequence[int]):
        super().__init__()
        if sorted(order) != list(range(len(order))):
            raise MvnetError(f"order: found {list(order)}, expected a permutation of 0 to {len(order) - 1}")
        self.register_buffer("order", torch.tensor(order), persistent=False)
        self.register_buffer("back", torch.tensor(order).argsort(), persistent=False)

    def lipschitz(self, radius: float | None = None) -> tuple[float, float] | None:
        """1 and 1"""
        return 1.0, 1.0

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        return x[:, self.order], zeros(x)

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        return z[:, self.back], zeros(z)

    def _check(self, x: Tensor, context: Tensor | None, name: str) -> None:
        super()._check(x, context, name)
        check_channels(x, len(self.order), name)


class ActNorm(Invertible):
    """z = (x - m) exp(-s) for every channel; m and s begin as mean and log-deviation of the first batch in training.

    Args:
        channels: of input and output.
        bound: exp(s) lies in (1 / bound, bound) times what the first batch had.
    Shape:
        (B, channels, ...) -> the same.
    """

    unset: Tensor
    start: Tensor

    def __init__(self, channels: int, bound: float = 20.0):
        super().__init__()
        self.channels, self.limit = channels, math.log(bound)
        self.mean = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.register_buffer("start", torch.zeros(channels))
        self.register_buffer("unset", torch.tensor(True))

    def _logs(self) -> Tensor:
        return wide(self.start + self.limit * torch.tanh(self.log_scale / self.limit))

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        if self.training and bool(self.unset):
            with torch.no_grad():
                values = wide(x).transpose(0, 1).flatten(1)
                self.mean.copy_(values.mean(1))
                spread = values.std(1, correction=0)
                self.start.copy_(torch.where(spread > 0, spread, 1.0).log())
                self.unset.fill_(False)
        logs = _per_channel(self._logs(), x)
        return (x - _per_channel(self.mean, x)) * (-logs).exp(), self._change(x)

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        return z * _per_channel(self._logs(), z).exp() + _per_channel(self.mean, z), -self._change(z)

    def lipschitz(self, radius: float | None = None) -> tuple[float, float] | None:
        """Largest exp(-s) and exp(s)"""
        logs = self._logs().detach()
        return float((-logs).exp().max()), float(logs.exp().max())

    def _change(self, x: Tensor) -> Tensor:
        return (-self._logs().sum() * math.prod(x.shape[2:])).expand(x.shape[0])

    def _check(self, x: Tensor, context: Tensor | None, name: str) -> None:
        super()._check(x, context, name)
        check_channels(x, self.channels, name)


class EquivariantOrthogonal(Invertible):
    """exp(W - W^T) of an equivariant 1x1 kernel W: orthogonal, and equivariant since representations are orthogonal.

    Args:
        fields: type of input and output.
        generator: source of the initial weights; torch's global one when None.
    Shape:
        (B, fields.channels, n_1, ..., n_d) -> the same.
    Source: paper section 4.1.3, exponentials of skew-symmetric matrices, and section 5.1.3.

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import field_type, group
        >>> from mvnet.invertible import EquivariantOrthogonal
        >>> layer = EquivariantOrthogonal(field_type(group("D4"), {"trivial": 2, "vector": 2}))
        >>> x = torch.randn(1, 6, 4, 4)
        >>> torch.allclose(layer.inverse(layer(x)[0])[0], x, atol=1e-5)
        True
    """

    def __init__(self, fields: FieldType, *, generator: torch.Generator | None = None):
        super().__init__()
        self.fields_in = self.fields_out = fields
        self.expansion = KernelExpansion(fields, fields, 1)
        normal = torch.randn(self.expansion.count, generator=generator)
        self.weight = nn.Parameter(normal * self.expansion.deviation())

    def matrix(self) -> Tensor:
        """The orthogonal matrix, shape (channels, channels), found in float64: its transpose has to be its inverse."""
        kernel = self.expansion(self.weight.double()).flatten(2).squeeze(2)
        return torch.linalg.matrix_exp(kernel - kernel.mT).to(wide(self.weight))

    def lipschitz(self, radius: float | None = None) -> tuple[float, float] | None:
        """1 and 1"""
        return 1.0, 1.0

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        return mix(self.matrix(), x), zeros(x)

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        return mix(self.matrix().mT, z), zeros(z)

    def _check(self, x: Tensor, context: Tensor | None, name: str) -> None:
        super()._check(x, context, name)
        check_channels(x, self.fields_in.channels, name)


def _per_channel(values: Tensor, x: Tensor) -> Tensor:
    return values.view(1, -1, *(1,) * (x.ndim - 2))
