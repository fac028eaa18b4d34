"""From diffusion-weighted images to a tensor volume: DIPY's weighted least squares, slab by slab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.dti.fibre_coherence import check_frame
from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.fitting import acquisition_maps, design_matrix
from mvnet.data_loaders.dti.formats.dwi_image import open_scan
from mvnet.data_loaders.dti.frames import candidate_axes, rotate
from mvnet.data_loaders.dti.gradients import Gradients, b0_limit, is_b0
from mvnet.data_loaders.dti.layouts import find_layout, unit_factor
from mvnet.data_loaders.dti.masks import MaskLike, brain_mask, read_mask
from mvnet.data_loaders.dti.nifti import name_of, read_array
from mvnet.data_loaders.dti.repair import repair
from mvnet.data_loaders.dti.volume import Acquisition, DTIVolume, RepairReport
from mvnet.data_loaders.errors import DataError

_DEFAULTS = FitOptions()
_CHUNK = 8192  # voxels per call: DIPY's weighted fit holds several (chunk, M, 7) float64 arrays
_SLAB, _HALO = 16, 3  # slices; the halo is the radius over which acquisition_maps pools
_FLOOR = 1e-3  # smallest signal for the logarithm, of the median b0
_EXTREME = 1e12  # signals beyond it, or below its inverse, leave float32 when squared
_FARTHEST = 12.0  # natural logarithms of S0 from the median b0 at which a fit means nothing

Progress = Callable[[int, int], None]


def load_dwi(
    path: str | Path | Any,
    bval: str | Path | np.ndarray | None = None,
    bvec: str | Path | np.ndarray | None = None,
    mask: MaskLike | None = None,
    bvec_frame: str | None = None,
    progress: Progress | None = None,
    options: FitOptions = _DEFAULTS,
) -> DTIVolume:
    """Read a DWI and fit tensors.

    Args:
        path: DWI (X, Y, Z, M), a file, a nibabel image or an array; complex ones lose their phase.
        bval, bvec: FSL text files (rows or columns) or arrays; b in s/mm^2. None takes those in the image's own file.
        mask: NIfTI or array; None makes one from the mean b0.
        bvec_frame: axes of the b-vectors, "fsl", "voxel" or "world"; None follows FSL's rule, unless the
            fibres are clearly more coherent in voxel axes.
        progress: called with (voxels fitted, voxels in the mask).
        options: which volumes are fitted, and how.
    Returns:
        the volume in um^2/ms and voxel axes, with its acquisition; written back as FSL components in mm^2/s,
        in the b-vector axes.
    Raises:
        DataError: unreadable file, not 4-D, counts that differ, no b0, too few directions, wrong mask, no
            finite signal.
    """
    scan = open_scan(path, bval, bvec, options)
    image, gradients, path = scan.image, scan.gradients, name_of(path)
    axes = candidate_axes(bvec_frame, scan.frame or "fsl", image.affine, scan.as_voxel)
    inside, messages = (None, []) if mask is None else read_mask(mask, image.shape[:3], image.affine)
    dwi = read_array(image, path)
    b0 = _mean_b0(dwi, gradients, path)
    if inside is None:
        inside = brain_mask(b0)

    used, bvals, bvecs = gradients.usable, gradients.bvals, gradients.bvecs
    signals = dwi if used.all() else dwi[..., used]
    tensors, report, maps = fit_signals(signals, bvals[used], bvecs[used], inside, progress)
    zooms = image.header.get_zooms()[:3]
    given = bvec_frame is not None
    frame, matrix, found = check_frame(tensors, inside, zooms, axes, given=given, fix=options.fix_bvecs)
    return DTIVolume(
        tensors=rotate(tensors, matrix),
        mask=inside,
        affine=np.array(image.affine),
        header=image.header.copy(),
        order="fsl",
        unit="mm2/s",
        frame=frame,
        report=replace(report, messages=[*scan.messages, *messages, *report.messages, *found]),
        acquisition=replace(maps, dwi=dwi, bvals=bvals, bvecs=bvecs @ matrix.T, used=used),
    )


def fit_signals(
    dwi: np.ndarray, bvals: np.ndarray, bvecs: np.ndarray, mask: Tensor, progress: Progress | None = None
) -> tuple[Tensor, RepairReport, Acquisition]:
    """Tensors, made positive definite, and noise maps of signals already in memory.

    Args:
        dwi: (X, Y, Z, M) float32.
        bvals, bvecs: (M,) in s/mm^2 and (M, 3).
        mask: (X, Y, Z) bool.
    Returns:
        (6, X, Y, Z) Mandel, um^2/ms, in the axes of the b-vectors; what was repaired; the acquisition.
    Raises:
        DataError: when no voxel in the mask has a positive b0, or a finite signal.
    """
    typical = _typical_signal(dwi[..., is_b0(bvals)].mean(-1), mask)
    log_s0, fitted = fit_dipy(dwi, bvals, bvecs, mask, _FLOOR * typical, progress)
    if not fitted.isfinite().any():
        raise DataError("signals: found no voxel in the mask that is finite in every volume, expected some")
    tensors, report = repair(fitted, mask)
    known = mask & ((log_s0 - np.log(typical)).abs() < _FARTHEST)  # NaN compares false
    return tensors, report, _acquisition(dwi, bvals, bvecs, tensors, log_s0, known)


def _mean_b0(dwi: np.ndarray, gradients: Gradients, path: str | Path) -> np.ndarray:
    """(X, Y, Z) mean of the volumes without weighting, wherever they stand."""
    b0 = dwi[..., gradients.is_b0].mean(-1)
    if not np.isfinite(b0).any():
        raise DataError(f"{path}: found no finite b0 signal, expected some")
    if not (b0 > 0).any():
        raise DataError(f"{path}: found no positive b0 signal, expected some")
    return b0


def _typical_signal(b0: np.ndarray, inside: Tensor) -> float:
    """Median positive b0 in the mask."""
    values = b0[inside.numpy()]
    values = values[np.isfinite(values) & (values > 0)]
    if values.size == 0:
        raise DataError("mask: found no voxel with a positive b0 signal, expected some")
    typical = float(np.median(values))
    if not 1 / _EXTREME < typical < _EXTREME:
        raise DataError(f"signals: found a median b0 of {typical:.3g}, expected between 1e-12 and 1e12")
    return typical


def fit_dipy(
    dwi: np.ndarray,
    bvals: np.ndarray,
    bvecs: np.ndarray,
    mask: Tensor,
    floor: float,
    progress: Progress | None = None,
) -> tuple[Tensor, Tensor]:
    """DIPY's two-pass WLS (Chung et al., 2006) over the voxels of a mask, its eigenvalues not clipped.

    Args:
        dwi: (X, Y, Z, M).
        bvals, bvecs: (M,) in s/mm^2 and (M, 3).
        mask: (X, Y, Z) bool.
        floor: signals below it count as this.
    Returns:
        log S0 (X, Y, Z) and tensors (6, X, Y, Z), Mandel, um^2/ms; NaN outside the mask and where the signal
        is not finite or zero throughout.
    """
    from dipy.core.gradients import gradient_table
    from dipy.reconst.dti import design_matrix as dipy_design
    from dipy.reconst.dti import wls_fit_tensor

    table = gradient_table(bvals, bvecs=bvecs, b0_threshold=int(b0_limit(bvals)))
    design = dipy_design(table)  # columns xx xy yy xz yz zz, -log S0
    parameters = np.full((*mask.shape, 7), np.nan, dtype=np.float32)
    inside = mask.numpy()
    done, total = 0, int(mask.sum())
    for z in range(mask.shape[2]):
        here = inside[:, :, z]
        signal = dwi[:, :, z][here]  # (n, M)
        result = np.full((len(signal), 7), np.nan, dtype=np.float32)
        good = np.isfinite(signal).all(1) & (signal > 0).any(1)
        usable = np.maximum(signal[good], floor).astype(np.float64)
        pieces = [
            wls_fit_tensor(design, usable[i : i + _CHUNK], return_lower_triangular=True)[0]
            for i in range(0, len(usable), _CHUNK)
        ]
        if pieces:
            result[good] = np.concatenate(pieces)
        parameters[:, :, z][here] = result
        done += len(signal)
        if progress is not None and len(signal):
            progress(done, total)
    tensors = find_layout("dipy").to_mandel(parameters[..., :6]) * unit_factor("mm2/s")
    return torch.from_numpy(-parameters[..., 6]), tensors


def _acquisition(
    dwi: np.ndarray, bvals: np.ndarray, bvecs: np.ndarray, tensors: Tensor, log_s0: Tensor, known: Tensor
) -> Acquisition:
    """Noise maps of the `known` voxels, in slabs with a halo so that memory does not grow with the volume."""
    design = design_matrix(torch.as_tensor(bvals).float(), torch.as_tensor(bvecs).float())
    noise, residual, sigma = (torch.zeros(known.shape) for _ in range(3))
    depth = known.shape[2]
    for start in range(0, depth, _SLAB):
        low, high = max(0, start - _HALO), min(depth, start + _SLAB + _HALO)
        here = known[:, :, low:high].contiguous()
        signal = torch.from_numpy(dwi[:, :, low:high][here.numpy()])
        maps = acquisition_maps(
            signal,
            tensors[:, :, :, low:high][:, here].T,
            log_s0[:, :, low:high][here],
            design,
            here,
            radius=_HALO,
        )
        keep = slice(start - low, start - low + min(_SLAB, depth - start))
        for whole, part in ((noise, maps.noise), (residual, maps.residual), (sigma, maps.sigma)):
            whole[:, :, start : start + _SLAB] = part[:, :, keep]
    b0 = torch.where(known, log_s0, -torch.inf).exp()
    return Acquisition(b0, noise, residual, sigma, dwi, bvals, bvecs, np.ones(len(bvals), dtype=bool))
