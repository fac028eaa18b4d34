"""How couplings divide their input into two parts: by channels, by colour of a checkerboard, or by place in a block.

Source: paper section 4.1.1; Dinh et al., Density estimation using Real NVP (2017), for masks and squeezing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.errors import MvnetError


@dataclass(frozen=True)
class Partition(ABC):
    """A division of a field (B, C, ...) into a part that is kept and one that is changed.

    Args:
        swap: exchanges the two parts.
    """

    swap: bool = False

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Divide.

        Args:
            x: shape (B, C, ...).
        Returns:
            the part that is kept and the one that is changed, (B, channels of each, ...).
        """
        a, b = self._split(x)
        return (b, a) if self.swap else (a, b)

    def merge(self, kept: Tensor, changed: Tensor) -> Tensor:
        """Undo `split`.

        Args:
            kept, changed: what `split` gave.
        Returns:
            shape (B, C, ...).
        """
        return self._merge(changed, kept) if self.swap else self._merge(kept, changed)

    @abstractmethod
    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]: ...

    @abstractmethod
    def _merge(self, a: Tensor, b: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Channels(Partition):
    """The first channels, and the others.

    Args:
        first: how many; half of them when None.
    """

    first: int | None = None

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = x.shape[1] // 2 if self.first is None else self.first
        if not 0 < first < x.shape[1]:
            raise MvnetError(f"x: found {x.shape[1]} channels, expected more than the {first} of the first part")
        return x[:, :first], x[:, first:]

    def _merge(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.cat((a, b), 1)


@dataclass(frozen=True)
class Checkerboard(Partition):
    """Points of even and of odd sum of indices: the last axis of each part is half as long."""

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.ndim < 3 or x.shape[-1] % 2:
            raise MvnetError(f"x: found shape {tuple(x.shape)}, expected a last axis of even length")
        even, odd = x[..., 0::2], x[..., 1::2]
        first = _even_rows(even)
        return torch.where(first, even, odd), torch.where(first, odd, even)

    def _merge(self, a: Tensor, b: Tensor) -> Tensor:
        first = _even_rows(a)
        pairs = torch.stack((torch.where(first, a, b), torch.where(first, b, a)), -1)
        return pairs.flatten(-2)


@dataclass(frozen=True)
class Blocks(Partition):
    """Blocks of 2^d points, squeezed into channels: the half of the corners that is first along the first axis."""

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.ndim < 3 or any(n % 2 for n in x.shape[2:]):
            raise MvnetError(f"x: found shape {tuple(x.shape)}, expected even lengths")
        d = x.ndim - 2
        pairs = x.reshape(*x.shape[:2], *(m for n in x.shape[2:] for m in (n // 2, 2)))
        corners = pairs.permute(0, *range(3, 3 + 2 * d, 2), 1, *range(2, 2 + 2 * d, 2))
        a, b = corners.unbind(1)
        return a.flatten(1, d), b.flatten(1, d)

    def _merge(self, a: Tensor, b: Tensor) -> Tensor:
        d = a.ndim - 2
        corners = torch.stack((a, b), 1).unflatten(2, (*(2,) * (d - 1), -1))
        # (B, 2, ..., 2, C, n_1, ..., n_d) -> (B, C, n_1, 2, ..., n_d, 2)
        axes = (0, 1 + d, *(i for k in range(d) for i in (2 + d + k, 1 + k)))
        pairs = corners.permute(axes)
        return pairs.reshape(*pairs.shape[:2], *(2 * n for n in a.shape[2:]))


def _even_rows(x: Tensor) -> Tensor:
    """Where the indices of all axes of space but the last have an even sum."""
    total = torch.zeros((1,) * x.ndim, dtype=torch.long, device=x.device)
    for axis in range(2, x.ndim - 1):
        index = torch.arange(x.shape[axis], device=x.device)
        total = total + index.view([-1 if a == axis else 1 for a in range(x.ndim)])
    return total % 2 == 0
