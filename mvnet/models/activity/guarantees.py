"""What the Lie-group network of motions guarantees: rotating the world, R to g R, leaves its scores as they are."""

from __future__ import annotations

import torch

from mvnet.linalg import so3
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.models.guarantee import LIMITS, Guarantee, precision

_ROTATIONS, _FRAMES = 8, 40


def verify_motion(model: LieMotionNetwork, seed: int) -> list[Guarantee]:
    """The change of the scores, relative to the largest, under random rotations of the world in both precisions."""
    given = next(model.parameters()).dtype
    random = torch.Generator().manual_seed(seed)
    steps = 0.1 * torch.randn(1, _FRAMES, model.config["joints"], 3, generator=random, dtype=torch.float64)
    curves = so3.exp(steps.cumsum(1))
    turns = so3.exp(torch.randn(_ROTATIONS, 1, 1, 3, generator=random, dtype=torch.float64))
    found: list[Guarantee] = []
    for dtype, limit in LIMITS.items():
        model.to(dtype)
        with torch.no_grad():
            scores, turned = (model(r.to(dtype)) for r in (curves, turns @ curves))
        error = float((turned - scores).abs().max() / scores.abs().max())
        found.append(
            Guarantee(f"equivariance error, rotations of the world ({_ROTATIONS}), {precision(dtype)}", error, limit)
        )
    model.to(given)
    return found
