"""Guarantee of the network of body motions: its scores are invariant to turns of the world, R -> g R, v -> g v."""

from __future__ import annotations

import torch

from mvnet.linalg import so3
from mvnet.models.activity.lie.network import BodyMotionNetwork
from mvnet.models.guarantee import LIMITS, Guarantee, precision

_TURNS, _FRAMES = 8, 24


def verify_body(model: BodyMotionNetwork, seed: int) -> list[Guarantee]:
    """Measure the change of the scores, relative to the largest, under random turns in both precisions.

    Args:
        model: on the CPU; its dtype is restored.
        seed: random seed of curves and turns.
    Returns:
        one guarantee for each precision.
    """
    given = next(model.parameters()).dtype
    random = torch.Generator().manual_seed(seed)
    size = (1, _FRAMES, model.config["joints"], 3)
    r = so3.exp((0.1 * torch.randn(size, generator=random, dtype=torch.float64)).cumsum(1))
    v = torch.randn(1, _FRAMES, model.config["vectors"] // 3, 3, generator=random, dtype=torch.float64)
    axis = torch.randn(_TURNS, 3, generator=random, dtype=torch.float64)
    facing = model.config["frame"] == "facing"
    if facing:
        axis = axis * axis.new_tensor([0.0, 0.0, 1.0])
    g = so3.exp(axis)[:, None]
    what = "turns about the vertical" if facing else "rotations of the world"
    found: list[Guarantee] = []
    for dtype, limit in LIMITS.items():
        model.to(dtype)
        with torch.no_grad():
            scores = model(r.to(dtype), v.flatten(2).to(dtype))
            turned = model((g[:, :, None] @ r).to(dtype), (v @ g.mT).flatten(2).to(dtype))
        error = float((turned - scores).abs().max() / scores.abs().max())
        found.append(Guarantee(f"equivariance error, {what} ({_TURNS}), {precision(dtype)}", error, limit))
    model.to(given)
    return found
