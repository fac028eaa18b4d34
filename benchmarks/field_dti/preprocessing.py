"""The denoised DWI as what other pipelines start from, against DIPY's mppca and MRtrix' dwidenoise.

Real: half of the 64 directions of the Sherbrooke scan (slices 30 to 42, which no weight has seen) are denoised; FA, MD,
V1 and the peaks of constrained spherical deconvolution are compared with those of the other half, as it was measured.
Simulated: two shells with kurtosis 1 at SNR 25; the signals of both, FA and V1 of the tensor, and the mean kurtosis are
compared with those without noise.

Peers see the images alone; ours adds to them what denoising its tensors changes (`mvnet.models.dti.predicted_signal`).
"ours, then mppca" does both.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.field_dti.methods import Setup
from benchmarks.harness import Target
from mvnet.apps.demo import peers
from mvnet.data_loaders.dti import load_dwi
from mvnet.data_loaders.dti.simulation import add_noise, clean_signal, gradient_scheme, simulate_brain
from mvnet.models import DTIDenoiser
from mvnet.models.dti.inference import denoise_loaded
from mvnet.models.dti.predicted_signal import denoised_dwi

SLICES, QUICK_SLICES = slice(30, 42), slice(34, 39)
SHELLS, SNR, KURTOSIS = (1000.0, 2000.0), 25.0, 1.0
_PEAK_VOXELS, _WHITE = 2500, 0.4  # voxels whose peaks are sought; their FA
_WEAKEST, _APART = 0.3, 30.0  # of a peak, relative to the first; degrees between two


@dataclass(frozen=True)
class Images:
    """dwi (X, Y, Z, M) float32, bvals (M,) s/mm^2, bvecs (M, 3), mask (X, Y, Z) bool."""

    dwi: np.ndarray
    bvals: np.ndarray
    bvecs: np.ndarray
    mask: np.ndarray

    def part(self, volumes: np.ndarray) -> Images:
        return Images(self.dwi[..., volumes], self.bvals[volumes], self.bvecs[volumes], self.mask)

    def table(self) -> Any:
        from dipy.core.gradients import gradient_table

        return gradient_table(self.bvals, bvecs=self.bvecs, b0_threshold=50)


Method = Callable[[Images], np.ndarray]
"""Images -> denoised dwi."""


def ours(model: DTIDenoiser, images: Images) -> np.ndarray:
    from nibabel.nifti1 import Nifti1Image

    image = Nifti1Image(images.dwi, np.diag([-2.0, 2.0, 2.0, 1.0]))
    volume = load_dwi(image, images.bvals, images.bvecs, mask=images.mask, bvec_frame="voxel")
    return denoised_dwi(volume, denoise_loaded(model, volume).tensors, lambda shell: denoise_loaded(model, shell))


def mppca(images: Images) -> np.ndarray:
    return peers.dipy_mppca(images.dwi, images.bvals, images.bvecs, images.mask, 0.0)


def ours_then_mppca(model: DTIDenoiser, images: Images) -> np.ndarray:
    return mppca(Images(ours(model, images), images.bvals, images.bvecs, images.mask))


def dwidenoise(images: Images) -> np.ndarray:
    from nibabel.nifti1 import Nifti1Image

    with tempfile.TemporaryDirectory() as folder:
        before, after, mask = (Path(folder) / name for name in ("in.nii", "out.nii", "mask.nii"))
        Nifti1Image(images.dwi, np.eye(4)).to_filename(before)
        Nifti1Image(images.mask.astype(np.uint8), np.eye(4)).to_filename(mask)
        command = ["dwidenoise", str(before), str(after), "-mask", str(mask), "-quiet", "-nthreads", "1"]
        subprocess.run(command, check=True, capture_output=True)
        clean = np.asarray(Nifti1Image.from_filename(after).dataobj, dtype=np.float32)
    return np.where(images.mask[..., None] & np.isfinite(clean), clean, images.dwi)


def methods(model: DTIDenoiser) -> dict[str, Method]:
    known: dict[str, Method] = {
        "raw": lambda images: images.dwi,
        "mvnet": partial(ours, model),
        "DIPY mppca": mppca,
    }
    if shutil.which("dwidenoise"):
        known["MRtrix dwidenoise"] = dwidenoise
    return known | {"mvnet, then mppca": partial(ours_then_mppca, model)}


# ----------------------------------------------------------------------------------------------- real
def sherbrooke(root: Path, slices: slice) -> Images:
    from dipy.segment.mask import median_otsu
    from nibabel.nifti1 import Nifti1Image

    folder = root / "dti" / "invivo_sherbrooke_1p8mm"
    dwi = np.asarray(Nifti1Image.from_filename(folder / "dwi.nii.gz").dataobj[:, :, slices], dtype=np.float32)
    bvals, bvecs = np.loadtxt(folder / "dwi.bval"), np.loadtxt(folder / "dwi.bvec").T
    mask = median_otsu(dwi[..., bvals < 50].mean(-1), median_radius=2, numpass=1)[1] & (dwi.min(-1) > 0)
    return Images(dwi, bvals, bvecs, mask)


def halves(images: Images) -> tuple[Images, Images]:
    """The b0 and every second direction in an order in which neighbours stand apart, and the b0 and the others."""
    from mvnet.data_loaders.dti.simulation.schemes import spread_directions

    b0, weighted = np.flatnonzero(images.bvals < 50), np.flatnonzero(images.bvals >= 50)
    first = weighted[np.asarray(spread_directions(torch.as_tensor(images.bvecs[weighted]), len(weighted) // 2))]
    second = np.setdiff1d(weighted, first)
    return tuple(images.part(np.r_[b0, np.sort(some)]) for some in (first, second))  # type: ignore[return-value]


def eigen(images: Images, dwi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (n, 3) ascending and first eigenvectors (n, 3) of the tensors."""
    values, vectors = np.linalg.eigh(peers.fit(dwi, images.bvals, images.bvecs, images.mask))
    return values, vectors[..., 2]


