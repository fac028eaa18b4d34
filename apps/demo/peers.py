"""Peers of the DTI denoiser and the scores they are compared by; used by `mvnet demo` and by the benchmarks.

Every peer of `denoisers` cleans the diffusion-weighted signal; `fit` then gives its tensors, so that all
share one fit. `log_gauss` smooths tensors directly. Tensors here are (n, 3, 3) arrays in mm^2/s, one row
per voxel of the mask, in C order.

How each peer of DIPY 1.12.1 is called, and why (tried on a slab of an in-vivo brain with 65 volumes,
simulated and real noise):

    mppca       defaults (patch radius 2). Voxels that no patch covers come back NaN: they keep the noisy
                signal.
    localpca    the true noise level, patch radius 2; NaN as above.
    patch2self  version 3, ordinary least squares, on the voxels of the mask. The b0 volumes are kept, moved
                to the front, and padded with copies of the first one to a multiple of five volumes: that
                version replaces a b0 it does not denoise by the first volumes of the file (b0 last:
                affine-invariant RMSE 3.2 instead of 0.15), and lets the last volumes overwrite each other
                unless five divides their number. Version 1 predicts from data that its regression has
                centred in place (2.2; 0.15 when that is undone). The random sketch is seeded.
    nlmeans     method "classic", patch radius 1, block radius 2, Rician. The default method "blockwise"
                gives 0.53 where this one gives 0.14 (SNR 30). Given the true noise level it is best at SNR
                8, given 0.7 of it at SNR 15 and 30: both are listed.

`dwidenoise` of MRtrix is listed where it is installed, with its defaults (3.0.3: patches of at least as many
voxels as volumes, its own noise level).
"""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

Denoiser = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float], np.ndarray]

EIGENVALUE_RANGE = (1e-4, 4e-3)  # mm^2/s
GAUSS_WIDTHS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 1.2)  # voxels


