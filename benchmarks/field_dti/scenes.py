"""Scenes of the parts: tensors (X, Y, Z, 3, 3) in um^2/ms, signals without weighting, magnitude images of them."""

from __future__ import annotations

from functools import cache

import numpy as np

from benchmarks.dti.ours import Scan
from mvnet.data_loaders.dti.simulation import gradient_scheme, simulate_brain
from mvnet.linalg import sym3

SIGNAL = 1000.0  # of white matter without weighting


def scheme(n: int = 30, b: float = 1000.0, n_b0: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """b-values (M,) in s/mm^2 and unit vectors (M, 3), b0 first."""
    bvals, bvecs = gradient_scheme(n, b, n_b0, seed)
    return bvals.double().numpy(), bvecs.double().numpy()


def shells(*bvals: float, n: int = 30, n_b0: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """A scheme of several shells, n directions each."""
    parts = [scheme(n, b, n_b0 if k == 0 else 1, seed=k) for k, b in enumerate(bvals)]
    kept = [part if k == 0 else (part[0][1:], part[1][1:]) for k, part in enumerate(parts)]
    return np.concatenate([b for b, _ in kept]), np.concatenate([g for _, g in kept])


def signals(
    tensors: np.ndarray, s0: np.ndarray, bvals: np.ndarray, bvecs: np.ndarray, kurtosis: float = 0.0
) -> np.ndarray:
    """S0 exp(-x + K x^2 / 6), x = b g^T D g, without noise: (X, Y, Z, M). With kurtosis x ends at 3, where S turns."""
    x = 1e-3 * bvals * np.einsum("mi,...ij,mj->...m", bvecs, tensors, bvecs, optimize=True)
    if kurtosis:
        x = np.minimum(x, 3 / kurtosis)
    return s0[..., None] * np.exp(-x + kurtosis * x**2 / 6)


def rician(clean: np.ndarray, sigma: float, seed: int, blur: float = 0.0) -> np.ndarray:
    """|clean + complex noise| of standard deviation sigma per channel.

    blur: width in voxels of a Gaussian that correlates the noise, which keeps its deviation.
    """
    random = np.random.default_rng(seed)

    def noise() -> np.ndarray:
        white = random.standard_normal(clean.shape)
        if blur:
            from scipy.ndimage import gaussian_filter

            white = gaussian_filter(white, (blur, blur, blur, 0))
            white /= white.std()
        return sigma * white

    return np.hypot(clean + noise(), noise())


def axial(direction: np.ndarray, md: float, fa: float) -> np.ndarray:
    """Tensors (..., 3, 3) of a mean diffusivity and an anisotropy around unit vectors (..., 3).

    Eigenvalues md (1 + 2a), md (1 - a), md (1 - a) with a = FA / sqrt(3 - 2 FA^2).
    """
    a = fa / np.sqrt(3 - 2 * fa**2)
    along = direction[..., :, None] * direction[..., None, :]
    return md * ((1 - a) * np.eye(3) + 3 * a * along)


def grid(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Voxel numbers from the centre, (X, Y, Z) each."""
    return np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in shape], indexing="ij")


@cache
def brain(
    seed: int, shape: tuple[int, int, int] = (56, 56, 20), scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tensors, s0 and mask of a part of a simulated adult brain; diffusivities times `scale`, water stays water."""
    found = simulate_brain(shape, seed=seed, semi_axes=(52.0, 52.0, 60.0))
    tensors = sym3.unpack(found.tensors, dim=0).double().numpy()
    if scale != 1:
        w, v = np.linalg.eigh(tensors)
        w = np.where(w < 3 / scale, w * scale, np.maximum(w, 3.0))
        tensors = (v * w[..., None, :]) @ np.swapaxes(v, -1, -2)
    return tensors, SIGNAL * found.s0.double().numpy(), found.mask.numpy()


def noisy_scan(
    tensors: np.ndarray,
    s0: np.ndarray,
    mask: np.ndarray,
    snr: float,
    gradients: tuple[np.ndarray, np.ndarray],
    spacing: tuple[float, float, float] = (2.0, 2.0, 2.0),
    seed: int = 1,
    kurtosis: float = 0.0,
    blur: float = 0.0,
) -> tuple[Scan, Scan, float]:
    """A scan with Rician noise, the same without, and the deviation of the noise, SIGNAL / snr."""
    clean = signals(tensors, np.where(mask, s0, 0.0), *gradients, kurtosis)
    sigma = SIGNAL / snr
    noisy = rician(clean, sigma, seed, blur)
    reference = Scan(np.maximum(clean, 1e-3), *gradients, mask, spacing)
    return reference.with_dwi(noisy), reference, sigma


def fa_of(tensors: np.ndarray) -> np.ndarray:
    from mvnet.apps.demo.peers import fractional_anisotropy

    return fractional_anisotropy(np.linalg.eigvalsh(tensors))


def md_of(tensors: np.ndarray) -> np.ndarray:
    return np.trace(tensors, axis1=-2, axis2=-1) / 3


def ai(tensors: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Affine-invariant distance of every voxel, (n,)."""
    root = np.linalg.inv(np.linalg.cholesky(truth))
    return np.sqrt((np.log(np.linalg.eigvalsh(root @ tensors @ np.swapaxes(root, -1, -2))) ** 2).sum(-1))


def angle(tensors: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Between the principal directions, degrees, (n,)."""
    v, v_true = (np.linalg.eigh(t)[1][..., 2] for t in (tensors, truth))
    return np.degrees(np.arccos(np.clip(np.abs((v * v_true).sum(-1)), 0, 1)))
