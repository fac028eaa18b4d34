"""From diffusion-weighted images to a tensor volume.

volumes chosen (shells)  ->  weighted least squares  ->  outlier slices weigh less, fit again (robust)
->  noise level  ->  weak signals fitted again (rician)  ->  error of the fit (maps)  ->  positive definite (repair)
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.dti.fibre_coherence import check_frame
from mvnet.data_loaders.dti.fit.maps import measure_error
from mvnet.data_loaders.dti.fit.missing import EXTREME, describe_outliers, describe_partial, drop_blank, is_measured
from mvnet.data_loaders.dti.fit.noise_level import estimate_noise, read_noise
from mvnet.data_loaders.dti.fit.rician import correct_floor
from mvnet.data_loaders.dti.fit.robust import weigh_slices
from mvnet.data_loaders.dti.fit.scan import Fit, Progress, Scan, fit_slices
from mvnet.data_loaders.dti.fit.shells import Selection, select_volumes
from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.formats.dwi_image import open_scan
from mvnet.data_loaders.dti.frames import candidate_axes, rotate
from mvnet.data_loaders.dti.masks import MaskLike, brain_mask, read_mask
from mvnet.data_loaders.dti.nifti import name_of, read_array
from mvnet.data_loaders.dti.repair import repair
from mvnet.data_loaders.dti.volume import Acquisition, DTIVolume, RepairReport
from mvnet.data_loaders.errors import DataError

_DEFAULTS = FitOptions()
_FLOOR = 1e-3  # smallest signal for the logarithm, of the median b0
_FARTHEST = 12.0  # natural logarithms of S0 from the median b0 at which a fit means nothing


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
        DataError: unreadable file, not 4-D, counts that differ, no b0, too few directions, wrong mask or noise map, no
            finite signal.
    """
    scan = open_scan(path, bval, bvec, options)
    image, gradients, path = scan.image, scan.gradients, name_of(path)
    given = None if options.noise is None else read_noise(options.noise, image.shape[:3], image.affine)
    options = replace(options, noise=given, rician=options.rician and not scan.signed)
    chosen = select_volumes(gradients.bvals, gradients.bvecs, options, gradients.usable)
    axes = candidate_axes(bvec_frame, scan.frame or "fsl", image.affine, scan.as_voxel)
    inside, messages = (None, []) if mask is None else read_mask(mask, image.shape[:3], image.affine)
    dwi = read_array(image, path)
    b0 = _mean_b0(dwi, chosen.b0, path)
    if inside is None:
        inside = brain_mask(b0)

    tensors, report, maps = fit_signals(dwi, gradients.bvals, gradients.bvecs, inside, progress, options, chosen)
    zooms = image.header.get_zooms()[:3]
    sure = bvec_frame is not None
    frame, matrix, found = check_frame(tensors, inside, zooms, axes, given=sure, fix=options.fix_bvecs)
    return DTIVolume(
        tensors=rotate(tensors, matrix),
        mask=inside,
        affine=np.array(image.affine),
        header=image.header.copy(),
        order="fsl",
        unit="mm2/s",
        frame=frame,
        report=replace(report, messages=[*scan.messages, *messages, *report.messages, *found]),
        acquisition=replace(maps, bvecs=gradients.bvecs @ matrix.T),
    )


def fit_signals(
    dwi: np.ndarray,
    bvals: np.ndarray,
    bvecs: np.ndarray,
    mask: Tensor,
    progress: Progress | None = None,
    options: FitOptions = _DEFAULTS,
    chosen: Selection | None = None,
) -> tuple[Tensor, RepairReport, Acquisition]:
    """Tensors, made positive definite, and noise maps of signals already in memory.

    Args:
        dwi: (X, Y, Z, M) float32.
        bvals, bvecs: (M,) in s/mm^2 and (M, 3).
        mask: (X, Y, Z) bool.
        progress: called with (voxels fitted, voxels in the mask).
        options: which volumes are fitted, and how.
        chosen: the volumes, when `select_volumes` was asked already.
    Returns:
        (6, X, Y, Z) Mandel, um^2/ms, in the axes of the b-vectors; what was repaired; the acquisition.
    Raises:
        DataError: when no voxel in the mask has a positive b0, or a finite signal.
    """
    given = None if options.noise is None else read_noise(options.noise, tuple(mask.shape))
    chosen = select_volumes(bvals, bvecs, options) if chosen is None else chosen
    inside = mask.numpy()
    used, weights, outliers = drop_blank(dwi, inside, bvecs, chosen)
    typical = _typical_signal(mean_of_finite(dwi, used & chosen.b0), mask)
    columns = np.flatnonzero(used)
    b0 = chosen.b0[columns]
    scan = Scan(dwi, columns, bvals[columns], bvecs[columns], b0, inside, _FLOOR * typical, weights[:, columns])

    fit = Fit(tuple(mask.shape))
    partial = fit_slices(scan, fit, scan.slices, progress)
    if not fit.tensors.isfinite().any():
        raise DataError("signals: found no voxel in the mask whose finite volumes determine a tensor, expected some")
    if options.robust:
        outliers += weigh_slices(scan, fit)
    known = mask & ((fit.log_s0 - np.log(typical)).abs() < _FARTHEST)  # NaN compares false
    level = estimate_noise(scan, fit, known, typical, given)
    if options.rician:
        correct_floor(scan, fit, level.sigma)
    error = measure_error(scan, fit, known, level, magnitudes=options.rician)
    tensors, report = repair(fit.tensors, mask, error.deviation)
    s0 = torch.where(known, fit.log_s0, -torch.inf).exp()
    messages = [*chosen.messages, *describe_outliers(outliers), *describe_partial(partial, mask), *level.messages]
    maps = (s0, error.noise(tensors), error.residual, error.sigma)
    acquisition = Acquisition(*maps, dwi, bvals, bvecs, used, tuple(outliers))
    return tensors, replace(report, messages=messages + report.messages), acquisition


def mean_of_finite(dwi: np.ndarray, volumes: np.ndarray) -> np.ndarray:
    """(X, Y, Z) mean of the finite values of some volumes (M,) bool that are not empty; NaN where there is none."""
    total, count = np.zeros((2, *dwi.shape[:3]), dtype=np.float32)
    for m in np.flatnonzero(volumes):
        image = dwi[..., m]
        finite = is_measured(image)
        if (image[finite] > 0).any():
            total += np.where(finite, image, 0)
            count += finite
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _mean_b0(dwi: np.ndarray, volumes: np.ndarray, path: str | Path) -> np.ndarray:
    """(X, Y, Z) mean of the volumes without weighting, wherever they stand."""
    if not is_measured(dwi[..., volumes]).any():
        raise DataError(f"{path}: found no finite b0 signal below {EXTREME:g}, expected some")
    b0 = mean_of_finite(dwi, volumes)
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
    if not 1 / EXTREME < typical < EXTREME:
        raise DataError(f"signals: found a median b0 of {typical:.3g}, expected between 1e-12 and 1e12")
    return typical
