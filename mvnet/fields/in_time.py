"""Parameters theta(t) of a field: finitely many values on [0, T], constant or linear in between.

A whole network is one field with K values, one for each layer (paper section 1.2, eq. (5) to (8)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError

KINDS = ("constant", "linear")


@dataclass(frozen=True)
class TimeGrid:
    """The interval [0, T] with K values of every parameter; the first and last value go on before and after it.

    Args:
        intervals: K. "constant": value k stands on [k T/K, (k + 1) T/K), closed on the left: a method with a stage at
            the end of its step sees the next value there. "linear": K + 1 values, at the times k T/K.
        duration: T.
        kind: one of `KINDS`. Only "linear" is continuous in time, which the order of a method asks for.
    """

    intervals: int = 1
    duration: float = 1.0
    kind: str = "constant"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise MvnetError(f"kind: found {self.kind!r}, expected one of {', '.join(KINDS)}")
        check_count("intervals", self.intervals)
        if not 0 < self.duration < math.inf:
            raise MvnetError(f"duration: found {self.duration}, expected a positive number")

    @property
    def count(self) -> int:
        """Number of values of a parameter: K, or K + 1 where they are joined by lines."""
        return self.intervals + (self.kind == "linear")

    def times(self, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Tensor:
        """The K + 1 borders of the intervals.

        Args:
            dtype, device: of the result; torch's defaults when None.
        Returns:
            k T/K for k = 0, ..., K.
        """
        return torch.linspace(0, self.duration, self.intervals + 1, dtype=dtype, device=device)

    def at(self, t: Tensor, *values: Tensor, batch: int = 1) -> tuple[Tensor, ...]:
        """The values at a time.

        Args:
            t: time, a scalar tensor; or one time for each state: (B,), or the batch dims of the states and a last
                dim of 1.
            values: parameters (count, *shape).
            batch: number of batch dims of the states.
        Returns:
            for each parameter a tensor of shape `shape`; with a time for each state (B, ..., *shape), where
            `batch` dims stand before `shape` (unless there is one value only).
        """
        if self.count == 1:
            return tuple(value[0] for value in values)
        if _is_number(t):
            return self._at_number(float(t), torch.finfo(t.dtype).eps, values)
        lead = t.shape[:-1] if t.ndim > 1 else t.shape
        position = t.reshape(-1) * (self.intervals / self.duration)
        if self.kind == "constant":
            # a border that was rounded down still begins its interval
            nudge = 8 * self.intervals * torch.finfo(position.dtype).eps
            index = (position + nudge).floor().clamp(0, self.intervals - 1).long()
            found = [value.index_select(0, index) for value in values]
        else:
            position = position.clamp(0, self.intervals)
            index = position.detach().floor().clamp(max=self.intervals - 1).long()
            found = [_between(value, index, position - index) for value in values]
        if t.ndim == 0:
            return tuple(value[0] for value in found)
        return tuple(value.reshape(*lead, *(1,) * (batch - len(lead)), *value.shape[1:]) for value in found)

    def _at_number(self, t: float, eps: float, values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The same as below, with two operations on tensors for each parameter instead of ten."""
        position = t * (self.intervals / self.duration)
        if self.kind == "constant":
            position += 8 * self.intervals * eps
        index = min(max(int(position), 0), self.intervals - 1)
        if self.kind == "constant":
            return tuple(value[index] for value in values)
        part = min(max(position - index, 0.0), 1.0)
        return tuple(value[index].lerp(value[index + 1], part) for value in values)


def _is_number(t: Tensor) -> bool:
    """Whether a time can be read without harm: no gradient goes through it, no transform or device holds it."""
    if t.ndim or t.requires_grad or t.device.type != "cpu":
        return False
    return not (torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active())


def _between(value: Tensor, index: Tensor, part: Tensor) -> Tensor:
    """value[k] + s (value[k + 1] - value[k])"""
    first = value.index_select(0, index)
    part = part.to(value.dtype).reshape(-1, *(1,) * (value.ndim - 1))
    return first + part * (value.index_select(0, index + 1) - first)


def affine(a: Tensor, z: Tensor, b: Tensor | None = None) -> Tensor:
    """A z + b along the last dimension, with one A and b for all states, or one for each.

    Args:
        a: matrices (m, d), or (..., m, d) with the batch dims of z.
        z: states (..., d).
        b: vectors (m) or (..., m); None for 0.
    Returns:
        shape (..., m).
    """
    if a.ndim == 2:
        return nn.functional.linear(z, a, b)
    product = (a @ z[..., None])[..., 0]
    return product if b is None else product + b


def check_count(name: str, value: int) -> None:
    """Check a number of things.

    Args:
        name: of the argument.
        value: the number.
    Raises:
        MvnetError: not a positive integer.
    """
    if not isinstance(value, int) or value < 1:
        raise MvnetError(f"{name}: found {value!r}, expected a positive integer")


def check_features(z: Tensor, features: int) -> None:
    """Check the layout of states.

    Args:
        z: states.
        features: d.
    Raises:
        MvnetError: z is not of shape (..., d).
    """
    if z.ndim == 0 or z.shape[-1] != features:
        raise MvnetError(f"z: found shape {tuple(z.shape)}, expected (..., {features})")


def draw(shape: tuple[int, ...], scale: float, generator: torch.Generator | None) -> nn.Parameter:
    """Initial values of a parameter.

    Args:
        shape: shape.
        scale: standard deviation.
        generator: source of the random numbers; torch's global generator when None.
    Returns:
        normal numbers.
    """
    device = "cpu" if generator is None else generator.device
    return nn.Parameter(scale * torch.randn(shape, generator=generator, device=device))
