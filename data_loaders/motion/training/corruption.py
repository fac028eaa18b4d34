"""Noise as capture leaves it: jitter, alone or correlated over frames, spikes, and gaps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.data_loaders.random_fields import log_uniform, uniform
from mvnet.linalg import so3

LONGEST_SPIKE, LONGEST_GAP = 3, 30
"""Frames."""


@dataclass(frozen=True)
class Damage:
    """How a recording is damaged.

    Args:
        noise: standard deviation per component: radians, or the unit of positions.
        correlation: of the noise of one frame with that of the next, in [0, 1).
        white: share of the variance that is independent from frame to frame beside a correlated part.
        spikes, gaps: shares of the values that are replaced by others, or missing.
        together: whether the gaps of all joints coincide.
    """

    noise: float
    correlation: float = 0.0
    white: float = 0.0
    spikes: float = 0.0
    gaps: float = 0.0
    together: bool = False


class Damaged(NamedTuple):
    """values as observed, (frames, joints, ...); seen and spike, (frames, joints) bool."""

    values: Tensor
    seen: Tensor
    spike: Tensor


def draw_damage(smallest: float, largest: float, random: torch.Generator) -> Damage:
    """Damage of a training example, its noise log-uniform."""
    kind = uniform(0, 1, random)
    return Damage(
        noise=log_uniform(smallest, largest, random),
        correlation=0.0 if kind < 0.45 else uniform(0.5, 0.97, random),
        white=0.0 if kind < 0.8 else uniform(0.02, 0.5, random),
        spikes=uniform(0, 0.04, random) if uniform(0, 1, random) < 0.75 else 0.0,
        gaps=uniform(0, 0.15, random) if uniform(0, 1, random) < 0.75 else 0.0,
        together=uniform(0, 1, random) < 0.4,
    )


def correlated_noise(shape: tuple[int, ...], damage: Damage, random: torch.Generator) -> Tensor:
    """Noise (frames, ...) of unit variance: n_t = r n_{t-1} + sqrt(1 - r^2) e_t, and a white part beside it."""
    drawn = torch.randn(shape, generator=random)
    if damage.correlation == 0:
        return drawn
    r = damage.correlation
    path = [drawn[0]]
    for e in drawn[1:]:
        path.append(r * path[-1] + (1 - r * r) ** 0.5 * e)
    white = torch.randn(shape, generator=random)
    return (1 - damage.white) ** 0.5 * torch.stack(path) + damage.white**0.5 * white


def runs(frames: int, curves: int, share: float, longest: int, random: torch.Generator) -> Tensor:
    """(frames, curves) bool: runs of random length up to `longest` that cover about a share of the frames."""
    length = torch.randint(1, longest + 1, (frames, curves), generator=random)
    begins = torch.rand(frames, curves, generator=random) < 2 * share / (longest + 1)
    end = torch.where(begins, torch.arange(frames).unsqueeze(-1) + length, 0).cummax(0).values
    return torch.arange(frames).unsqueeze(-1) < end


def damage_rotations(clean: Tensor, damage: Damage, random: torch.Generator) -> Damaged:
    """Rotations (frames, joints, 3, 3) with noise R exp(n), and spikes of 20 to 180 degrees about any axis."""

    def spike(values: Tensor) -> Tensor:
        axis = torch.nn.functional.normalize(torch.randn(*values.shape[:2], 3, generator=random), dim=-1)
        angle = 0.35 + 2.79 * torch.rand(*values.shape[:2], 1, generator=random)
        return values @ so3.exp(angle * axis).to(values)

    n = damage.noise * correlated_noise((*clean.shape[:2], 3), damage, random)
    return _damaged(clean @ so3.exp(n.to(clean)), spike, damage, random)


def damage_positions(clean: Tensor, damage: Damage, random: torch.Generator) -> Damaged:
    """Positions (frames, joints, 3) with noise x + n, and jumps of 4 to 40 times the noise, and more."""

    def spike(values: Tensor) -> Tensor:
        axis = torch.nn.functional.normalize(torch.randn(values.shape, generator=random), dim=-1)
        size = damage.noise * (4 + 36 * torch.rand(*values.shape[:2], 1, generator=random))
        return values + ((size + 0.3 * torch.rand(*values.shape[:2], 1, generator=random)) * axis).to(values)

    n = damage.noise * correlated_noise(tuple(clean.shape), damage, random)
    return _damaged(clean + n.to(clean), spike, damage, random)


def _damaged(noisy: Tensor, spike: Callable[[Tensor], Tensor], damage: Damage, random: torch.Generator) -> Damaged:
    """Spikes and gaps; at least two values of every joint stay seen."""
    frames, joints = noisy.shape[:2]
    hit = runs(frames, joints, damage.spikes, LONGEST_SPIKE, random)
    replaced = spike(noisy).to(noisy)
    values = torch.where(hit.view(frames, joints, *(1 for _ in noisy.shape[2:])), replaced, noisy)
    gaps = runs(frames, 1 if damage.together else joints, damage.gaps, LONGEST_GAP, random).expand(frames, joints)
    seen = ~gaps
    seen[0] |= ~seen.any(0)
    seen[-1] |= seen.sum(0) < 2
    return Damaged(values, seen, hit)
