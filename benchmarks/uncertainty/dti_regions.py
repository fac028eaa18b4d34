"""Means of FA over regions: realised over predicted standard deviation, of correlated and of independent samples.

Blocks of 3^3 and 5^3 voxels cover a simulated brain whose truth is clean. Predicted is the deviation of a block's mean
over 24 samples, realised that of the mean of the samples from the truth; quantiles of 24 samples hold 83 % at best.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import Target
from benchmarks.uncertainty.dti_cells import cell_s
from mvnet.models.dti.posterior.summaries import fa_and_md, quantiles

if TYPE_CHECKING:
    from benchmarks.uncertainty.__main__ import Setup

_SAMPLES = 24


def measure(setup: Setup) -> tuple[list[dict], list[Target]]:
    rows, targets = [], []
    for snr in (20, 10):
        cell = cell_s(setup.model, snr, setup.quick)
        posterior = cell.posterior(setup.model)
        truth = fa_and_md(cell.truth)[0]
        for correlated in (True, False):
            fields = [fa_and_md(t)[0] for t in posterior.sample(_SAMPLES, seed=0, correlated=correlated)]
            for side in (1, 3, 5):
                drawn = torch.stack([block_means(field, posterior.mask, side) for field in fields])
                row = {"case": cell.name, "noise": "correlated" if correlated else "independent", "block": f"{side}^3"}
                row |= compare(drawn, block_means(truth, posterior.mask, side))
                rows.append(row)
                if correlated and side > 1:
                    ratio, name = row["ratio"], f"{cell.name}: {side}^3 voxels, realised over predicted sd"
                    targets.append(Target(name, ratio, "0.8 to 1.25", 0.8 <= ratio <= 1.25))
    return rows, targets


def block_means(field: Tensor, mask: Tensor, side: int) -> Tensor:
    """Means of the blocks that lie in the mask, (n,)."""
    full = F.avg_pool3d(mask.float()[None, None], side)[0, 0] > 1 - 1e-6
    return F.avg_pool3d(torch.where(mask, field, 0.0)[None, None], side)[0, 0][full]


def compare(drawn: Tensor, truth: Tensor) -> dict:
    """Of draws (K, n) and the truth (n,)."""
    realised = float((drawn.mean(0) - truth).square().mean().sqrt())
    predicted = float(drawn.var(0).mean().sqrt())
    low, high = quantiles(drawn, (0.05, 0.95))
    inside = float(((truth >= low) & (truth <= high)).float().mean())
    return {
        "blocks": len(truth),
        "realised": realised,
        "predicted": predicted,
        "ratio": realised / predicted,
        "held_90": inside,
    }
