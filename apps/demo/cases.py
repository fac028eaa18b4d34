"""The two volumes of `mvnet demo`, each a DWI and what to compare with. No download, seconds to make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Case:
    """A DWI to denoise and the tensors it is measured against.

    stem: of the file names.  about: what it is, and what the reference is, in one sentence.
    dwi: (X, Y, Z, M).  bvals: (M,) s/mm^2.  bvecs: (M, 3), voxel axes.  mask: (X, Y, Z) bool, n voxels set.
    affine: (4, 4).  sigma: noise level of the signal, as given to the peers that ask for it.
    reference: (n, 3, 3) mm^2/s, voxel axes.
    """

    stem: str
    about: str
    dwi: np.ndarray
    bvals: np.ndarray
    bvecs: np.ndarray
    mask: np.ndarray
    affine: np.ndarray
    sigma: float
    reference: np.ndarray

    def save(self, folder: Path) -> Path:
        """Write `<stem>_dwi.nii.gz`, .bval, .bvec and `<stem>_mask.nii.gz`; returns the DWI's path."""
        import nibabel

        base = folder / f"{self.stem}_dwi"
        nibabel.save(nibabel.Nifti1Image(self.dwi.astype(np.float32), self.affine), f"{base}.nii.gz")
        mask = nibabel.Nifti1Image(self.mask.astype(np.uint8), self.affine)
        nibabel.save(mask, folder / f"{self.stem}_mask.nii.gz")
        np.savetxt(f"{base}.bval", self.bvals[None], fmt="%.6g")
        np.savetxt(f"{base}.bvec", self.bvecs.T, fmt="%.8f")
        return Path(f"{base}.nii.gz")

    def names(self) -> list[str]:
        """The names `save` writes."""
        return [f"{self.stem}_dwi{end}" for end in (".nii.gz", ".bval", ".bvec")] + [f"{self.stem}_mask.nii.gz"]


def real_case(directions: int = 20, part: slice = slice(None)) -> Case:
    """Five slices of an in-vivo brain, 64 directions at b = 1000 s/mm^2, one b0; its source is told beside the data.

    Input: the b0 and `directions` spread directions. Reference: the fit of the b0 and the other directions. part: of
    the sagittal planes, all by default.
    """
    import nibabel
    import torch

    from mvnet.apps.demo.peers import fit
    from mvnet.data_loaders.dti.gradients import is_b0
    from mvnet.data_loaders.dti.simulation.schemes import spread_directions

    image = nibabel.Nifti1Image.from_filename(_DATA / "sherbrooke.nii.gz").slicer[part]
    dwi = np.asarray(image.dataobj, dtype=np.float64)
    bvals, bvecs = np.loadtxt(_DATA / "sherbrooke.bval"), np.loadtxt(_DATA / "sherbrooke.bvec").T
    base, weighted = np.flatnonzero(is_b0(bvals)), np.flatnonzero(~is_b0(bvals))
    chosen = weighted[spread_directions(torch.from_numpy(bvecs[weighted]), directions)]
    shown, hidden = np.concatenate([base, chosen]), np.concatenate([base, np.setdiff1d(weighted, chosen)])
    mask = _brain(dwi.mean(-1))
    reference = fit(dwi[..., hidden], bvals[hidden], bvecs[hidden], mask)
    return Case(
        stem="real",
        about=(
            f"Five slices of a raw scan of a brain ({' x '.join(map(str, mask.shape))} voxels of 1.8 mm), which no "
            "weight has seen; St-Jean et al., Med. Image Anal. 32 (2016) 115, CIMS and SCIL, Sherbrooke, "
            "CC BY 4.0, cropped. "
            f"Input: b0 and {directions} of {len(weighted)} directions. There is no truth: the reference is "
            f"the raw fit of the {len(hidden) - len(base)} directions left out, which has noise of its own "
            "and shares the b0 with the input."
        ),
        dwi=dwi[..., shown],
        bvals=bvals[shown],
        bvecs=bvecs[shown],
        mask=mask,
        affine=np.asarray(image.affine),
        sigma=_residual_sigma(dwi, bvals, bvecs, mask),
        reference=reference,
    )


def _brain(mean: np.ndarray) -> np.ndarray:
    """The largest piece above 0.4 of a bright voxel of the mean over all volumes, and its holes."""
    from scipy import ndimage

    labelled: Any = ndimage.label(mean > 0.4 * np.quantile(mean, 0.75))
    pieces: np.ndarray = labelled[0]
    largest = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    return np.stack([np.asarray(ndimage.binary_fill_holes(plane)) for plane in np.moveaxis(largest, 2, 0)], 2)


def simulated_case(
    shape: tuple[int, int, int] = (36, 44, 14), directions: int = 30, snr: float = 12.0, seed: int = 2024
) -> Case:
    """A simulated brain with Rician noise; the reference is the truth."""
    import torch

    from mvnet.data_loaders.dti.simulation import gradient_scheme, simulate_brain, simulate_dwi
    from mvnet.linalg import sym3

    tensors, mask, s0 = simulate_brain(shape, seed=seed)
    bvals, bvecs = gradient_scheme(directions, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    dwi, sigma = simulate_dwi(tensors, s0, bvals, bvecs, snr=snr, generator=generator)
    truth = sym3.unpack(tensors[:, mask].T.contiguous(), dim=-1).double().numpy() * 1e-3
    return Case(
        stem="simulated",
        about=(
            f"Simulated brain ({' x '.join(map(str, shape))} voxels), {directions} directions at "
            f"b = 1000 s/mm^2, Rician noise at SNR {snr:g} in white matter. The reference is the truth."
        ),
        dwi=dwi.double().numpy(),
        bvals=bvals.double().numpy(),
        bvecs=bvecs.double().numpy(),
        mask=mask.numpy(),
        affine=np.diag([2.0, 2.0, 2.0, 1.0]),
        sigma=float(sigma),
        reference=truth,
    )


def _residual_sigma(dwi: np.ndarray, bvals: np.ndarray, bvecs: np.ndarray, mask: np.ndarray) -> float:
    """Noise level of a scan: median over voxels of the standard deviation of the tensor fit's residuals."""
    from mvnet.apps.demo.peers import fit

    signal, tensors = dwi[mask], fit(dwi, bvals, bvecs, mask)
    decay = np.exp(-bvals * np.einsum("mi,nij,mj->nm", bvecs, tensors, bvecs))
    s0 = (signal * decay).sum(1, keepdims=True) / (decay**2).sum(1, keepdims=True)  # least squares
    freedom = len(bvals) - 7
    return float(np.median(np.sqrt(((signal - s0 * decay) ** 2).sum(1) / freedom)))
