"""The floor of magnitude images: a fixed brain (MD .25) in a liquid of MD 2.0, b 2300, SNR 25.

In the liquid the signal is below the noise, so that a fit which does not know of the floor finds a smaller MD. Tissue
and liquid are judged apart; nothing may be cut to a range of living tissue.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.dti.ours import denoised_tensors
from benchmarks.field_dti.methods import OURS, RAW, Setup, below, between, scored, tensors_of
from benchmarks.field_dti.scenes import SIGNAL, ai, axial, grid, md_of, noisy_scan, scheme
from benchmarks.harness import Target

TISSUE, LIQUID = 0.25, 2.0


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tensors, where there is tissue, mask."""
    shape = (32, 32, 12)
    x, y, _ = grid(shape)
    r = np.hypot(x, y)
    tissue = r < 11
    fibre = np.stack([-y, x, 3 + 0 * x], -1)
    fibre /= np.linalg.norm(fibre, axis=-1, keepdims=True)
    tensors = np.broadcast_to(LIQUID * np.eye(3), (*shape, 3, 3)).copy()
    tensors[tissue] = axial(fibre[tissue], TISSUE, 0.3)
    bundle = (r > 5) & (r < 9)
    tensors[bundle] = axial(fibre[bundle], TISSUE, 0.7)
    return tensors, tissue, r < 15


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """Scores in the tissue, and the MD of both."""
    tensors, tissue, mask = scene()
    truth, inside = tensors[mask] * 1e-3, tissue[mask]
    s0 = np.full(mask.shape, SIGNAL)
    scan, _, sigma = noisy_scan(tensors, s0, mask, 25, scheme(30, 2300), (0.3, 0.3, 0.3))
    results = list(tensors_of(setup, scan, sigma, few=True))
    rows = scored([(m, t[inside]) for m, t in results], truth[inside], fixed="tissue, SNR 25")
    for row, (_, found) in zip(rows, results, strict=True):
        row |= {
            "MD tissue": 1e3 * float(np.median(md_of(found[inside]))),
            "MD liquid": 1e3 * float(np.median(md_of(found[~inside]))),
        }
    by = {row["method"]: row for row in rows}
    floor = (LIQUID - by[OURS]["MD liquid"]) / (LIQUID - by[RAW]["MD liquid"])
    kept = denoised_tensors(setup.model, truth, scan, strength=0.0)
    return rows, [
        between("fixed brain: MD of the tissue", by[OURS]["MD tissue"], 0.99 * TISSUE, 1.01 * TISSUE),
        below("fixed brain: bias of the liquid's MD over raw's", floor, 0.5),
        below("fixed brain: AI-RMSE in the tissue over raw's", by[OURS]["ai_rmse"] / by[RAW]["ai_rmse"], 1.0),
        below("fixed brain, tensors alone, strength 0: largest AI change", float(ai(kept.tensors, truth).max()), 1e-4),
    ]
