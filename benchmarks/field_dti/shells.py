"""Several shells of signals that are not those of a tensor: kurtosis 1 everywhere, b 1000, 2000 and 3000, SNR 30.

Kurtosis of 1 in grey matter and water too is harsher than tissue. The truth is the fit of the same scan without noise
to the same volumes. Fitted once as the reader chooses (b <= 1500 where that leaves enough directions), once to all
shells; the peers denoise all volumes before either fit. Without noise there is nothing to remove.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.dti.ours import denoised
from benchmarks.field_dti.brains import SEED
from benchmarks.field_dti.methods import Setup, ahead, below, scored, tensors_of
from benchmarks.field_dti.scenes import ai, brain, noisy_scan, shells
from benchmarks.harness import Target
from mvnet.apps.demo import peers as compare
from mvnet.data_loaders.dti.fit_options import FitOptions

B, KURTOSIS, SNR = (1000.0, 2000.0, 3000.0), 1.0, 30


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """Scores of both choices of shells, and the change where there is no noise."""
    tensors, s0, mask = brain(SEED, (32, 32, 8)) if setup.quick else brain(SEED, (56, 56, 14))
    gradients = shells(*B, n=10 if setup.quick else 30)
    scan, clean, sigma = noisy_scan(tensors, s0, mask, SNR, gradients, kurtosis=KURTOSIS)
    rows, targets = [], []
    for name, options in (("chosen", FitOptions()), ("all", FitOptions(all_shells=True))):
        used = _used(setup, scan, options)
        truth = compare.fit(clean.dwi[..., used], clean.bvals[used], clean.bvecs[used], mask)
        case = f"{name} shells, b <= {scan.bvals[used].max():g}, SNR {SNR}"
        results = tensors_of(setup, scan, sigma, options=options, fitted=used, few=True)
        found = scored(results, truth, shells=case)
        rows += found
        targets += ahead(found, case)
        ours = denoised(setup.model, clean, options)
        moved = float(np.sqrt((ai(ours.tensors, truth) ** 2).mean()))
        targets.append(below(f"{name} shells, no noise: AI distance from the fit", moved, 0.02))
    return rows, targets


def _used(setup: Setup, scan: Any, options: FitOptions) -> np.ndarray:
    """(M,) bool: the volumes that the reader fits."""
    part = type(scan)(
        scan.dwi, scan.bvals, scan.bvecs, scan.mask & (np.cumsum(scan.mask).reshape(scan.mask.shape) <= 500)
    )
    acquisition = denoised(setup.model, part, options).volume.acquisition
    assert acquisition is not None
    return acquisition.used
