"""The cases of the DTI parts: a scan with a truth, denoised, and its posterior.

A   the WLS tensors of the slab are the truth, with Rician noise at SNR 30 / 15 / 8; the truth is a noisy fit itself,
    and its noise is told to the posterior as that of a reference.
S   a simulated brain that no weight has seen, 30 directions, SNR 20 / 10: the truth is clean.
B   real noise: the fit of 12 or 30 directions, asked for the fit of the others, whose noise is told likewise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from nibabel.nifti1 import Nifti1Image
from torch import Tensor

from benchmarks.dti.accuracy import directions_left_out, load, simulated
from benchmarks.dti.ours import Scan
from mvnet.apps.demo import peers as compare
from mvnet.data_loaders.dti import DTIVolume, load_dwi
from mvnet.data_loaders.dti.simulation import gradient_scheme, simulate_brain, simulate_dwi
from mvnet.models.checkpoint import find_model
from mvnet.models.dti.inference import denoise_loaded
from mvnet.models.dti.network import DTIDenoiser, centred_log
from mvnet.models.dti.posterior.inference import VolumePosterior, volume_posterior
from mvnet.models.dti.posterior.network import DTIPosterior
from mvnet.models.posterior import load_posterior

_SLAB = slice(30, 42)
_BRAIN_SEED = 987_654  # of no training


@dataclass(frozen=True, eq=False)
class Cell:
    """A case.

    name: "A SNR 15", ...
    volume: the scan as loaded.
    truth: (6, X, Y, Z) um^2/ms.
    noise: (X, Y, Z), affine-invariant noise of the truth per component, None for a clean one.
    denoised: (6, X, Y, Z) um^2/ms.
    scan: the signals.
    """

    name: str
    volume: DTIVolume
    truth: Tensor
    noise: Tensor | None
    denoised: Tensor
    scan: Scan

    def posterior(self, model: str, head: DTIPosterior | None = None, *, as_used: bool = False) -> VolumePosterior:
        """The posterior of the truth as it is, or, as users have it, of a clean one."""
        found = load_posterior(model)[0] if head is None else head
        return volume_posterior(
            denoiser(model), found, self.volume, self.denoised, reference=None if as_used else self.noise
        )

    def logs(self, posterior: VolumePosterior) -> Tensor:
        """Centred log-tensors of the truth in the mask, (6, n)."""
        return centred_log((self.truth[:, posterior.mask] / posterior.scale).T).T


@cache
def denoiser(model: str) -> DTIDenoiser:
    found, _ = find_model(model)
    assert isinstance(found, DTIDenoiser)
    return found


def fitted(scan: Scan) -> DTIVolume:
    image = Nifti1Image(scan.dwi.astype(np.float32), np.diag([*scan.spacing, 1.0]))
    return load_dwi(image, scan.bvals, scan.bvecs, mask=scan.mask, bvec_frame="voxel")


def make_cell(name: str, model: str, scan: Scan, truth: Tensor, noise: Tensor | None) -> Cell:
    volume = fitted(scan)
    return Cell(name, volume, truth, noise, denoise_loaded(denoiser(model), volume).tensors, scan)


@cache
def slab(root: Path, quick: bool) -> tuple[Scan, np.ndarray, DTIVolume]:
    """The slices, their fit (n, 3, 3) in mm^2/s by DIPY, and by our reader."""
    scan = load(root, _SLAB)
    if quick:
        part = np.zeros_like(scan.mask)
        part[40:80, 40:80] = True
        scan = replace(scan, mask=scan.mask & part)
    return scan, compare.fit(scan.dwi, scan.bvals, scan.bvecs, scan.mask), fitted(scan)


@cache
def cell_a(root: Path, model: str, snr: int, quick: bool) -> Cell:
    scan, tensors, own = slab(root, quick)
    assert own.acquisition is not None
    return make_cell(f"A SNR {snr}", model, simulated(scan, tensors, snr)[0], own.tensors, own.acquisition.noise)


@cache
def cell_s(model: str, snr: int, quick: bool, seed: int = _BRAIN_SEED) -> Cell:
    side = 32 if quick else 56
    tensors, mask, s0 = simulate_brain((side, side, side), seed=seed)
    bvals, bvecs = gradient_scheme(30, seed=seed)
    dwi, _ = simulate_dwi(tensors, s0, bvals, bvecs, snr=snr, generator=torch.Generator().manual_seed(snr))
    scan = Scan(1000 * dwi.numpy(), bvals.numpy(), bvecs.numpy(), mask.numpy(), (2.0, 2.0, 2.0))
    return make_cell(f"S SNR {snr}", model, scan, tensors, None)


@cache
def cell_b(root: Path, model: str, directions: int, quick: bool) -> Cell:
    some, rest = directions_left_out(slab(root, quick)[0], directions)
    other = fitted(rest)
    assert other.acquisition is not None
    return make_cell(f"B {directions} directions", model, some, other.tensors, other.acquisition.noise)
