"""Points: 5, 10, 25 and 100 % of the pixels hold data, coherence .6, slopes of .03 and .12 radians a pixel and a hill.

Where at most a tenth hold data, ours is no worse than the mean of z over the 16 nearest, or leaves them as they are
and says so by a quality of 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.field_insar.methods import OURS, Setup, ours, rmse
from benchmarks.field_insar.noises import white
from benchmarks.harness import Target

SHARES, SLOPES, COHERENCE, NEIGHBOURS = (0.05, 0.1, 0.25, 1.0), (0.03, 0.12), 0.6, 16
SPARSE, UNTOUCHED = 0.1, 1e-3
SIDE = 200


def sparse_scene(side: int, slope: float, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """z (side, side), 0 where there are no data, and its true phase in radians."""
    y, x = np.indices((side, side), dtype=float)
    hill = 3 * np.exp(-((x - side / 2) ** 2 + (y - side / 2) ** 2) / 400)
    phase = slope * (x + y / 2) + hill
    kept = np.random.default_rng(seed).random(phase.shape) < share
    return np.where(kept, white(phase, COHERENCE, seed), 0), phase


def nearest_mean(z: np.ndarray, count: int = NEIGHBOURS) -> np.ndarray:
    """(H, W) radians: of the mean of z over the `count` nearest pixels with data, itself among them; 0 where z is 0."""
    from scipy.spatial import KDTree

    points = np.argwhere(z != 0)
    _, found = KDTree(points).query(points, min(count, len(points)))
    phase = np.zeros(z.shape)
    phase[z != 0] = np.angle(z[z != 0][found].mean(1))
    return phase


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """A row for every share and slope."""
    rows, targets = [], []
    for share in SHARES:
        for slope in SLOPES[:1] if setup.quick else SLOPES:
            z, truth = sparse_scene(setup.side if setup.quick else SIDE, slope, share, seed=0)
            data, found = z != 0, ours(setup, z)
            row = {
                "with data": share,
                "slope": slope,
                "raw": rmse(np.angle(z), truth, data),
                "16 nearest": rmse(nearest_mean(z), truth, data),
                OURS: rmse(found.phase, truth, data),
                "expected cos": float(found.quality[data].mean()),
                "realised cos": float(np.cos(found.phase - truth)[data].mean()),
            }
            rows.append(row)
            if share <= SPARSE:
                left = rmse(found.phase, np.angle(z), data) < UNTOUCHED and row["expected cos"] < UNTOUCHED
                name = f"{share:.0%} with data, slope {slope:g}: RMSE, or left alone with quality 0"
                met = left or row[OURS] <= row["16 nearest"]
                targets.append(Target(name, row[OURS], f"<= {row['16 nearest']:.4g}", met))
    return rows, targets
