"""From denoised tensors back to diffusion-weighted images, for everything that goes on from those.

The fit of a tensor D takes the part P n of the noise n that looks like a tensor out of a measured signal S; what is
left, S - S(D), is the residual. Denoising moves D to D', and the image follows it with its residual kept:

    S' = S + S0 (exp(-b g^T D' g) - exp(-b g^T D g))

In volumes that were fitted this replaces P n by what is left of it. Nothing that a tensor does not describe is touched:
crossings, kurtosis, artefacts, and the noise of the residual stay as they were measured. Volumes outside the fit hold
none of P n; there the same difference would add the error of D (two shells, kurtosis 1, SNR 25: mean kurtosis off by
.129 instead of .112), so that every further shell of six directions or more has a tensor of its own, fitted with the
b0, denoised by the same network, and moved by its own difference (.047). The form S exp(-b g^T (D' - D) g) is worse
throughout: it scales the residual, by more the larger b is (b 2000: root-mean-square error 38.6 against 38.4). Mean
magnitudes in the noise of the voxel instead of the two predictions bring a second fit no nearer to D'.

Volumes without weighting or direction, volumes and slices that a fit gave no weight, and voxels outside the mask are
returned as they are, bit for bit; so is everything where D' = D.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.dti.dwi import fit_signals
from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.fitting import design_matrix
from mvnet.data_loaders.dti.gradients import is_b0
from mvnet.data_loaders.dti.volume import Acquisition, DTIVolume
from mvnet.errors import MvnetError
from mvnet.models.dti.inference import DenoisedVolume

_DEFAULTS = FitOptions()
_FLOOR = 1e-3  # of S0: smallest signal for the logarithm
_FEWEST = 6  # directions of a shell that is fitted
_SAME_SHELL = 50.0, 0.05  # s/mm^2, or a share of b, between neighbours of a shell

Denoise = Callable[[DTIVolume], DenoisedVolume]


@dataclass(frozen=True, eq=False)
class SignalChange:
    """Two tensor fields whose predictions differ by what is to be added to some volumes of a DWI.

    volumes: (M,) bool, the volumes it applies to.
    s0: (n,) fitted signal without weighting of the n voxels in the mask; 0 leaves a voxel as it is.
    before, after: (6, n) tensors, Mandel, um^2/ms, voxel axes.
    """

    volumes: np.ndarray
    s0: Tensor
    before: Tensor
    after: Tensor

    def of(self, row: Tensor) -> Tensor:
        """S0 (exp(r . D') - exp(r . D)).

        Args:
            row: r, the six components of a row of a design matrix, -b g g^T.
        Returns:
            (n,), in image units.
        """
        return self.s0 * ((row @ self.after).exp() - (row @ self.before).exp())


def signal_changes(
    volume: DTIVolume, denoised: Tensor, denoise: Denoise | None = None, options: FitOptions = _DEFAULTS
) -> list[SignalChange]:
    """What denoising changes in the images: of the fitted volumes, and of every further shell.

    Args:
        volume: fitted to a DWI.
        denoised: (6, X, Y, Z) Mandel planes, um^2/ms, voxel axes.
        denoise: denoises the tensors of a further shell, as those of `volume` were; None leaves further shells as they
            are.
        options: of the fit; volumes that it skips are returned as they are.
    Returns:
        one change for every shell or set of shells; no volume is in two.
    Raises:
        MvnetError: tensors of another shape, or a volume that was not fitted to a DWI.
    """
    scan = _scan_of(volume)
    if denoised.shape != volume.tensors.shape:
        raise MvnetError(f"denoised: found shape {tuple(denoised.shape)}, expected {tuple(volume.tensors.shape)}")
    mask, unweighted = volume.mask, is_b0(scan.bvals, options.b0_threshold) | (np.abs(scan.bvecs).max(1) == 0)
    lost = [o.volume for o in scan.outliers if o.slice is None and o.weight == 0]
    weighted = ~unweighted & ~np.isin(np.arange(len(scan.bvals)), [*options.skip_volumes, *lost])
    s0, before = scan.b0[mask], volume.tensors[:, mask]
    changes = [SignalChange(scan.used & weighted, s0, before, denoised[:, mask].to(before))]
    if denoise is not None:
        how = replace(options, shells=None, bmax=None, all_shells=True, skip_volumes=())
        for shell in further_shells(scan.bvals, scan.bvecs, weighted & ~scan.used):
            changes.append(_shell_change(volume, scan, shell, scan.used & unweighted, denoise, how))
    return changes


def further_shells(bvals: np.ndarray, bvecs: np.ndarray, among: np.ndarray) -> list[np.ndarray]:
    """The shells that determine a tensor.

    Args:
        bvals, bvecs: (M,) in s/mm^2 and (M, 3).
        among: (M,) bool, volumes to look at.
    Returns:
        (M,) bool for each shell of six directions or more.
    """
    order = np.flatnonzero(among)[np.argsort(bvals[among], kind="stable")]
    steps = np.diff(bvals[order])
    ends = np.flatnonzero(steps > np.maximum(_SAME_SHELL[0], _SAME_SHELL[1] * bvals[order][1:])) + 1
    shells = []
    for group in np.split(order, ends):
        g = bvecs[group]
        quadratic = np.stack([g[:, i] * g[:, j] for i in range(3) for j in range(i, 3)], 1)
        if len(group) >= _FEWEST and np.linalg.matrix_rank(quadratic, tol=1e-3) == _FEWEST:
            shells.append(np.isin(np.arange(len(bvals)), group))
    return shells


def _shell_change(
    volume: DTIVolume, scan: Acquisition, shell: np.ndarray, b0: np.ndarray, denoise: Denoise, options: FitOptions
) -> SignalChange:
    """A shell and the b0 volumes fitted by a tensor of their own."""
    part, mask = shell | b0, volume.mask
    signals = scan.dwi[..., part], scan.bvals[part], scan.bvecs[part]
    tensors, report, own = fit_signals(*signals, mask, options=options)
    found = denoise(replace(volume, tensors=tensors, report=report, acquisition=own))
    return SignalChange(shell, own.b0[mask], tensors[:, mask], found.tensors[:, mask])


def denoised_volumes(volume: DTIVolume, changes: Sequence[SignalChange]) -> Iterator[np.ndarray]:
    """The denoised images one after another, so that no second DWI has to fit into memory.

    Args:
        volume: fitted to a DWI.
        changes: of `signal_changes`.
    Yields:
        (X, Y, Z) float32 for each of the M volumes, in image units; not below 0 where the measured signal is not.
    Raises:
        MvnetError: a volume that was not fitted to a DWI.
    """
    scan, inside = _scan_of(volume), volume.mask.numpy()
    rows = design_matrix(torch.as_tensor(scan.bvals), torch.as_tensor(scan.bvecs))[:, :6].to(volume.tensors)
    for m, row in enumerate(rows):
        image = scan.dwi[..., m]
        change = next((change for change in changes if change.volumes[m]), None)
        if change is None:
            yield image
            continue
        measured = image[inside]
        moved = measured + change.of(row).numpy()
        out = image.copy()
        out[inside] = np.where(measured >= 0, np.maximum(moved, 0), moved)
        lost = [o.slice for o in scan.outliers if o.volume == m and o.slice is not None and o.weight == 0]
        out[:, :, lost] = image[:, :, lost]
        yield out


def denoised_dwi(
    volume: DTIVolume, denoised: Tensor, denoise: Denoise | None = None, options: FitOptions = _DEFAULTS
) -> np.ndarray:
    """The denoised images together.

    Args:
        volume: fitted to a DWI.
        denoised: (6, X, Y, Z) Mandel planes, um^2/ms, voxel axes.
        denoise, options: as of `signal_changes`.
    Returns:
        (X, Y, Z, M) float32, in image units.
    Raises:
        MvnetError: tensors of another shape, or a volume that was not fitted to a DWI.
    """
    out = np.empty_like(_scan_of(volume).dwi)
    for m, image in enumerate(denoised_volumes(volume, signal_changes(volume, denoised, denoise, options))):
        out[..., m] = image
    return out


def log_squared_errors(volume: DTIVolume) -> Tensor:
    """Sum of squared errors of the fit as FSL's dtifit defines it: sum_m (log S_m - log S0 + b_m g_m^T D g_m)^2.

    Args:
        volume: fitted to a DWI.
    Returns:
        (X, Y, Z), over the fitted volumes; 0 outside the mask and where no fit was possible.
    Raises:
        MvnetError: a volume that was not fitted to a DWI.
    """
    scan, mask = _scan_of(volume), volume.mask
    rows = design_matrix(torch.as_tensor(scan.bvals), torch.as_tensor(scan.bvecs))[:, :6].to(volume.tensors)
    s0, tensors, inside = scan.b0[mask], volume.tensors[:, mask], mask.numpy()
    total = torch.zeros_like(s0)
    for m in np.flatnonzero(scan.used):
        signal = torch.from_numpy(scan.dwi[..., m][inside]).nan_to_num(0.0)
        relative = (signal / s0).clamp_min(_FLOOR)
        total += (relative.log() - rows[m] @ tensors).square()
    out = torch.zeros(mask.shape, dtype=total.dtype)
    out[mask] = torch.where(s0 > 0, total, 0.0)
    return out


def _scan_of(volume: DTIVolume) -> Acquisition:
    if volume.acquisition is None:
        raise MvnetError("volume: found tensors without diffusion-weighted images, expected a volume of load_dwi")
    return volume.acquisition
