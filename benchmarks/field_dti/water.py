"""Water: its diffusivity stays what it was, with the noise maps of a DWI and without, as of a tensor file.

Simulated, a ball of MD 2.0 at SNR 100, 30 and 15; measured, the phantom of MVNET_DATA (2 mm, isotropic; b <= 1000 where
it has more). Without maps the input is the fit of the same signals.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.dti.ours import Scan, denoised, denoised_tensors
from benchmarks.field_dti.methods import Setup, between
from benchmarks.field_dti.scenes import SIGNAL, fa_of, grid, md_of, noisy_scan, scheme
from benchmarks.harness import Target

SHARE = 0.003  # of the MD


def ball(snr: float, quick: bool) -> Scan:
    shape = (16, 16, 8) if quick else (32, 32, 16)
    x, y, z = grid(shape)
    mask = np.sqrt(x**2 + y**2 + (2 * z) ** 2) < 0.47 * shape[0]
    tensors = np.broadcast_to(2.0 * np.eye(3), (*shape, 3, 3))
    return noisy_scan(tensors, np.full(shape, SIGNAL), mask, snr, scheme(30))[0]


def phantom() -> Scan | None:
    """The measured phantom; None where it is not."""
    from dipy.segment.mask import median_otsu
    from nibabel.nifti1 import Nifti1Image

    folder = Path(os.environ.get("MVNET_DATA", ".")) / "dti" / "phantom_sense3_mb3"
    if not (folder / "dwi.nii.gz").is_file():
        return None
    image = Nifti1Image.from_filename(folder / "dwi.nii.gz")
    bvals, bvecs = np.loadtxt(folder / "dwi.bval"), np.loadtxt(folder / "dwi.bvec")
    bvecs = bvecs.T if bvecs.shape[0] == 3 else bvecs
    low = bvals <= 1050
    dwi = np.asarray(image.dataobj, dtype=np.float64)[..., low]
    mask = median_otsu(dwi[..., bvals[low] < 50].mean(-1), median_radius=2, numpass=1)[1] & (dwi.min(-1) > 0)
    return Scan(dwi, bvals[low], bvecs[low], mask, tuple(float(side) for side in image.header.get_zooms()[:3]))  # type: ignore[arg-type]


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """Median MD in um^2/ms and FA before and after."""
    scans = {f"ball of MD 2, SNR {snr}": ball(snr, setup.quick) for snr in ((30,) if setup.quick else (100, 30, 15))}
    measured = None if setup.quick else phantom()
    if measured is not None:
        scans["phantom"] = measured
    rows, targets = [], []
    for name, scan in scans.items():
        with_maps = denoised(setup.model, scan)
        without = denoised_tensors(setup.model, with_maps.raw, scan)
        for maps, found in (("with maps", with_maps), ("tensors alone", without)):
            before, after = (1e3 * float(np.median(md_of(t))) for t in (found.raw, found.tensors))
            shares = (fa_of(found.raw).mean(), fa_of(found.tensors).mean())
            rows.append(
                {"water": name, "input": maps, "MD raw": before, "MD": after, "FA raw": shares[0], "FA": shares[1]}
            )
            change = after / before - 1
            targets.append(between(f"{name}, {maps}: relative change of MD", change, -SHARE, SHARE))
    return rows, targets
