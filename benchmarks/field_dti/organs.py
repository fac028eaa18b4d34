"""Not an adult brain: a neonate's, a spinal cord, a heart.

Neonate: a simulated brain with the diffusivities of one (median MD 1.7, water 3), b 750, SNR 15.
Cord: an ellipse of white matter along z (FA .7, MD .85), horns of grey matter in it (FA .319, MD .85, along z too),
water around; .9 x .9 x 5 mm, b 800, SNR 10.
Heart: a ring of MD 1.5 and FA .36 whose fibres turn from +60 degrees inside to -60 outside (helix angle); 2.5 x 2.5 x 8
mm, b 350, SNR 15.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.field_dti.brains import SEED
from benchmarks.field_dti.methods import OURS, RAW, Setup, below, between, row_of, scored, tensors_of
from benchmarks.field_dti.scenes import SIGNAL, axial, brain, fa_of, grid, md_of, noisy_scan, scheme
from benchmarks.harness import Target

GREY_FA, HEART = 0.319, (1.5, 0.36)
Measured = tuple[list[dict[str, Any]], list[Target]]


def measure(setup: Setup) -> Measured:
    """Rows and targets of the three."""
    rows, targets = [], []
    for part in (neonate, cord, heart):
        its_rows, its_targets = part(setup)
        rows += its_rows
        targets += its_targets
    return rows, targets


def neonate(setup: Setup) -> Measured:
    tensors, s0, mask = brain(SEED, (32, 32, 8) if setup.quick else (56, 56, 20), 2.15)
    truth = tensors[mask] * 1e-3
    scan, _, sigma = noisy_scan(tensors, s0, mask, 15, scheme(30, 750))
    results = list(tensors_of(setup, scan, sigma, few=True))
    rows = scored(results, truth, organ="neonate, SNR 15")
    for row, (_, found) in zip(rows, results, strict=True):
        row["md_mae_percent"] = 100 * float(np.abs(md_of(found) / md_of(truth) - 1).mean())
    mine, raw = row_of(rows, OURS), row_of(rows, RAW)
    return rows, [
        below("neonate: MD error over raw's", mine["md_mae_percent"] / raw["md_mae_percent"], 1.0),
        between("neonate: bias of white-matter FA", mine["white_fa_bias"], -0.01, 0.01),
    ]


def cord(setup: Setup) -> Measured:
    shape = (28, 24, 10)
    x, y, _ = grid(shape)
    inside = (x / 7.5) ** 2 + (y / 5.5) ** 2 < 1
    horns = inside & (((np.abs(np.abs(x) - 2.5) < 1.2) & (np.abs(y) < 3.5)) | ((np.abs(x) < 2.5) & (np.abs(y) < 0.8)))
    tensors = np.broadcast_to(2.5 * np.eye(3), (*shape, 3, 3)).copy()
    up = np.array([0.0, 0.0, 1.0])
    tensors[inside], tensors[horns] = axial(up, 0.85, 0.7), axial(up, 0.85, GREY_FA)
    mask = (x / 10) ** 2 + (y / 8) ** 2 < 1
    s0 = np.where(inside, np.where(horns, 1.2, 1.0), 1.8) * SIGNAL
    truth, grey = tensors[mask] * 1e-3, horns[mask]
    scan, _, sigma = noisy_scan(tensors, s0, mask, 10, scheme(30, 800), (0.9, 0.9, 5.0))
    results = list(tensors_of(setup, scan, sigma, few=True))
    rows = scored(results, truth, organ="cord, SNR 10")
    for row, (_, found) in zip(rows, results, strict=True):
        row["grey_fa"] = float(np.median(fa_of(found[grey])))
    return rows, [between("cord: FA of grey matter", row_of(rows, OURS)["grey_fa"], GREY_FA - 0.03, GREY_FA + 0.03)]


def heart(setup: Setup) -> Measured:
    shape = (40, 40, 8)
    x, y, _ = grid(shape)
    r = np.hypot(x, y)
    depth = (r - 9) / 6  # through the wall, 0 inside
    mask = (depth > 0) & (depth < 1)
    helix = np.radians(60 - 120 * depth)
    around = np.stack([-y / r, x / r, 0 * r], -1)
    fibre = np.cos(helix)[..., None] * around + np.sin(helix)[..., None] * np.array([0.0, 0.0, 1.0])
    tensors = axial(fibre, *HEART)
    truth = tensors[mask] * 1e-3
    scan, _, sigma = noisy_scan(tensors, np.full(shape, SIGNAL), mask, 15, scheme(30, 350), (2.5, 2.5, 8.0))
    results = list(tensors_of(setup, scan, sigma, few=True))
    rows = scored(results, truth, organ="heart, SNR 15")
    for row, (_, found) in zip(rows, results, strict=True):
        angles = _helix_angle(found, around[mask])
        off = np.abs((angles - np.degrees(helix[mask]) + 90) % 180 - 90)
        steady = off < 45  # the rest has jumped from +90 to -90
        row |= {
            "helix_error": float(np.median(off)),
            "helix_slope": float(np.polyfit(depth[mask][steady], angles[steady], 1)[0]),
            "md_bias_percent": 100 * (float(md_of(found).mean()) / (HEART[0] * 1e-3) - 1),
        }
    return rows, [between("heart: bias of MD in percent", row_of(rows, OURS)["md_bias_percent"], -1.5, 1.5)]


def _helix_angle(tensors: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Angle between the principal direction and the plane of the slice, degrees in (-90, 90]."""
    v = np.linalg.eigh(tensors)[1][..., 2]
    return np.degrees(np.arctan(v[:, 2] / ((v * around).sum(-1) + 1e-12)))