def tensor_scores(found: tuple[np.ndarray, np.ndarray], truth: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    fa, fa_true = (peers.fractional_anisotropy(values) for values, _ in (found, truth))
    md, md_true = (1e3 * values.mean(-1) for values, _ in (found, truth))
    cosine = np.abs((found[1] * truth[1]).sum(-1))[fa_true > 0.3]
    return {
        "fa_mae": float(np.abs(fa - fa_true).mean()),
        "md_mae": float(np.median(np.abs(md - md_true))),
        "v1_deg": float(np.degrees(np.median(np.arccos(np.clip(cosine, 0, 1))))),
    }


def csd_peaks(images: Images, dwi: np.ndarray, voxels: np.ndarray, response: Any) -> np.ndarray:
    """Directions (n, 3, 3) of at most three peaks, NaN where there are fewer."""
    from dipy.data import default_sphere
    from dipy.direction import peak_directions
    from dipy.reconst.csdeconv import ConstrainedSphericalDeconvModel

    model = ConstrainedSphericalDeconvModel(images.table(), response, sh_order_max=6)
    sphere = default_sphere.subdivide(n=1)
    odf = np.asarray(model.fit(np.maximum(dwi[images.mask][voxels], 1e-3)).odf(sphere))
    out = np.full((len(odf), 3, 3), np.nan)
    for row, values in zip(out, odf):
        found = peak_directions(values, sphere, relative_peak_threshold=_WEAKEST, min_separation_angle=_APART)[0][:3]
        row[: len(found)] = found
    return out


def peak_scores(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Angle from the true first peak and from every further one to the nearest found; share of right numbers."""
    cosine = np.nan_to_num(np.abs(np.einsum("nai,nbi->nab", truth, found)), nan=0.0).max(-1)
    angle = np.degrees(np.arccos(np.clip(cosine, 0, 1)))
    there = np.isfinite(truth[..., 0])
    number = np.isfinite(found[..., 0]).sum(-1) == there.sum(-1)
    further = angle[:, 1:][there[:, 1:]]
    return {
        "peak_deg": float(angle[:, 0][there[:, 0]].mean()),
        "further_deg": float(further.mean()) if further.size else float("nan"),
        "number_right": float(number.mean()),
    }


def real_rows(model: DTIDenoiser, images: Images, quick: bool) -> list[dict[str, Any]]:
    from dipy.reconst.csdeconv import response_from_mask_ssst

    one, other = halves(images)
    truth = eigen(other, other.dwi)
    fa = peers.fractional_anisotropy(truth[0])
    single = np.zeros(images.mask.shape, bool)
    single[images.mask] = fa > 0.7
    response, _ = response_from_mask_ssst(other.table(), other.dwi, single)
    white = np.flatnonzero(fa > _WHITE)
    count = _PEAK_VOXELS // (4 if quick else 1)
    voxels = white[:: max(1, len(white) // count)]
    peaks = csd_peaks(other, other.dwi, voxels, response)
    rows = []
    for name, denoise in methods(model).items():
        dwi = denoise(one)
        found = peak_scores(csd_peaks(one, dwi, voxels, response), peaks)
        rows.append({"case": "real, 32 directions", "method": name, **tensor_scores(eigen(one, dwi), truth), **found})
    return rows


# ----------------------------------------------------------------------------------------------- simulated
def simulated(quick: bool) -> tuple[Images, np.ndarray]:
    """Images of a brain with kurtosis, and the same without noise."""
    shape = (24, 24, 10) if quick else (36, 36, 20)
    brain = simulate_brain(shape, seed=11, voxel_size=2.0, semi_axes=(65.0, 80.0, 60.0))
    schemes = [gradient_scheme(30, b, n_b0=2, seed=20 + k) for k, b in enumerate(SHELLS)]
    bvals, bvecs = (torch.cat(parts).to(brain.tensors) for parts in zip(*schemes))
    md = brain.tensors[:3].mean(0)
    kurtosis = torch.where(md < 1.5, KURTOSIS, 0.0)  # none in water
    quadratic = (bvals * 1e-3).square() / 6 * (md.square() * kurtosis).unsqueeze(-1)  # b^2 MD^2 K / 6
    clean = clean_signal(brain.tensors, brain.s0, bvals, bvecs) * quadratic.exp()
    noisy = add_noise(clean, 1 / SNR, torch.Generator().manual_seed(1))
    table = bvals.numpy().astype(float), bvecs.numpy().astype(float), brain.mask.numpy()
    images = Images(1000 * noisy.numpy().astype(np.float32), *table)
    return images, 1000 * clean.numpy()


def mean_kurtosis(images: Images, dwi: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    from dipy.reconst.dki import DiffusionKurtosisModel

    with _quiet():
        model = DiffusionKurtosisModel(images.table(), fit_method="WLS")
        fit: Any = model.fit(np.maximum(dwi[images.mask][voxels], 1e-3))
        return np.asarray(fit.mk(min_kurtosis=-0.4, max_kurtosis=3))


def simulated_rows(model: DTIDenoiser, quick: bool) -> list[dict[str, Any]]:
    images, clean = simulated(quick)
    low = images.bvals <= 1500
    first = images.part(low)
    truth = eigen(first, clean[..., low])
    white = np.flatnonzero(peers.fractional_anisotropy(truth[0]) > _WHITE)
    kurtosis = mean_kurtosis(images, clean, white)
    rows = []
    for name, denoise in methods(model).items():
        dwi = denoise(images)
        row: dict[str, Any] = {"case": f"simulated, kurtosis {KURTOSIS:g}, SNR {SNR:g}", "method": name}
        row |= tensor_scores(eigen(first, dwi[..., low]), truth)
        row["mk_mae"] = float(np.abs(mean_kurtosis(images, dwi, white) - kurtosis).mean())
        for b in SHELLS:
            error = (dwi - clean)[images.mask][:, np.abs(images.bvals - b) < 50]
            row[f"rmse_b{b:.0f}"] = float(np.sqrt((error**2).mean()))
        rows.append(row)
    return rows


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


JUDGED = {"real": ("fa_mae", "v1_deg", "peak_deg", "further_deg"), "simulated": ("fa_mae", "v1_deg")}
"""Scores in which ours should be below every peer; in the others of a case, below the raw images."""


def targets_of(rows: list[dict[str, Any]]) -> list[Target]:
    """What ours should reach. MD of the real case is not judged: both halves share the noise of their one b0."""
    targets = []
    for case in dict.fromkeys(row["case"] for row in rows):
        here = {row["method"]: row for row in rows if row["case"] == case}
        mine, raw = here["mvnet"], here["raw"]
        others = [row for name, row in here.items() if not name.startswith("mvnet")]
        judged = JUDGED[case.partition(",")[0]]
        for score in mine:
            if score in judged:
                bound, than = min(row[score] for row in others), "every peer"
            elif score in ("case", "method", "number_right") or case.startswith("real"):
                continue
            else:
                bound, than = raw[score], "raw"
            name = f"{case}: {score} of the denoised DWI below {than}"
            targets.append(Target(name, mine[score], f"< {bound:.4g}", mine[score] < bound))
    return targets


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """Rows of both cases (the real one where MVNET_DATA is), and targets."""
    rows, data = [], os.environ.get("MVNET_DATA")
    if data:
        slices = QUICK_SLICES if setup.quick else SLICES
        rows += real_rows(setup.model, sherbrooke(Path(data), slices), setup.quick)
    rows += simulated_rows(setup.model, setup.quick)
    return rows, targets_of(rows)
