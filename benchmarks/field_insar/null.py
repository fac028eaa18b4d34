"""Nothing but noise: the quality is near 0 whatever the processing, and follows a coherence that is given.

Every noise of `noises.py` at coherence 0, an SLC that is no interferogram, and the speckle of a real pair
(MVNET_DATA) of which one image is shifted, so that they have nothing in common. In the last rows the scene is coherent
(.8), and the coherence that is given says otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.field_insar.methods import Found, Setup, below, gentle, ours
from benchmarks.field_insar.noises import CORRELATED, OTHERS, speckle, white
from benchmarks.field_insar.pairs import sentinel_pair
from benchmarks.harness import Target

SHIFT = (37, 60)  # rows and columns
MEAN, P95, GIVEN = 0.2, 0.4, 0.05


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """Mean, median and 95th percentile of the quality of every kind."""
    flat = np.zeros((setup.side, setup.side))
    rows, targets = [], []
    images = {name: make(flat, 0.0, 0) for name, make in ({"white": white} | OTHERS | CORRELATED).items()}
    images["SLC, simulated"] = speckle(flat.shape, 1.25, np.random.default_rng(0)).astype(np.complex64)
    pair = sentinel_pair(setup.quick)
    if pair is not None:
        first, second = pair
        images["real speckle"] = first * np.roll(second, SHIFT, (0, 1)).conj()
        images["SLC, real"] = first
    for name, z in images.items():
        row = _row(name, ours(setup, z))
        rows.append(row)
        targets += [
            below(f"nothing, {name}: mean quality", row["mean"], MEAN),
            below(f"nothing, {name}: 95th percentile", row["p95"], P95),
        ]
    coherent = white(gentle(setup.side), 0.8, 0)
    for given in (0.0, 0.05, 1.0):
        found = ours(setup, coherent, np.full(flat.shape, given, np.float32))
        rows.append(_row(f"coherence .8, said to be {given:g}", found))
    name = "coherence 0 given everywhere: mean quality"
    return rows, [*targets, below(name, rows[-3]["mean"], GIVEN)]


def _row(name: str, found: Found) -> dict[str, Any]:
    median, p95 = np.quantile(found.quality, (0.5, 0.95))
    return {"nothing": name, "mean": float(found.quality.mean()), "median": float(median), "p95": float(p95)}
