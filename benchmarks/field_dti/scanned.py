"""A simulated brain in a simulated scanner (`trxscan`): 8 coils, GRAPPA 2, partial Fourier .8, 30 directions, b 1000.

The noise is correlated, varies in space and is not Rician; the signals are not those of a tensor. The anatomy, a slab
through the middle of a brain, is one that no training has. The truth is the fit of the scan without noise, the SNR that
of `ScannedBrain`; the bias of FA is that of white matter, where the truth's is above .4. The scans take some minutes;
--cache keeps them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.dti.ours import Scan
from benchmarks.field_dti.methods import OURS, Setup, ahead, between, row_of, scored, tensors_of
from benchmarks.field_dti.scenes import scheme
from benchmarks.harness import Target
from mvnet.apps.demo import peers as compare

SEED, SHAPE, VOXEL, SNRS = 27, (48, 48, 10), 2.0, (200.0, 66.0, 34.0)
BIAS = 0.004


def scans(setup: Setup) -> tuple[np.ndarray, list[Scan], list[float]]:
    """The clean signals, the noisy scans and their SNR; from the cache where they are in it."""
    kept = None if setup.cache is None or setup.quick else Path(setup.cache) / f"scanned_{SEED}.npz"
    if kept is not None and kept.is_file():
        with np.load(kept) as file:
            found = {name: file[name] for name in file.files}
    else:
        found = _scan((32, 32, 2) if setup.quick else SHAPE, setup.quick)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.savez(kept, **found)  # type: ignore[arg-type]
    where = (found["bvals"], found["bvecs"], found["mask"], (VOXEL, VOXEL, VOXEL))
    return found["clean"], [Scan(dwi, *where) for dwi in found["noisy"]], found["snr"].tolist()


def _scan(shape: tuple[int, int, int], quick: bool) -> dict[str, np.ndarray]:
    import trxscan

    from mvnet.data_loaders.dti.simulation.scanner import Scanner, scan_brain

    trxscan.set_threads(1)
    gradients = scheme(10 if quick else 30, n_b0=2)
    found = scan_brain(SEED, shape, VOXEL, *gradients, snr=SNRS, scanner=Scanner(coils=2 if quick else 8))
    first = found[0]
    return {
        "noisy": np.stack([scan.dwi for scan in found]),
        "snr": np.array([scan.snr for scan in found]),
        "clean": first.clean,
        "mask": first.mask,
        "bvals": first.bvals,
        "bvecs": first.bvecs,
    }


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """Scores at three noise levels."""
    clean, noisy, snrs = scans(setup)
    rows, targets = [], []
    for scan, snr in zip(noisy, snrs, strict=True):
        truth = compare.fit(clean, scan.bvals, scan.bvecs, scan.mask)
        sigma = float((scan.dwi - clean)[scan.mask].std())
        case = f"scanner, SNR {snr:.0f}"
        found = scored(tensors_of(setup, scan, sigma), truth, scan=case)
        rows += found
        targets += ahead(found, case, ("ai_rmse", "fa_mae", "v1_deg"))
        bias = row_of(found, OURS)["white_fa_bias"]
        targets.append(between(f"{case}: bias of white-matter FA", bias, -BIAS, BIAS))
    return rows, targets
