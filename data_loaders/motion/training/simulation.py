"""Simulated bodies: random trees of joints that move, rest, step and swing.

Every joint turns by R_t = R_0 exp(u(tau_t)), u a Gaussian process in so(3) of a random length scale and size; some
joints repeat themselves, some make sudden steps, some never move. All joints of a body share the clock tau, which runs
evenly, or stops and hurries.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.random_fields import log_uniform, uniform
from mvnet.linalg import so3

_WAVES = 12  # random Fourier features of a process
P_UNEVEN, P_PERIODIC, P_STATIC, P_STEP = 0.4, 0.3, 0.15, 0.25
LENGTH_SCALES, SIZES = (5.0, 80.0), (0.01, 1.0)  # frames; radians


class Body(NamedTuple):
    """A clean recording: rotations (frames, joints, 3, 3) relative to the joint above, parent (joints,) long."""

    rotations: Tensor
    parent: Tensor


def process(time: Tensor, curves: int, scale: Tensor, random: torch.Generator, period: float | None = None) -> Tensor:
    """Gaussian processes of covariance exp(-(t - t')^2 / 2 l^2), by random Fourier features.

        u(t) = sqrt(2 / n) sum_k cos(w_k t + b_k),  w_k normal with standard deviation 1 / l, b_k uniform

    Args:
        time: (frames,).
        curves: number of processes.
        scale: l, (curves,), frames.
        period: frequencies are multiples of 2 pi / period; None for any.
    Returns:
        (frames, curves), variance about 1.
    Source: Rahimi and Recht, Random features for large-scale kernel machines (2007).
    """
    frequency = torch.randn(curves, _WAVES, generator=random) / scale.unsqueeze(-1)
    if period is not None:
        frequency = (frequency * period / (2 * torch.pi)).round() * (2 * torch.pi / period)
    phase = 2 * torch.pi * torch.rand(curves, _WAVES, generator=random)
    return (time.view(-1, 1, 1) * frequency + phase).cos().sum(-1) * (2 / _WAVES) ** 0.5


def clock(frames: int, random: torch.Generator) -> Tensor:
    """tau (frames,): even, or with stops and hurries of smooth onset."""
    even = torch.arange(frames, dtype=torch.float32)
    if uniform(0, 1, random) > P_UNEVEN:
        return even
    scale = torch.full((2,), log_uniform(8, 60, random))
    speed, gate = process(even, 2, scale, random).unbind(-1)
    rate = (0.7 * speed).exp() * torch.sigmoid(4 * (gate + uniform(-0.5, 1.5, random)))
    return rate.cumsum(0)


def random_tree(joints: int, random: torch.Generator) -> Tensor:
    """parent (joints,) long: each joint after the first hangs on one of the three before it, or on any."""
    parent = [-1]
    for joint in range(1, joints):
        first = max(0, joint - 3) if uniform(0, 1, random) < 0.8 else 0
        parent.append(int(torch.randint(first, joint, (), generator=random)))
    return torch.tensor(parent)


def simulate_body(frames: int, joints: int, random: torch.Generator) -> Body:
    """A body of random proportions of motion and rest."""
    tau = clock(frames, random)
    scale = log_uniform(*LENGTH_SCALES, random) * torch.exp(0.4 * torch.randn(joints, generator=random))
    low, high = (float(np.log(size)) for size in SIZES)
    size = torch.exp(low + (high - low) * torch.rand(joints, generator=random))
    size = size * (torch.rand(joints, generator=random) > P_STATIC)
    period = log_uniform(20, 120, random) if uniform(0, 1, random) < P_PERIODIC else None
    curves = process(tau, 3 * joints, scale.clamp(min=4).repeat_interleave(3), random, period)
    u = curves.view(frames, joints, 3) * size.unsqueeze(-1)
    if uniform(0, 1, random) < P_STEP:
        u = u + _steps(frames, joints, random)
    start = so3.exp(torch.randn(joints, 3, generator=random))
    return Body(start @ so3.exp(u), random_tree(joints, random))


def _steps(frames: int, joints: int, random: torch.Generator) -> Tensor:
    """(frames, joints, 3): a quick turn of half of the joints at a moment of their own."""
    when, width = torch.rand(2, joints, generator=random)
    time = torch.arange(frames).unsqueeze(-1) - frames * when
    turn = 0.4 * torch.randn(joints, 3, generator=random) * (torch.rand(joints, 1, generator=random) < 0.5)
    return torch.tanh(time / (1.5 + 8 * width)).unsqueeze(-1) * turn
