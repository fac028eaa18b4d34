"""Training pairs for the DTI denoiser: patches of noisy tensors with what they should become.

Three kinds of pairs, all seeded by their index alone:

- `noisy_pair`: a tensor field is taken as the truth, signals of a random scheme are made from it with Rician noise and
  fitted back. A truth that carries its own independent noise serves as well: the mean over it is what a network learns.
- `split_pair`: real noise. The input is the fit of some directions of a scan, the target the fit of the others
  (Noise2Noise on the manifold; Lehtinen et al., 2018).
- `scanned_pair`: a scanner simulator that is not ours made the signals, and its noise-free scan of the same object is
  the truth. The input is the fit of some directions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.data_loaders.dti.fit.precision import size_noise_ratio
from mvnet.data_loaders.dti.fit.rician import CONCERNED, refit
from mvnet.data_loaders.dti.fitting import acquisition_maps, clip_eigenvalues, design_matrix, fit_wls, predict
from mvnet.data_loaders.dti.frames import rotate
from mvnet.data_loaders.dti.gradients import is_b0
from mvnet.data_loaders.dti.repair import HIGHEST, LOWEST
from mvnet.errors import MvnetError
from mvnet.metrics import REFERENCE_DIFFUSIVITY

VISIBLE = (0.1, 16.0)
"""um^2/ms: eigenvalues that the network sees, for a volume whose median is that of tissue. Noise reaches beyond."""

_DETERMINED = 7  # volumes that leave no residual


class PatchMaps(NamedTuple):
    """What is known of the acquisition of a patch.

    b0: (n, n, n) fitted signal without weighting, 1 = white matter.
    noise, residual: (n, n, n) as in `mvnet.data_loaders.dti.fitting.AcquisitionMaps`.
    spacing: (3,) float64, lengths of the sides of a voxel, in any unit.
    available: () bool; where false the network sees none of the maps but the spacing.
    size_ratio: (n, n, n) of `mvnet.data_loaders.dti.fit.precision.size_noise_ratio`, 0 where unknown.
    """

    b0: Tensor
    noise: Tensor
    residual: Tensor
    spacing: Tensor
    available: Tensor
    size_ratio: Tensor


class TrainingPair(NamedTuple):
    """A patch: noisy and target (6, n, n, n) Mandel, um^2/ms; mask (n, n, n) bool; maps of the acquisition.

    torch's default collation batches every tensor of it.
    """

    noisy: Tensor
    target: Tensor
    mask: Tensor
    maps: PatchMaps


@dataclass(frozen=True)
class TensorField:
    """A field to cut patches from.

    Args:
        tensors: (6, X, Y, Z) Mandel, um^2/ms, positive definite in the mask.
        mask: (X, Y, Z) bool.
        s0: (X, Y, Z), white matter near 1.
        slice_ranges: ranges [start, stop) along z that may be used.
        dwi: (X, Y, Z, M) measured signals in the unit of `s0`, or None for a field without a scan.
        bvals, bvecs: (M,) s/mm^2 and (M, 3), of the scan.
        spacing: lengths of the sides of a voxel, in any unit.
    """

    tensors: Tensor
    mask: Tensor
    s0: Tensor
    slice_ranges: tuple[tuple[int, int], ...]
    dwi: Tensor | None = None
    bvals: Tensor | None = None
    bvecs: Tensor | None = None
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def largest_patch(self) -> int:
        """Side of the largest patch that the plane of the slices holds; 0 when no slice may be used."""
        usable = any(stop > start for start, stop in self.slice_ranges)
        return min(self.mask.shape[:2]) if usable else 0

    def patch(self, n: int, generator: torch.Generator) -> TensorField:
        """A random n^3 patch inside a slab and at least half inside the mask, or the fullest of twenty tries.

        A side on which the slab is shorter than n is filled with voxels outside the mask.

        Raises:
            MvnetError: no slab holds a slice.
        """
        if not self.largest_patch():
            raise MvnetError(f"slice_ranges: found {self.slice_ranges}, expected one of at least one slice")
        thickest = max(stop - start for start, stop in self.slice_ranges)
        sides = [min(n, extent) for extent in (*self.mask.shape[:2], thickest)]
        lengths = torch.tensor(
            [max(stop - start - sides[2] + 1, 0) for start, stop in self.slice_ranges], dtype=torch.float
        )
        best, best_share = None, -1.0
        for _ in range(20):
            slab = int(torch.multinomial(lengths, 1, generator=generator))
            start, room = self.slice_ranges[slab][0], int(lengths[slab])
            corner = [
                _integer(self.mask.shape[0] - sides[0] + 1, generator),
                _integer(self.mask.shape[1] - sides[1] + 1, generator),
                start + _integer(room, generator),
            ]
            window = tuple(slice(c, c + side) for c, side in zip(corner, sides))
            share = float(self.mask[window].float().mean())
            if share > best_share:
                best, best_share = window, share
            if share > 0.5:
                break
        assert best is not None
        patch = replace(
            self,
            tensors=self.tensors[:, *best],
            mask=self.mask[best],
            s0=self.s0[best],
            slice_ranges=((0, n),),
            dwi=None if self.dwi is None else self.dwi[best],
        )
        return patch if sides == [n] * 3 else patch._fill(n)

    def _fill(self, n: int) -> TensorField:
        """n^3 voxels: those that are missing at the ends are outside the mask."""
        missing = [n - side for side in self.mask.shape]
        room = [x for side in reversed(missing) for x in (0, side)]
        tensors = F.pad(self.tensors, room)
        outside = ~F.pad(self.mask, room, value=False)
        tensors[:3] = torch.where(outside, REFERENCE_DIFFUSIVITY, tensors[:3])
        tensors[3:] = torch.where(outside, 0.0, tensors[3:])
        return replace(
            self,
            tensors=tensors,
            mask=~outside,
            s0=F.pad(self.s0, room),
            dwi=None if self.dwi is None else F.pad(self.dwi, [0, 0, *room]),
        )

    def transform(self, q: np.ndarray) -> TensorField:
        """Image under a symmetry of the cube, which acts on voxels, tensors and b-vectors alike.

        Args:
            q: (3, 3) signed permutation, x'_i = s_i x_{p_i}.
        """
        source, sign = np.abs(q).argmax(1).tolist(), q.sum(1)

        def voxels(volume: Tensor, lead: int) -> Tensor:
            order = (*range(lead), *(lead + p for p in source), *range(lead + 3, volume.ndim))
            return volume.permute(order).flip([lead + i for i in range(3) if sign[i] < 0])

        return replace(
            self,
            tensors=rotate(voxels(self.tensors, 1), q),
            mask=voxels(self.mask, 0),
            s0=voxels(self.s0, 0),
            dwi=None if self.dwi is None else voxels(self.dwi, 0),
            bvecs=None if self.bvecs is None else self.bvecs[:, source] * torch.from_numpy(sign).to(self.bvecs),
            spacing=tuple(self.spacing[p] for p in source),  # type: ignore[arg-type]
        )


class NoiseModel(NamedTuple):
    """How noise departs from white noise of one level.

    correlation: width in voxels of the Gaussian that an interpolation has smoothed it with; 0 for white noise.
    variation: relative variation of its level over a patch, as between the coils of an array.
    """

    correlation: float = 0.0
    variation: float = 0.0


_WHITE_NOISE = NoiseModel()


def noisy_pair(
    field: TensorField,
    bvals: Tensor,
    bvecs: Tensor,
    snr: float,
    generator: torch.Generator,
    model: NoiseModel = _WHITE_NOISE,
) -> TrainingPair:
    """Signals of the field with Rician noise of sigma = 1 / snr, fitted back.

    Args:
        field: the truth.
        bvals, bvecs: (M,) s/mm^2 and (M, 3), any scheme with a b0.
        snr: white-matter b0 over sigma.
        model: of the noise.
    """
    design = design_matrix(bvals, bvecs)
    clean = field.s0[field.mask].unsqueeze(1) * (field.tensors[:, field.mask].T @ design[:, :6].T).exp()
    if model == _WHITE_NOISE:
        noise = torch.randn((2, *clean.shape), generator=generator) / snr
    else:
        noise = _noise_fields(model, field.mask, len(bvals), generator)[..., field.mask].mT / snr
    signal = torch.hypot(clean + noise[0], noise[1])
    return _fitted_pair(signal, design, field.tensors, field)


def _noise_fields(model: NoiseModel, mask: Tensor, volumes: int, generator: torch.Generator) -> Tensor:
    """Real and imaginary part (2, M, X, Y, Z) of complex noise whose variance is 1 on average."""
    noise = torch.randn((2 * volumes, *mask.shape), generator=generator)
    if model.correlation:
        reach = torch.arange(-2, 3) / model.correlation
        kernel = (-reach.square() / 2).exp()
        kernel = kernel / kernel.norm()  # keeps the variance
        for axis in range(3):
            shape = [1, 1, *(5 if a == axis else 1 for a in range(3))]
            padding = [0, 0, 0, 0, 0, 0]
            padding[2 * (2 - axis)] = padding[2 * (2 - axis) + 1] = 2
            padded = F.pad(noise[:, None], padding, mode="circular")
            noise = F.conv3d(padded, kernel.view(shape))[:, 0]
    level = torch.ones(())
    if model.variation:
        centre, slope = torch.randn((2, 3), generator=generator)
        places = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in mask.shape), indexing="ij")
        wave = sum(a * x + b * (x * x - 1 / 3) for a, b, x in zip(slope, centre, places))
        level = (model.variation * torch.as_tensor(wave)).exp()
    return (noise * level).unflatten(0, (2, volumes))


def split_pair(field: TensorField, directions: int, generator: torch.Generator) -> TrainingPair:
    """Input: the b0 volumes and `directions` random others of the scan; target: the fit of the rest, same b0.

    Raises:
        ValueError: when fewer than six directions remain for the target, or the field has no scan.
    """
    if field.dwi is None or field.bvals is None or field.bvecs is None:
        raise MvnetError("field: found no measured signals, expected dwi, bvals and bvecs")
    weighted = (~is_b0(field.bvals)).nonzero()[:, 0]
    if not 6 <= directions <= len(weighted) - 6:
        raise MvnetError(f"directions: found {directions}, expected 6 to {len(weighted) - 6} of {len(weighted)}")
    base = is_b0(field.bvals).nonzero()[:, 0]
    order = weighted[torch.randperm(len(weighted), generator=generator)]
    chosen, rest = torch.cat([base, order[:directions]]), torch.cat([base, order[directions:]])
    signal = field.dwi[field.mask].to(field.tensors.dtype)
    target = torch.zeros_like(field.tensors)
    _, fitted = _fit(signal[:, rest], design_matrix(field.bvals[rest], field.bvecs[rest]))
    target[:, field.mask] = clip_eigenvalues(fitted, LOWEST, HIGHEST).T
    design = design_matrix(field.bvals[chosen], field.bvecs[chosen])
    return _fitted_pair(signal[:, chosen], design, target, field)


def scanned_pair(field: TensorField, directions: int, generator: torch.Generator) -> TrainingPair:
    """Input: the b0 volumes and `directions` random others of the signals; target: the tensors of the field.

    Raises:
        MvnetError: the field has no signals, or not as many directions.
    """
    if field.dwi is None or field.bvals is None or field.bvecs is None:
        raise MvnetError("field: found no measured signals, expected dwi, bvals and bvecs")
    weighted = (~is_b0(field.bvals)).nonzero()[:, 0]
    if not 6 <= directions <= len(weighted):
        raise MvnetError(f"directions: found {directions}, expected 6 to {len(weighted)}")
    base = is_b0(field.bvals).nonzero()[:, 0]
    chosen = torch.cat([base, weighted[torch.randperm(len(weighted), generator=generator)[:directions]]])
    signal = field.dwi[field.mask].to(field.tensors.dtype)
    design = design_matrix(field.bvals[chosen], field.bvecs[chosen])
    return _fitted_pair(signal[:, chosen], design, field.tensors, field)


def _fitted_pair(signal: Tensor, design: Tensor, target: Tensor, field: TensorField) -> TrainingPair:
    """The fit of signals (N, M) in the N masked voxels of a field, beside its target."""
    mask = field.mask
    log_s0, fitted = _fit(signal, design)
    maps = acquisition_maps(signal, clip_eigenvalues(fitted, *VISIBLE), log_s0, design, mask)
    log_s0, fitted = _correct_floor(signal, log_s0, fitted, maps.sigma[mask], design)
    fitted = clip_eigenvalues(fitted, *VISIBLE)
    outside = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0], dtype=signal.dtype)[:, None, None, None]
    noisy = (outside * REFERENCE_DIFFUSIVITY).expand(6, *mask.shape).clone()
    noisy[:, mask] = fitted.T
    b0 = torch.ones(mask.shape, dtype=signal.dtype).masked_scatter(mask, log_s0.exp())
    clean = torch.where(mask, target, outside * REFERENCE_DIFFUSIVITY)
    spacing = torch.tensor(field.spacing, dtype=torch.float64)
    ratio = torch.zeros(mask.shape, dtype=signal.dtype).masked_scatter(mask, size_noise_ratio(fitted, design))
    known = PatchMaps(b0, maps.noise, maps.residual, spacing, torch.tensor(True), ratio)
    return TrainingPair(noisy, clean, mask, known)


def _fit(signal: Tensor, design: Tensor) -> tuple[Tensor, Tensor]:
    """`fit_wls`; what too few directions leave open is the tensor of typical tissue, with the mean signal as b0."""
    log_s0, fitted = fit_wls(signal, design)
    known = fitted.isfinite().all(1) & log_s0.isfinite()
    typical = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0], dtype=fitted.dtype) * REFERENCE_DIFFUSIVITY
    mean = signal.mean(1).clamp_min(torch.finfo(signal.dtype).tiny).log()
    return torch.where(known, log_s0, mean), torch.where(known.unsqueeze(1), fitted, typical)


def _correct_floor(
    signal: Tensor, log_s0: Tensor, tensors: Tensor, sigma: Tensor, design: Tensor
) -> tuple[Tensor, Tensor]:
    """Voxels with signals near the floor of magnitudes are fitted again, as the reader does."""
    predicted = predict(tensors, log_s0, design)
    low = (predicted < CONCERNED * sigma.unsqueeze(1)).any(1) & (sigma > 0) & (log_s0.exp() > sigma)
    if len(design) > _DETERMINED and low.any():
        weak, size, start, level = (x[low].double() for x in (signal.clamp_min(1e-6), log_s0, tensors, sigma))
        found = refit(weak, size, start, level, design.double())
        log_s0, tensors = log_s0.clone(), tensors.clone()
        log_s0[low], tensors[low] = (x.to(signal) for x in found)
    return log_s0, tensors


def _integer(high: int, generator: torch.Generator) -> int:
    return int(torch.randint(high, (1,), generator=generator))
