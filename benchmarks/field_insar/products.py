"""Other things that products have, on the gentle scene; only the first has targets.

looks           1 to 30 independent ones, coherence .3: ours below every peer.
burst seam      the phase steps by 1 radian between two rows; coherence .7. RMSE of single rows off the step.
hot pixel       one of 1e4, 1e8 and 1e25 times the others; coherence .7. RMSE of all, and of the 21 x 21 around it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.field_insar.methods import OURS, Setup, ahead, compare, gentle, noisy_case, ours, rmse
from benchmarks.field_insar.noises import multilooked, white
from benchmarks.harness import Target
from mvnet.errors import MvnetError

LOOKS, STEP, ROWS, HOT, NEAR = (1, 3, 10, 30), 1.0, (-8, -4, -2, -1, 0, 1, 3, 7), (1.0, 1e4, 1e8, 1e25), 10


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """Rows of the three."""
    phase = gentle(setup.side)
    rows = [
        compare(setup, noisy_case(setup, (f"{looks} looks", partial(multilooked, looks=looks)), phase, 0.3, "0.3"))
        for looks in (LOOKS[1:2] if setup.quick else LOOKS)
    ]
    others = [_seam(setup, phase), *(_hot(setup, phase, factor) for factor in HOT)]
    return rows + others, ahead(rows)


def _seam(setup: Setup, phase: np.ndarray) -> dict[str, Any]:
    middle = len(phase) // 2
    stepped = phase + STEP * (np.arange(len(phase)) >= middle)[:, None]
    found = ours(setup, white(stepped, 0.7, 0)).phase
    return {"burst seam": OURS} | {f"row {k:+d}": rmse(found[middle + k], stepped[middle + k]) for k in ROWS}


def _hot(setup: Setup, phase: np.ndarray, factor: float) -> dict[str, Any]:
    z, middle = white(phase, 0.7, 0).astype(complex), len(phase) // 2
    z[middle, middle] *= factor
    near = (slice(middle - NEAR, middle + NEAR + 1),) * 2
    row = {"hot pixel": f"x {factor:g}"}
    try:
        found = ours(setup, z).phase
    except (MvnetError, RuntimeError) as error:
        return row | {"all": None, "near": None, "refused": str(error)}
    return row | {"all": rmse(found, phase), "near": rmse(found[near], phase[near]), "refused": ""}
