"""What `mvnet denoise dti` computes, from arrays: read, fit, denoise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from mvnet.api import denoise_dti
from mvnet.data_loaders.dti import DTIVolume, load_dwi, load_tensors
from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.linalg import sym3
from mvnet.models import DTIDenoiser
from mvnet.models.checkpoint import find_model
from mvnet.models.dti.certified.network import CertifiedDenoiser

Network = DTIDenoiser | CertifiedDenoiser


@dataclass(frozen=True)
class Scan:
    """A DWI: dwi (X, Y, Z, M), bvals (M,) s/mm^2, bvecs (M, 3) in voxel axes, mask (X, Y, Z), spacing in mm."""

    dwi: np.ndarray
    bvals: np.ndarray
    bvecs: np.ndarray
    mask: np.ndarray
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def with_dwi(self, dwi: np.ndarray) -> Scan:
        return Scan(dwi, self.bvals, self.bvecs, self.mask, self.spacing)

    def with_volumes(self, index: np.ndarray) -> Scan:
        return Scan(self.dwi[..., index], self.bvals[index], self.bvecs[index], self.mask, self.spacing)


class Denoised(NamedTuple):
    """In the n voxels of the mask: tensors before and after (n, 3, 3) in mm^2/s, expected error (n,); the volume.

    The error is NaN from the certified network, which does not estimate it.
    """

    raw: np.ndarray
    tensors: np.ndarray
    error: np.ndarray
    volume: DTIVolume


def shipped_or(path: str | None) -> DTIDenoiser:
    """The network of a checkpoint; None takes the shipped one."""
    model, _ = find_model(path or "dti")
    assert isinstance(model, DTIDenoiser)
    return model


def certified() -> CertifiedDenoiser:
    """The shipped network that cannot amplify."""
    model, _ = find_model("certified")
    assert isinstance(model, CertifiedDenoiser)
    return model


def denoised(model: Network, scan: Scan, options: FitOptions | None = None, **how: Any) -> Denoised:
    """The way of a DWI through the command line; `how` goes to `denoise_loaded`."""
    from nibabel.nifti1 import Nifti1Image

    image = Nifti1Image(scan.dwi.astype(np.float32), np.diag([*scan.spacing, 1.0]))
    options = FitOptions() if options is None else options
    volume = load_dwi(image, scan.bvals, scan.bvecs, mask=scan.mask, bvec_frame="voxel", options=options)
    return _denoised(model, volume, scan.mask, how)


def denoised_tensors(model: Network, tensors: np.ndarray, scan: Scan, **how: Any) -> Denoised:
    """The way of a tensor file, without any map of noise: tensors (n, 3, 3) in mm^2/s of the scan's mask."""
    from nibabel.nifti1 import Nifti1Image

    i, j = np.array([0, 0, 1, 0, 1, 2]), np.array([0, 1, 1, 2, 2, 2])
    values = np.zeros((*scan.mask.shape, 6), dtype=np.float32)
    values[scan.mask] = tensors[:, i, j]  # xx xy yy xz yz zz
    image = Nifti1Image(values, np.diag([*scan.spacing, 1.0]))
    volume = load_tensors(image, order="dipy", unit="mm2/s", frame="voxel", mask=scan.mask)
    return _denoised(model, volume, scan.mask, how)


def _denoised(model: Network, volume: DTIVolume, mask: np.ndarray, how: dict[str, Any]) -> Denoised:
    found = denoise_dti(volume, model=model, device="cpu", **how)
    error = np.full(mask.sum(), np.nan) if found.error is None else found.error.numpy()[mask]
    return Denoised(_matrices(volume.tensors, mask), _matrices(found.tensors, mask), error, volume)


def _matrices(planes: Tensor, mask: np.ndarray) -> np.ndarray:
    """(6, X, Y, Z) in um^2/ms -> (n, 3, 3) in mm^2/s."""
    return sym3.unpack(planes[:, mask], dim=0).double().numpy() * 1e-3
