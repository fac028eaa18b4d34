"""Optimisers by name (paper section 6)."""

from mvnet.optim.registry import OPTIMIZERS, create_optimizer

__all__ = ["OPTIMIZERS", "create_optimizer"]
