"""The signals of a scan, some slices at a time, with what each of them counts in the fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.dti.fit.missing import can_be_fitted, find_missing
from mvnet.data_loaders.dti.fitting import design_matrix, fit_wls

HALO = 3
"""Voxels: the radius over which noise is pooled, and so the slices that a slab needs beside its own."""

_SLAB = 16  # slices

Progress = Callable[[int, int], None]


class Voxels(NamedTuple):
    """n voxels of the mask in some slices, in the order of `here`.

    here: (X, Y, S) bool, the mask in those slices.
    signal: (n, m), positive; 1 where missing.
    weights: (n, m) in [0, 1], or None where every value counts alike.
    known: (n,) bool, the voxels whose values determine a tensor.
    partial: (n,) bool, those of them that lack some values.
    """

    here: Tensor
    signal: Tensor
    weights: Tensor | None
    known: Tensor
    partial: Tensor


class Slab(NamedTuple):
    """Slices low to high are read; those from start to stop are the slab's own, `inner` of the ones read."""

    low: int
    high: int
    start: int
    stop: int

    @property
    def inner(self) -> slice:
        return slice(self.start - self.low, self.stop - self.low)


@dataclass
class Scan:
    """The volumes of a scan that are fitted.

    dwi: (X, Y, Z, M), all volumes.
    columns: (m,) numbers of the volumes that are fitted.
    bvals, bvecs, b0: (m,) s/mm^2, (m, 3) and (m,) bool of those.
    mask: (X, Y, Z) bool.
    floor: signals below it count as this.
    weights: (Z, m) in [0, 1], how much each slice of each volume counts.
    """

    dwi: np.ndarray
    columns: np.ndarray
    bvals: np.ndarray
    bvecs: np.ndarray
    b0: np.ndarray
    mask: np.ndarray
    floor: float
    weights: np.ndarray

    def __post_init__(self) -> None:
        self.design = design_matrix(torch.as_tensor(self.bvals).double(), torch.as_tensor(self.bvecs).double())
        self.slices = [int(z) for z in np.flatnonzero(self.mask.any((0, 1)))]

    @property
    def freedom(self) -> int:
        """Volumes more than parameters."""
        return len(self.columns) - self.design.shape[1]

    def slabs(self) -> Iterator[Slab]:
        """The slices of the mask in slabs with a halo, so that memory does not grow with the volume."""
        depth = self.mask.shape[2]
        for start in range(0, depth, _SLAB):
            stop = min(depth, start + _SLAB)
            if self.mask[:, :, start:stop].any():
                yield Slab(max(0, start - HALO), min(depth, stop + HALO), start, stop)

    def read(self, low: int, high: int, dtype: type = np.float64) -> Voxels:
        """The voxels of slices `low` to `high`."""
        here = np.ascontiguousarray(self.mask[:, :, low:high])
        values = self.dwi[:, :, low:high][here]  # (n, M)
        signal = values if len(self.columns) == values.shape[1] else values[:, self.columns]
        by_slice = self.weights[low:high][np.nonzero(here)[2]] if high - low > 1 else self.weights[low:high]
        missing = find_missing(signal) | (by_slice == 0)
        known, lacking = np.asarray((signal > 0).any(1)), np.asarray(missing.any(1))
        if lacking.any():
            known[lacking] &= can_be_fitted(missing[lacking], self.b0, self.bvecs)
            missing[~known] = False
        usable = np.maximum(signal, self.floor, dtype=dtype)
        usable[missing] = 1.0
        usable[~known] = 1.0
        weights = None
        if missing.any() or (by_slice != 1).any():
            weights = torch.from_numpy((~missing * by_slice).astype(dtype))
        partial = torch.from_numpy(known & (missing & (by_slice > 0)).any(1))
        return Voxels(torch.from_numpy(here), torch.from_numpy(usable), weights, torch.from_numpy(known), partial)


class Fit:
    """Parameters of the voxels of a scan: log S0 (X, Y, Z) and tensors (6, X, Y, Z); NaN where nothing is known."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.log_s0 = torch.full(shape, torch.nan)
        self.tensors = torch.full((6, *shape), torch.nan)

    def put(self, low: int, here: Tensor, log_s0: Tensor, tensors: Tensor) -> None:
        """Set the n voxels `here` (X, Y, S) of the slices from `low`: (n,) and (n, 6)."""
        high = low + here.shape[2]
        self.log_s0[:, :, low:high][here] = log_s0.float()
        self.tensors[:, :, :, low:high][:, here] = tensors.float().T

    def get(self, low: int, here: Tensor) -> tuple[Tensor, Tensor]:
        """log S0 (n,) and tensors (n, 6) of the voxels `here` (X, Y, S) of the slices from `low`, float64."""
        high = low + here.shape[2]
        return self.log_s0[:, :, low:high][here].double(), self.tensors[:, :, :, low:high][:, here].T.double()


def fit_slices(scan: Scan, fit: Fit, slices: Iterable[int], progress: Progress | None = None) -> int:
    """Weighted least squares in some slices, with the weights of the scan.

    Args:
        scan: the signals.
        fit: is filled in.
        slices: numbers of the slices.
        progress: called with (voxels fitted, voxels in the mask).
    Returns:
        the number of voxels that were fitted although they lack some values.
    """
    done, total, partial = 0, int(scan.mask.sum()), 0
    for z in slices:
        voxels = scan.read(z, z + 1)
        log_s0, tensors = fit_wls(voxels.signal, scan.design, voxels.weights)
        good = voxels.known & tensors.isfinite().all(1) & log_s0.isfinite()
        log_s0[~good], tensors[~good] = torch.nan, torch.nan
        fit.put(z, voxels.here, log_s0, tensors)
        done += len(good)
        partial += int((good & voxels.partial).sum())
        if progress is not None:
            progress(done, total)
    return partial
