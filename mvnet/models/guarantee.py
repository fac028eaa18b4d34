"""A property of a trained network, measured: what `mvnet verify` prints a line of."""

from __future__ import annotations

from dataclasses import dataclass

import torch

LIMITS = {torch.float64: 1e-12, torch.float32: 1e-5}
"""Relative equivariance error that counts as exact."""


@dataclass(frozen=True)
class Guarantee:
    """A measured property: `holds` when `value` keeps within `limit` (below it, or above where `lower` is set)."""

    name: str
    value: float
    limit: float
    lower: bool = False

    @property
    def holds(self) -> bool:
        """Whether the value keeps within the limit."""
        return self.value > self.limit if self.lower else self.value < self.limit


def precision(dtype: torch.dtype) -> str:
    """As it stands in the name of a guarantee, "float32"."""
    return str(dtype).removeprefix("torch.")
