"""Sums over the components of every field of a type, factors for every field, and the invariant part of a field.

A tensor x (B, fields.channels, ...) holds `field_count(fields)` fields, in channel order.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mvnet.equivariant.expansion import bias_basis
from mvnet.equivariant.field_type import FieldType
from mvnet.errors import MvnetError


def field_count(fields: FieldType) -> int:
    """Number of fields of a type, with multiplicities.

    Args:
        fields: the type.
    Returns:
        sum of the multiplicities.
    """
    return sum(count for count, _ in fields.fields)


def check_channels(fields: FieldType, x: Tensor, name: str = "x") -> None:
    """Refuse a tensor that has not the channels of a type.

    Args:
        fields: the type.
        x: shape (B, fields.channels, ...) when right.
        name: name of the argument, for the message.
    Raises:
        MvnetError: when its second axis has another length.
    """
    if x.ndim < 2 or x.shape[1] != fields.channels:
        raise MvnetError(f"{name}: found shape {tuple(x.shape)}, expected (B, {fields.channels}, ...) for {fields}")


def blocks(fields: FieldType, x: Tensor) -> Iterator[Tensor]:
    """The summands of a field.

    Args:
        fields: the type.
        x: shape (B, fields.channels, ...).
    Yields:
        views of shape (B, count, size, ...), one for each pair (count, representation) of the type.
    """
    start = 0
    for count, rho in fields.fields:
        yield x[:, start : (start := start + count * rho.size)].unflatten(1, (count, rho.size))


def squares(fields: FieldType, x: Tensor) -> Tensor:
    """Squared Euclidean norm of every field at every point.

    Args:
        fields: the type.
        x: shape (B, fields.channels, ...).
    Returns:
        shape (B, number of fields, ...).
    """
    parts = [b[:, :, 0].square() if b.shape[2] == 1 else b.square().sum(2) for b in blocks(fields, x)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def scale(fields: FieldType, x: Tensor, factor: Tensor) -> Tensor:
    """Every field times a factor of its own.

    Args:
        fields: the type.
        x: shape (B, fields.channels, ...).
        factor: shape (B or 1, number of fields, ... or 1, ...).
    Returns:
        the shape of x.
    """
    parts, start = [], 0
    for block in blocks(fields, x):
        part = factor[:, start : (start := start + block.shape[1])].unsqueeze(2)
        parts.append((block * part).flatten(1, 2))
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


class Constant:
    """A tensor outside of parameters and buffers: integers keep their dtype, others are converted.

    Args:
        value: the tensor, in float64 when floating; a copy is kept for every device and dtype requested.
    """

    def __init__(self, value: Tensor):
        self._value = value
        self._placed: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def __call__(self, like: Tensor) -> Tensor:
        """The tensor on the device and, when floating, in the dtype of another."""
        key = (like.device, like.dtype)
        if key not in self._placed:
            self._placed[key] = self._value.to(like if self._value.is_floating_point() else like.device)
        return self._placed[key]


def field_of_channel(fields: FieldType) -> Tensor:
    """The number of the field that each channel belongs to.

    Args:
        fields: the type.
    Returns:
        shape (channels,), long.
    """
    sizes = torch.tensor([rho.size for rho in fields.summands()])
    return torch.arange(len(sizes)).repeat_interleave(sizes)


def invariant_basis(fields: FieldType) -> Tensor:
    """The constant fields that every group element leaves alone.

    Args:
        fields: the type.
    Returns:
        shape (count, channels), float64, orthonormal.
    """
    basis = bias_basis(fields)
    return basis / basis.norm(dim=1, keepdim=True)


def broadcast_over_space(parameter: Tensor, x: Tensor) -> Tensor:
    """A parameter of every channel, with axes of length 1 for the batch and for space.

    Args:
        parameter: shape (C,).
        x: what it is to be combined with, shape (B, C, ...).
    Returns:
        shape (1, C, 1, ..., 1), with as many axes as x.
    """
    return parameter.view(1, -1, *(1,) * (x.ndim - 2))