# ---------------------------------------------------------------------------------------------- tensors
def _spectral(tensors: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """V f(w) V^T of symmetric matrices V w V^T, shape (n, 3, 3)."""
    w, v = np.linalg.eigh(0.5 * (tensors + np.swapaxes(tensors, -1, -2)))
    return (v * function(w)[..., None, :]) @ np.swapaxes(v, -1, -2)


def fit(dwi: np.ndarray, bvals: np.ndarray, bvecs: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Weighted least-squares tensors of DIPY, eigenvalues clipped to [1e-4, 4e-3] mm^2/s.

    Args:
        dwi: signal, shape (X, Y, Z, M); values below 1e-3 count as 1e-3.
        bvals: shape (M,), s/mm^2.  bvecs: shape (M, 3), unit vectors.
        mask: bool, shape (X, Y, Z), n voxels set.
    Returns:
        shape (n, 3, 3), mm^2/s, in the frame of the b-vectors.
    """
    from dipy.core.gradients import gradient_table
    from dipy.reconst.dti import TensorModel

    gradients = gradient_table(bvals, bvecs=bvecs, b0_threshold=50)
    signal = np.maximum(dwi[mask], 1e-3)  # (n, M)
    tensors = TensorModel(gradients, fit_method="WLS").fit(signal).quadratic_form
    return _spectral(tensors, lambda w: np.clip(w, *EIGENVALUE_RANGE))


def log_gauss(tensors: np.ndarray, mask: np.ndarray, width: float) -> np.ndarray:
    """Log-Euclidean Gaussian filter: exp of the normalised convolution of the logarithms inside the mask.

    Args:
        tensors: positive definite, shape (n, 3, 3).  mask: bool, shape (X, Y, Z), n voxels set.
        width: standard deviation in voxels.
    Returns:
        shape (n, 3, 3).
    Source: Arsigny et al., Magn. Reson. Med. 56 (2006) 411-421.
    """
    from scipy.ndimage import gaussian_filter

    logs, smooth = _spectral(tensors, np.log), np.empty_like(tensors)
    weight = gaussian_filter(mask.astype(float), width)[mask]
    for i, j in zip(*np.triu_indices(3), strict=True):
        plane = np.zeros(mask.shape)
        plane[mask] = logs[:, i, j]
        smooth[:, i, j] = smooth[:, j, i] = gaussian_filter(plane, width)[mask] / weight
    return _spectral(smooth, np.exp)


def fractional_anisotropy(eigenvalues: np.ndarray) -> np.ndarray:
    """FA = sqrt(3/2) |w - mean w| / |w| of eigenvalues (n, 3)."""
    spread = eigenvalues - eigenvalues.mean(-1, keepdims=True)
    return np.sqrt(1.5 * (spread**2).sum(-1) / (eigenvalues**2).sum(-1))


def scores(tensors: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """How far tensors are from the truth, both positive definite (n, 3, 3) in the same unit and frame.

    Written in numpy apart from `mvnet.metrics`: who judges shares no code with who is judged.

    Returns:
        ai_rmse  root mean square of the affine-invariant distance |log(T^-1/2 D T^-1/2)|_F
        fa_mae   mean absolute error of the fractional anisotropy
        v1_deg   median angle of principal directions, degrees, where the truth's FA > 0.3 (nan if nowhere)
        dev_rmse root mean square Frobenius norm of the traceless part of log D - log T
    """
    root = np.linalg.inv(np.linalg.cholesky(truth))  # L^-1 D L^-T has the eigenvalues of T^-1 D
    relative = np.log(np.linalg.eigvalsh(root @ tensors @ np.swapaxes(root, -1, -2)))
    (w, v), (w_true, v_true) = np.linalg.eigh(tensors), np.linalg.eigh(truth)
    fa, fa_true = fractional_anisotropy(w), fractional_anisotropy(w_true)
    cosine = np.abs((v[..., 2] * v_true[..., 2]).sum(-1))[fa_true > 0.3]
    difference = _spectral(tensors, np.log) - _spectral(truth, np.log)
    difference -= np.trace(difference, axis1=-2, axis2=-1)[..., None, None] / 3 * np.eye(3)
    return {
        "ai_rmse": float(np.sqrt((relative**2).sum(-1).mean())),
        "fa_mae": float(np.abs(fa - fa_true).mean()),
        "v1_deg": float(np.degrees(np.median(np.arccos(np.clip(cosine, 0, 1))))) if cosine.size else float("nan"),
        "dev_rmse": float(np.sqrt((difference**2).sum((-2, -1)).mean())),
    }


# ---------------------------------------------------------------------------------------------- peers
@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No warnings and no progress bars of the peers."""
    with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """Seed numpy's global generator, which a peer draws from, and give it back as it was."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


def _finite(result: np.ndarray, dwi: np.ndarray) -> np.ndarray:
    """The result, and the noisy signal where it is not finite."""
    return np.where(np.isfinite(result), result, dwi)


def dipy_mppca(dwi: np.ndarray, bvals: np.ndarray, bvecs: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    """Marchenko-Pastur PCA; it estimates the noise level itself."""
    from dipy.denoise.localpca import mppca

    with _quiet():
        return _finite(np.asarray(mppca(dwi, mask=mask, patch_radius=2)), dwi)


def dipy_localpca(dwi: np.ndarray, bvals: np.ndarray, bvecs: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    """Local PCA with the noise level given."""
    from dipy.denoise.localpca import localpca

    with _quiet():
        level = np.full(mask.shape, float(sigma))
        return _finite(np.asarray(localpca(dwi, sigma=level, mask=mask, patch_radius=2)), dwi)


def dipy_patch2self(
    dwi: np.ndarray, bvals: np.ndarray, bvecs: np.ndarray, mask: np.ndarray, sigma: float
) -> np.ndarray:
    """Patch2Self on the voxels of the mask, at least 20 of them; the head of the file says why like this."""
    from dipy.denoise.patch2self import patch2self

    b0, weighted = np.flatnonzero(bvals <= 50), np.flatnonzero(bvals > 50)
    extra = -len(bvals) % 5
    order = np.concatenate([np.repeat(b0[:1], extra), b0, weighted])
    inside = dwi[mask]  # (n, M); rows repeated up to a multiple of 4 form a volume without a side of length 1
    rows = np.arange(-(-len(inside) // 4) * 4) % len(inside)
    volume = inside[rows][:, order].reshape(-1, 2, 2, len(order))
    with _quiet(), _numpy_seed(0):
        clean = np.asarray(patch2self(volume, bvals[order], model="ols", version=3, b0_denoising=False))
    result, flat = dwi.copy(), np.empty_like(inside)
    flat[:, order[extra:]] = clean.reshape(-1, len(order))[: len(inside), extra:]
    result[mask] = flat
    return _finite(result, dwi)


def dipy_nlmeans(
    dwi: np.ndarray,
    bvals: np.ndarray,
    bvecs: np.ndarray,
    mask: np.ndarray,
    sigma: float,
    *,
    factor: float = 1.0,
) -> np.ndarray:
    """Classic non-local means, volume by volume, given `factor` times the noise level."""
    from dipy.denoise.nlmeans import nlmeans

    level = np.full(dwi.shape[-1], factor * float(sigma))
    with _quiet():
        clean = nlmeans(dwi, level, mask=mask, patch_radius=1, block_radius=2, rician=True, method="classic")
    return _finite(np.asarray(clean), dwi)


def mrtrix_dwidenoise(
    dwi: np.ndarray, bvals: np.ndarray, bvecs: np.ndarray, mask: np.ndarray, sigma: float
) -> np.ndarray:
    """Marchenko-Pastur PCA of MRtrix, which estimates the noise level itself and looks beyond the mask."""
    return mrtrix_noise(dwi)[0]


def mrtrix_noise(dwi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `dwidenoise` and its option -noise write: signals (X, Y, Z, M) and the noise level (X, Y, Z)."""
    from nibabel.nifti1 import Nifti1Image

    with tempfile.TemporaryDirectory() as folder:
        given, clean, noise = (Path(folder) / f"{name}.nii" for name in ("given", "clean", "noise"))
        Nifti1Image(np.asarray(dwi, dtype=np.float32), np.eye(4)).to_filename(given)
        command = ["dwidenoise", given, clean, "-noise", noise, "-quiet", "-nthreads", "0"]
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
        found, level = (
            np.asarray(Nifti1Image.from_filename(file).dataobj, dtype=np.float64) for file in (clean, noise)
        )
    return _finite(found, dwi), level


denoisers: dict[str, Denoiser] = {
    "DIPY mppca": dipy_mppca,
    "DIPY localpca": dipy_localpca,
    "DIPY patch2self": dipy_patch2self,
    "DIPY nlmeans": dipy_nlmeans,
    "DIPY nlmeans, 0.7 sigma": partial(dipy_nlmeans, factor=0.7),
}
if shutil.which("dwidenoise"):
    denoisers["MRtrix dwidenoise"] = mrtrix_dwidenoise
