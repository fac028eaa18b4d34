"""What the ground does to an interferogram: maps of coherence, backscatter and water."""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.data_loaders.insar.simulation.scenes import SceneGrid, fractal


def water(grid: SceneGrid, share: float) -> Tensor:
    """Lakes and sea: the lowest `share` of a fractal surface, (H, W) bool."""
    surface = fractal(grid, 4.0)
    rank = max(1, round(share * surface.numel()))
    return surface <= surface.flatten().kthvalue(rank).values if share > 0 else torch.zeros_like(surface).bool()


def fields(grid: SceneGrid, count: int) -> Tensor:
    """A patchwork of polygons with straight borders: (H, W) integers in [0, count), nearest of `count` points."""
    points = [grid.point(0.0) for _ in range(count)]
    best = torch.full(grid.shape, torch.inf, device=grid.device)
    label = torch.zeros(grid.shape, dtype=torch.long, device=grid.device)
    for i, (row, column) in enumerate(points):
        x, y = grid.offsets(row, column)
        distance = x.square() + y.square()
        nearer = distance < best
        label[nearer], best = i, torch.minimum(best, distance)
    return label


def coherence_map(grid: SceneGrid, low: float = 0.1, high: float = 0.97) -> Tensor:
    """Coherence between `low` and `high`, (H, W): constant, smooth, a patchwork, or both; equally often.

    low + (high - low) / (1 + exp(-t)), t a fractal field, one number a polygon, or their sum.
    """
    kind = int(grid.uniform(0, 4))
    if kind == 0:
        return torch.full(grid.shape, grid.uniform(low, high), device=grid.device)
    total = torch.zeros(grid.shape, device=grid.device)
    if kind in (1, 3):
        total += grid.uniform(0.5, 2) * fractal(grid, grid.uniform(2.5, 5))
    if kind in (2, 3):
        count = 2 + int(grid.uniform(0, 24))
        values = torch.tensor([grid.uniform(-2.5, 2.5) for _ in range(count)], device=grid.device)
        total += values[fields(grid, count)]
    return low + (high - low) * torch.sigmoid(total + grid.uniform(-1.5, 1.5))


def backscatter(grid: SceneGrid, wet: Tensor) -> Tensor:
    """Amplitude of the ground, (H, W), mean square 1: texture over fields; water a fifth of the rest."""
    count = 2 + int(grid.uniform(0, 16))
    values = torch.tensor([grid.uniform(-0.7, 0.7) for _ in range(count)], device=grid.device)
    texture = grid.uniform(0, 0.4) * fractal(grid, 2.5)
    amplitude = (values[fields(grid, count)] + texture).exp()
    amplitude = torch.where(wet, 0.2 * amplitude, amplitude)
    return amplitude / amplitude.square().mean().sqrt()
