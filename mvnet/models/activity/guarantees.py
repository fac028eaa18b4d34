"""Guarantees of the Lie-group network of motions: its scores are invariant to global rotation, R -> g R."""

from __future__ import annotations

import torch

from mvnet.linalg import so3
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.models.guarantee import LIMITS, Guarantee, precision

_ROTATIONS, _FRAMES = 8, 40


def verify_motion(model: LieMotionNetwork, seed: int) -> list[Guarantee]:
    """Measure the change of the scores, relative to the largest, under random global rotations in both precisions.

    Args:
        model: on the CPU; its dtype is restored.
        seed: random seed of curves and rotations.
    Returns:
        one guarantee for each precision.
    """
    given = next(model.parameters()).dtype
    random = torch.Generator().manual_seed(seed)
    steps = 0.1 * torch.randn(1, _FRAMES, model.config["joints"], 3, generator=random, dtype=torch.float64)
    curves = so3.exp(steps.cumsum(1))
    rotations = so3.exp(torch.randn(_ROTATIONS, 1, 1, 3, generator=random, dtype=torch.float64))
    found: list[Guarantee] = []
    for dtype, limit in LIMITS.items():
        model.to(dtype)
        with torch.no_grad():
            scores, rotated = (model(r.to(dtype)) for r in (curves, rotations @ curves))
        error = float((rotated - scores).abs().max() / scores.abs().max())
        found.append(
            Guarantee(f"equivariance error, rotations of the world ({_ROTATIONS}), {precision(dtype)}", error, limit)
        )
    model.to(given)
    return found
