"""Where training patches come from: scans at their own and at a coarser resolution, and simulated brains and scans."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.data_loaders.dti.dwi import load_dwi
from mvnet.data_loaders.dti.fitting import clip_eigenvalues, design_matrix, fit_wls
from mvnet.data_loaders.dti.masks import white_matter_median
from mvnet.data_loaders.dti.repair import HIGHEST, LOWEST, median_diffusivity
from mvnet.data_loaders.dti.simulation.brain import simulate_brain
from mvnet.data_loaders.dti.training.pairs import TensorField
from mvnet.data_loaders.dti.volume import DTIVolume
from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.npz_files import read_npz
from mvnet.linalg import sym3
from mvnet.metrics import REFERENCE_DIFFUSIVITY

_ADULT = (65.0, 80.0, 60.0)  # mm, semi-axes of a brain
_VOXEL_SIZES = (1.5, 2.0, 2.5, 0.9, 1.5, 2.0, 3.2, 2.5)  # mm, of simulated brains in turn
_LARGEST_B = 1500.0  # s/mm^2, up to which a reader fits by itself


def scan_field(
    dwi: Path, bval: Path, bvec: Path, bvec_frame: str | None, *exclude: slice, mask: Path | None = None
) -> TensorField:
    """A scan of which the slices `exclude` along z are never used; other arguments as in `load_dwi`."""
    return field_of(load_dwi(dwi, bval, bvec, mask=mask, bvec_frame=bvec_frame), *exclude)


def scanned_field(path: Path) -> TensorField:
    """A scan of a simulated scanner with its truth, the fit of the noise-free scan of the same object.

    Args:
        path: .npz with noisy and clean (X, Y, Z, M), mask (X, Y, Z), bvals (M,) in s/mm^2, bvecs (M, 3) in voxel axes
            and spacing (3,) in mm, as `benchmarks.field_dti.make_scans` writes them.
    Raises:
        DataError: another file.
    """
    keys = ("noisy", "clean", "mask", "bvals", "bvecs", "spacing")
    file = read_npz(path)
    if missing := [key for key in keys if key not in file]:
        raise DataError(f"{path}: found no {', '.join(missing)}, expected {', '.join(keys)}")
    with reading(path, "a scan of a simulated scanner (.npz)"):
        noisy, clean, inside, bvals, bvecs, spacing = (torch.from_numpy(file[key]) for key in keys)
    bvals, bvecs, mask = bvals.float(), bvecs.float(), inside.bool()
    used = bvals <= _LARGEST_B
    design = design_matrix(bvals[used], bvecs[used])
    mask = mask & (clean[..., used].amin(-1) > 0)
    log_s0, fitted = fit_wls(clean[mask][:, used].float(), design)
    tensors = torch.zeros(6, *mask.shape)
    tensors[:, mask] = clip_eigenvalues(fitted, LOWEST, HIGHEST).T
    s0 = torch.zeros(mask.shape).masked_scatter(mask, log_s0.exp())
    unit = white_matter_median(s0, tensors, mask)
    depth = mask.shape[2]
    sides = tuple(float(x) for x in spacing)
    signal = noisy[..., used].float() / unit
    return TensorField(tensors, mask, s0 / unit, ((0, depth),), signal, bvals[used], bvecs[used], sides)  # type: ignore[arg-type]


def field_of(volume: DTIVolume, *exclude: slice) -> TensorField:
    """Tensors of a loaded volume, with its signals in units of the white-matter b0 when it has a DWI.

    Args:
        volume: from `load_dwi`, or from `load_tensors`: then s0 is 1 everywhere.
        exclude: slices along z of which no voxel may be used.
    """
    depth = volume.mask.shape[2]
    edges = [0]
    for start, stop in sorted(part.indices(depth)[:2] for part in exclude):
        if stop > start:
            edges += [max(start, edges[-1]), max(stop, edges[-1])]
    ranges = tuple(zip(edges[::2], [*edges[1::2], depth]))
    scan, tensors = volume.acquisition, _bound(volume.tensors, volume.mask)
    if scan is None:
        return TensorField(tensors, volume.mask, torch.ones(volume.mask.shape), ranges, spacing=volume.spacing)
    unit = white_matter_median(scan.b0, tensors, volume.mask)
    dwi, *gradients = scan.fitted()
    bvals, bvecs = (torch.as_tensor(x).float() for x in gradients)
    signal = torch.from_numpy(dwi) / unit
    return TensorField(tensors, volume.mask, scan.b0 / unit, ranges, signal, bvals, bvecs, volume.spacing)


def _bound(tensors: Tensor, mask: Tensor) -> Tensor:
    """The truth that training asks for: eigenvalues that noise drove out of the range of tissue lie on its border."""
    scale = median_diffusivity(tensors, mask) / REFERENCE_DIFFUSIVITY
    bounded = tensors.clone()
    bounded[:, mask] = clip_eigenvalues(tensors[:, mask].T, LOWEST * scale, HIGHEST * scale).T
    return bounded


def crop_centre(field: TensorField, share: float) -> TensorField:
    """A box around the centre of the mask with this share of its extent in the plane, in all slices of the ranges."""
    window = []
    for axis in (0, 1):
        used = field.mask.any(dim=2).any(dim=1 - axis).nonzero()[:, 0]
        first, last = int(used[0]), int(used[-1]) + 1
        side = round((last - first) * share**0.5)
        start = (first + last - side) // 2
        window.append(slice(start, start + side))
    return replace(
        field,
        tensors=field.tensors[:, *window],
        mask=field.mask[*window],
        s0=field.s0[*window],
        dwi=None if field.dwi is None else field.dwi[*window],
    )


def resample(field: TensorField, zoom: tuple[float, float, float]) -> TensorField:
    """The field on a grid of `zoom` times the voxels along each axis: trilinear in the log-tensors, inside the mask.

    Coarser voxels average what they cover, which also lowers the noise of a fitted truth. The signals are dropped.
    """
    inside = field.mask.to(field.tensors.dtype)
    planes = torch.cat([sym3.log(field.tensors, dim=0) * inside, (field.s0 * inside)[None], inside[None]])
    size = [round(n * z) for n, z in zip(field.mask.shape, zoom)]
    small = F.interpolate(planes[None], size=size, mode="trilinear", align_corners=False)[0]
    weight = small[7]
    mask = weight > 0.7
    mean = small[:7] / weight.clamp_min(0.1)
    ranges = tuple((ceil(a * zoom[2]), int(b * zoom[2])) for a, b in field.slice_ranges)
    spacing = tuple(length / z for length, z in zip(field.spacing, zoom))
    s0 = torch.where(mask, mean[6], 1.0)
    return TensorField(sym3.exp(mean[:6] * mask, dim=0), mask, s0, ranges, spacing=spacing)  # type: ignore[arg-type]


def simulated_fields(count: int, seed: int, side: int = 48) -> list[TensorField]:
    """Simulated brains of side^3 voxels with a clean truth, of 0.9 to 3.2 mm; of fine ones a part."""
    fields = []
    for index in range(count):
        size = _VOXEL_SIZES[index % len(_VOXEL_SIZES)]
        axes = _ADULT if size < 1.2 else None
        brain = simulate_brain((side, side, side), seed=seed * 1000 + index, voxel_size=size, semi_axes=axes)
        s0 = brain.s0 / white_matter_median(brain.s0, brain.tensors, brain.mask)
        fields.append(TensorField(brain.tensors, brain.mask, s0, ((0, side),), spacing=(size, size, size)))
    return fields
