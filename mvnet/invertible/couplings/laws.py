"""Coupling laws: how one part changes the other, an invertible function of each of its numbers (paper 4.1.1)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.invertible.base import wide
from mvnet.invertible.splines import Knots, knots, rational_quadratic, rational_quadratic_inverse


class Law(ABC):
    """gamma(b, h), invertible in b; h are `count` numbers for each of b, number by number along the channels."""

    @property
    @abstractmethod
    def count(self) -> int:
        """Numbers that each number of b takes."""

    @abstractmethod
    def apply(self, b: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """gamma(b, h)

        Args:
            b: shape (B, C, ...).
            h: shape (B, count C, ...).
        Returns:
            shape (B, C, ...), and log|d gamma / db| of a shape that broadcasts to it.
        """

    @abstractmethod
    def invert(self, b: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of gamma in its first argument.

        Args:
            b: shape (B, C, ...).
            h: shape (B, count C, ...).
        Returns:
            shape (B, C, ...), and the logarithm of its derivative, of a shape that broadcasts to it.
        """

    def slopes(self, lipschitz: float, radius: float | None) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """Bounds of the derivatives of gamma and of its inverse.

        Args:
            lipschitz: bound of the network that makes h of the other part.
            radius: bound of |b|.
        Returns:
            those by the other part and by b, of gamma; the same of its inverse; None where there is none.
        """
        return None


@dataclass(frozen=True)
class Additive(Law):
    """b + h: keeps volumes, and its inverse is as stable as itself.

    Source: Dinh, Krueger, Bengio, NICE (2014).
    """

    @property
    def count(self) -> int:
        """1"""
        return 1

    def apply(self, b: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """b + h"""
        return b + h, wide(b).new_zeros((b.shape[0], 1))

    def invert(self, b: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """b - h"""
        return b - h, wide(b).new_zeros((b.shape[0], 1))

    def slopes(self, lipschitz: float, radius: float | None) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """(L, 1) both ways"""
        return (lipschitz, 1.0), (lipschitz, 1.0)


@dataclass(frozen=True)
class Affine(Law):
    """b exp(s) + t with exp(s) in (1 / bound, bound).

    Args:
        bound: above 1. A scale without bound loses the inverse in a few dozens of layers.
    Source: Dinh et al., Real NVP (2017); Behrmann et al. (2021) for the bound.
    """

    bound: float = 2.0

    @property
    def count(self) -> int:
        """2"""
        return 2

    def _parts(self, h: Tensor) -> tuple[Tensor, Tensor]:
        shift, raw = wide(h).chunk(2, 1)
        limit = math.log(self.bound)
        return shift, limit * torch.tanh(raw / limit)

    def apply(self, b: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """b exp(s) + t"""
        shift, log_scale = self._parts(h)
        return b * log_scale.exp() + shift, log_scale

    def invert(self, b: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """(b - t) exp(-s)"""
        shift, log_scale = self._parts(h)
        return (b - shift) * (-log_scale).exp(), -log_scale

    def slopes(self, lipschitz: float, radius: float | None) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """By the other part: |b| exp(s) |ds| + |dt|, and (|dt| + |b exp(s)| |ds|) exp(-s)"""
        if radius is None:
            return None
        forward = (radius * self.bound + 1) * lipschitz
        return (forward, self.bound), ((radius + self.bound) * lipschitz, self.bound)


@dataclass(frozen=True)
class Spline(Law):
    """A monotone rational quadratic spline on [-bound, bound], the identity beyond.

    Args:
        bins: of the spline.
        bound: end of the knots.
    Source: Durkan et al., Neural spline flows (2019).
    """

    bins: int = 8
    bound: float = 3.0

    @property
    def count(self) -> int:
        """3 bins + 1"""
        return 3 * self.bins + 1

    def _knots(self, b: Tensor, h: Tensor) -> Knots:
        return knots(h.unflatten(1, (self.count, b.shape[1])).movedim(1, -1), self.bound)

    def apply(self, b: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """The spline"""
        return rational_quadratic(b, self._knots(b, h))

    def invert(self, b: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Its inverse"""
        return rational_quadratic_inverse(b, self._knots(b, h))
