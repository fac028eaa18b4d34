"""Another project's phantom: the Standard Model of white matter by `symdwi` (GPL 3; optional).

Its bundles follow the curves of a simulated brain, its tissues the fractions; b 1000, 30 directions, Rician noise added
here at SNR 30 and 15. The truth is the fit without noise; voxels with less than .3 of the median signal
are left out: white matter without a fibre has none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.dti.ours import Scan
from benchmarks.field_dti.methods import Setup, ahead, scored, tensors_of
from benchmarks.field_dti.scenes import rician, scheme
from benchmarks.harness import Target
from mvnet.apps.demo import peers as compare
from mvnet.data_loaders.dti.simulation.brain import simulate_anatomy

SEED, SHAPE, VOXEL, HALF = 31, (40, 40, 12), 2.0, (36.0, 36.0, 60.0)


def clean_scan(quick: bool) -> Scan:
    import symdwi  # pyright: ignore[reportMissingImports]  # GPL, installed by who compares

    shape = (20, 20, 6) if quick else SHAPE
    half = (0.46 * shape[0] * VOXEL, 0.46 * shape[1] * VOXEL, HALF[2])
    anatomy = simulate_anatomy(shape, torch.Generator().manual_seed(SEED), VOXEL, semi_axes=half)
    bundles = [
        symdwi.Bundle(
            symdwi.BundleGeometry(
                bundle.curve[::6].double().numpy(),
                n_streamlines=100 if quick else 600,
                radius=bundle.radius,
                seed=number,
            )
        )
        for number, (bundle, _) in enumerate(anatomy.bundles)
    ]
    fractions = {"wm": anatomy.white, "gm": anatomy.grey, "csf": anatomy.water}
    bvals, bvecs = scheme(10 if quick else 30)
    signal = symdwi.simulate_dwi(
        bundles,
        bvals,
        bvecs,
        symdwi.ScanParameters(),
        origin=-0.5 * VOXEL * np.array(shape),  # the corner of the grid whose middle is 0
        dims=shape,
        voxel_size=VOXEL,
        tissue_masks={name: (part * anatomy.inside).reshape(shape).numpy() for name, part in fractions.items()},
    )
    dwi = np.asarray(signal[0], dtype=np.float64)
    b0 = dwi[..., 0]
    dwi *= 1000 / np.median(b0[b0 > 0.1 * b0.max()])
    mask = anatomy.inside.reshape(shape).numpy() & (b0 > 300)
    return Scan(dwi, bvals, bvecs, mask, (VOXEL, VOXEL, VOXEL))


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """Scores at two noise levels."""
    clean = clean_scan(setup.quick)
    truth = compare.fit(clean.dwi, clean.bvals, clean.bvecs, clean.mask)
    rows, targets = [], []
    for snr in (30, 15):
        noisy = clean.with_dwi(rician(clean.dwi, 1000 / snr, seed=snr))
        case = f"symdwi, SNR {snr}"
        found = scored(tensors_of(setup, noisy, 1000 / snr, few=True), truth, phantom=case)
        rows += found
        targets += ahead(found, case, ("ai_rmse", "fa_mae", "v1_deg"))
    return rows, targets
