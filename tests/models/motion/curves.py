"""Curves and small networks for the tests of the denoiser of motions."""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.linalg import so3
from mvnet.models.motion.network import MotionDenoiser

PARENT = torch.tensor([-1, 0, 1, 1])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth_rotations(frames: int = 120, joints: int = 4, seed: int = 0, speed: float = 0.05) -> Tensor:
    """(T, J, 3, 3) float64, turning to and fro."""
    random = generator(seed)
    t = speed * torch.arange(frames, dtype=torch.float64).view(-1, 1, 1)
    phase, size = torch.randn(2, 1, joints, 3, generator=random, dtype=torch.float64)
    start = so3.exp(torch.randn(joints, 3, generator=random, dtype=torch.float64))
    return start @ so3.exp(0.5 * size * torch.sin(t + phase))


def smooth_positions(frames: int = 120, joints: int = 4, seed: int = 0) -> Tensor:
    """(T, J, 3) float64."""
    random = generator(seed)
    t = 0.05 * torch.arange(frames, dtype=torch.float64).view(-1, 1, 1)
    phase, size = torch.randn(2, 1, joints, 3, generator=random, dtype=torch.float64)
    return 3 + size * torch.sin(t + phase)


def jitter(values: Tensor, size: float, seed: int = 1) -> Tensor:
    """Rotations R exp(n) or positions x + n, n normal with standard deviation `size`."""
    n = size * torch.randn(*values.shape[:2], 3, generator=generator(seed), dtype=values.dtype)
    return values @ so3.exp(n) if values.ndim == 4 else values + n


def small_model(scale: float = 0.1, seed: int = 0, dtype: torch.dtype = torch.float64) -> MotionDenoiser:
    """A network with random weights in every layer."""
    random = generator(seed)
    model = MotionDenoiser(8, ((1, 2), (1,), (1,)), ((1.0, 3.0), (2.0,), (4.0,)), ((1.0,),) * 3, generator=random)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=random))
    return model.to(dtype).eval()
