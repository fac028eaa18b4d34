"""What the ground does to an interferogram: maps of coherence, backscatter and water."""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.data_loaders.insar.simulation.scenes import Canvas, fractal


def water(canvas: Canvas, share: float) -> Tensor:
    """Lakes and sea: the lowest `share` of a fractal surface, (H, W) bool."""
    surface = fractal(canvas, 4.0)
    rank = max(1, round(share * surface.numel()))
    return surface <= surface.flatten().kthvalue(rank).values if share > 0 else torch.zeros_like(surface).bool()


def fields(canvas: Canvas, count: int) -> Tensor:
    """A patchwork of polygons with straight borders: (H, W) integers in [0, count), nearest of `count` points."""
    points = [canvas.point(0.0) for _ in range(count)]
    best = torch.full(canvas.shape, torch.inf, device=canvas.device)
    label = torch.zeros(canvas.shape, dtype=torch.long, device=canvas.device)
    for i, (row, column) in enumerate(points):
        x, y = canvas.offsets(row, column)
        distance = x.square() + y.square()
        nearer = distance < best
        label[nearer], best = i, torch.minimum(best, distance)
    return label


def coherence_map(canvas: Canvas, low: float = 0.1, high: float = 0.97) -> Tensor:
    """Coherence between `low` and `high`, (H, W): constant, smooth, a patchwork, or both; equally often.

    low + (high - low) / (1 + exp(-t)), t a fractal field, one number a polygon, or their sum.
    """
    kind = int(canvas.uniform(0, 4))
    if kind == 0:
        return torch.full(canvas.shape, canvas.uniform(low, high), device=canvas.device)
    total = torch.zeros(canvas.shape, device=canvas.device)
    if kind in (1, 3):
        total += canvas.uniform(0.5, 2) * fractal(canvas, canvas.uniform(2.5, 5))
    if kind in (2, 3):
        count = 2 + int(canvas.uniform(0, 24))
        values = torch.tensor([canvas.uniform(-2.5, 2.5) for _ in range(count)], device=canvas.device)
        total += values[fields(canvas, count)]
    return low + (high - low) * torch.sigmoid(total + canvas.uniform(-1.5, 1.5))


def backscatter(canvas: Canvas, wet: Tensor) -> Tensor:
    """Amplitude of the ground, (H, W), mean square 1: texture over fields; water a fifth of the rest."""
    count = 2 + int(canvas.uniform(0, 16))
    values = torch.tensor([canvas.uniform(-0.7, 0.7) for _ in range(count)], device=canvas.device)
    texture = canvas.uniform(0, 0.4) * fractal(canvas, 2.5)
    amplitude = (values[fields(canvas, count)] + texture).exp()
    amplitude = torch.where(wet, 0.2 * amplitude, amplitude)
    return amplitude / amplitude.square().mean().sqrt()
