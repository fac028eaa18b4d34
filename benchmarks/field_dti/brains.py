"""Adult brains at SNR 100 to 8: no harm where there is little noise, and no bias of white matter's FA.

One is simulated (a seed that no training has), with noise by the tensor model; the other is the Sherbrooke slab, slices
30 to 42, which no training has seen, with noise on top of its own fit as in protocol A of `benchmarks.dti`. They stand
in for a second scanned brain, which does not come with the data.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.dti.accuracy import load, simulated
from benchmarks.dti.ours import Scan
from benchmarks.field_dti.methods import OURS, RAW, Setup, below, between, row_of, scored, tensors_of
from benchmarks.field_dti.scenes import brain, noisy_scan, scheme
from benchmarks.harness import Target
from mvnet.apps.demo import peers as compare

SEED, SNRS = 11, (100, 60, 30, 15, 8)
BIAS = 0.01


def simulated_scan(snr: float, quick: bool, **how: Any) -> tuple[Scan, float, np.ndarray]:
    """A scan of the simulated brain, sigma and its true tensors (n, 3, 3) in mm^2/s."""
    tensors, s0, mask = brain(SEED, (32, 32, 8)) if quick else brain(SEED)
    scan, _, sigma = noisy_scan(tensors, s0, mask, snr, scheme(30), **how)
    return scan, sigma, tensors[mask] * 1e-3


def slab_scan(snr: float, quick: bool) -> tuple[Scan, float, np.ndarray] | None:
    """The same of the Sherbrooke slab; None where it is not."""
    if "MVNET_DATA" not in os.environ:
        return None
    scan = load(Path(os.environ["MVNET_DATA"]), slice(34, 37) if quick else slice(30, 42))
    truth = compare.fit(scan.dwi, scan.bvals, scan.bvecs, scan.mask)
    return (*simulated(scan, truth, snr), truth)


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """Scores at every SNR, and targets."""
    rows, targets = [], []
    for name, make in (("simulated brain", simulated_scan), ("Sherbrooke slab", slab_scan)):
        for snr in (60, 15) if setup.quick else SNRS:
            made = make(snr, setup.quick)
            if made is None:
                continue
            scan, sigma, truth = made
            case = f"{name}, SNR {snr}"
            found = scored(tensors_of(setup, scan, sigma, few=True), truth, brain=case)
            rows += found
            mine, raw = row_of(found, OURS), row_of(found, RAW)
            if snr >= 60:
                targets.append(below(f"{case}: AI-RMSE over raw's", mine["ai_rmse"] / raw["ai_rmse"], 1.0))
            else:
                targets.append(between(f"{case}: bias of white-matter FA", mine["white_fa_bias"], -BIAS, BIAS))
    return rows, targets
