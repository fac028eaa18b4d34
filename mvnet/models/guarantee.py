"""A measured property of a trained network: one line of `mvnet verify`."""

from __future__ import annotations

from dataclasses import dataclass

import torch

LIMITS = {torch.float64: 1e-12, torch.float32: 1e-5}
"""Relative equivariance error that counts as exact."""


@dataclass(frozen=True)
class Guarantee:
    """A measured property: `holds` when `value` is below `limit` (above it where `lower` is set)."""

    name: str
    value: float
    limit: float
    lower: bool = False

    @property
    def holds(self) -> bool:
        """Whether the value is within the limit."""
        return self.value > self.limit if self.lower else self.value < self.limit


def precision(dtype: torch.dtype) -> str:
    """Name of a dtype in a guarantee, "float32".

    Args:
        dtype: dtype of torch.
    Returns:
        its name without "torch.".
    """
    return str(dtype).removeprefix("torch.")
