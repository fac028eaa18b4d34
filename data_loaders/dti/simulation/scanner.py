"""A simulated brain in a simulated scanner: k-space noise, coils, GRAPPA, partial Fourier, Gibbs ringing.

The signals are not those of a tensor model: `trxscan` (pip install trxscan) mixes sticks, zeppelins, spheres
and water per fibre, acquires k-space line by line and reconstructs it. The same brain with the same shots and without
noise is the clean reference.

scans = scan_brain(7, (48, 48, 16), 2.0, *gradient_scheme(30, n_b0=2), snr=(60, 30, 15))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.dti.gradients import is_b0
from mvnet.data_loaders.dti.simulation.brain import Anatomy, simulate_anatomy
from mvnet.data_loaders.random_fields import normal
from mvnet.errors import MvnetError

_FINER = 2  # sides of the object per side of a voxel, along every axis
_FILL = 0.42  # half-width of the brain over the field of view in the plane of a slice
_DEPTH = 60.0  # mm, half-width along the slices, which see a part of it
_BACKGROUND = 0.15  # weight of fibres in no bundle
_SAMPLE = 6  # volumes of one slice, from which the noise is set
_ROUNDS = 4


@dataclass(frozen=True)
class ScannedBrain:
    """A scan and its reference.

    dwi, clean: (X, Y, Z, M) float32 magnitudes, with and without noise.
    mask: (X, Y, Z) bool, more tissue than air.
    affine: (4, 4) voxel to world in mm, without rotation.
    bvals: (M,) s/mm^2.
    bvecs: (M, 3) unit vectors in voxel axes, zero for b = 0.
    snr: median white-matter b0 over the standard deviation of dwi - clean in the weighted volumes.
    """

    dwi: np.ndarray
    clean: np.ndarray
    mask: np.ndarray
    affine: np.ndarray
    bvals: np.ndarray
    bvecs: np.ndarray
    snr: float


@dataclass(frozen=True)
class Scanner:
    """Settings of the scanner and of the tissue in it.

    coils: receive channels; accel: of GRAPPA; partial_fourier: share of k-space, 0.5 to 1.
    te_ms: echo time.
    diffusivity: of every tissue over that of an adult.
    dispersion: concentration of the fibres around their directions (Watson); None does not disperse them.
    receive_bias: shading of the image from the centre to the corners, in (-1, 1).
    """

    coils: int = 8
    accel: int = 2
    partial_fourier: float = 0.8
    te_ms: float = 85.0
    diffusivity: float = 1.0
    dispersion: float | None = None
    receive_bias: float = 0.0


def scan_brain(
    seed: int,
    shape: tuple[int, int, int],
    voxel_mm: float,
    bvals: Tensor | np.ndarray,
    bvecs: Tensor | np.ndarray,
    *,
    snr: Sequence[float] = (30.0,),
    scanner: Scanner = Scanner(),
) -> tuple[ScannedBrain, ...]:
    """Scan a random brain at several noise levels, which share the reference and the pattern of the noise.

    Args:
        seed: of the anatomy, the phases of the shots and the noise.
        shape: voxels; the phase is encoded along the second axis.
        voxel_mm: side of a voxel.
        bvals, bvecs: (M,) in s/mm^2 and (M, 3) unit vectors in voxel axes, b0 among them.
        snr: to be reached, as in `ScannedBrain.snr`; met within some percent.
        scanner: its settings.
    Returns:
        one scan for each of `snr`. The time goes with coils, slices and volumes: 2 minutes for 8 coils and 48 x 48 x
        16 x 32 on one core, and as long for the reference.
    Raises:
        MvnetError: an SNR that is not positive, or no b0.
    """
    b, g = (np.asarray(x, dtype=np.float64) for x in (bvals, bvecs))
    if not snr or min(snr) <= 0:
        raise MvnetError(f"snr: found {list(snr)}, expected positive numbers")
    if not is_b0(b).any():
        raise MvnetError("bvals: found no b0, expected at least one")
    anatomy = _anatomy(seed, shape, voxel_mm)
    thing, tissue = _scannable(anatomy, seed)
    acquire = _Acquisition(thing, scanner, voxel_mm, seed)
    clean = acquire(b, g)
    mask, white = tissue.sum(0) > 0.5, tissue[0] > 0.8
    signal = float(np.median(clean[..., is_b0(b)].mean(-1)[white if white.any() else mask]))

    few = _few_volumes(b)
    middle = shape[2] // 2
    part = mask[:, :, middle : middle + 1]
    reference = clean[:, :, middle : middle + 1, few]
    scans, variance = [], (signal / max(snr)) ** 2
    for wanted in snr:
        for _ in range(_ROUNDS):
            found = acquire(b[few], g[few], variance, middle) - reference
            deviation = float(found[part][:, ~is_b0(b[few])].std())
            variance *= (signal / wanted / deviation) ** 2
        noisy = acquire(b, g, variance)
        deviation = float((noisy - clean)[mask][:, ~is_b0(b)].std())
        scans.append(ScannedBrain(noisy, clean, mask, np.array(thing.affine), b, g, signal / deviation))
    return tuple(scans)


def _few_volumes(bvals: np.ndarray) -> np.ndarray:
    """Numbers of a b0 and some weighted volumes."""
    weighted = np.flatnonzero(~is_b0(bvals))
    spread = weighted[np.linspace(0, len(weighted) - 1, min(_SAMPLE, len(weighted))).astype(int)]
    return np.r_[np.flatnonzero(is_b0(bvals))[:1], spread]


def _anatomy(seed: int, shape: tuple[int, int, int], voxel_mm: float) -> Anatomy:
    """A brain on a grid that is finer than the scan's, so that the scan blurs and rings."""
    x, y, z = shape
    half = (_FILL * x * voxel_mm, _FILL * y * voxel_mm, max(_DEPTH, 0.5 * z * voxel_mm))
    finer = (_FINER * x, _FINER * y, _FINER * z)
    return simulate_anatomy(finer, torch.Generator().manual_seed(seed), voxel_mm / _FINER, semi_axes=half)


class _Acquisition:
    """Magnitudes of one object in one scanner; the same seed gives the same phases of the shots."""

    def __init__(self, thing: Any, scanner: Scanner, voxel_mm: float, seed: int):
        from trxscan import Protocol

        self.thing, self.scanner, self.seed = thing, scanner, seed
        self.protocol = Protocol(
            voxel_mm=voxel_mm,
            oversample=_FINER,
            te_ms=scanner.te_ms,
            coils=scanner.coils,
            accel=scanner.accel,
            partial_fourier=scanner.partial_fourier,
            acs_lines=min(24, thing.dims[1] // 2),
            kappa=scanner.dispersion,
            diff_scale=(scanner.diffusivity, scanner.diffusivity, scanner.diffusivity),
        )

    def __call__(self, b: np.ndarray, g: np.ndarray, variance: float = 0.0, only: int | None = None) -> np.ndarray:
        """(X, Y, Z, M) float32 with complex noise of a variance in k-space; of one slice, or of all."""
        from trxscan import Artifacts

        bias = self.scanner.receive_bias
        artifacts = Artifacts(noise=variance, distortion=False, receive_bias=bias, seed=self.seed)
        slices = "all" if only is None else [only]
        found = self.thing.simulate((b, g), self.protocol, artifacts, slices=slices, kspace=False, clean_b0=False)
        return np.asarray(found.magnitude.dataobj, dtype=np.float32)


def _scannable(anatomy: Anatomy, seed: int) -> tuple[Any, np.ndarray]:
    """The object of the simulator, and the fractions of white, grey and water (3, X, Y, Z) of the scan's voxels."""
    from trxscan import Fibers
    from trxscan.objects import from_arrays

    x, y, z = anatomy.shape
    fractions = torch.stack([anatomy.white, anatomy.grey, anatomy.water]) * anatomy.inside
    flat = fractions.reshape(3, x, y, z // _FINER, _FINER).mean(-1).numpy()  # slices are as thick as the scan's
    thing = from_arrays(
        *flat, oversample=_FINER, voxel_mm=anatomy.voxel_size * _FINER, fibers=Fibers(*_fibres(anatomy, seed))
    )
    coarse = flat.reshape(3, x // _FINER, _FINER, y // _FINER, _FINER, -1).mean((2, 4))
    return thing, coarse


def _fibres(anatomy: Anatomy, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voxel, direction and amount of every population of fibres; voxels numbered with x fastest, slices as thick."""
    x, y, z = anatomy.shape
    white = anatomy.white * anatomy.inside
    voxels, directions, amounts = [], [], []

    def add(here: Tensor, along: Tensor, amount: Tensor) -> None:
        kept = amount > 1e-3
        i, j, k = (torch.div(here[kept], y * z, rounding_mode="floor"), here[kept] // z % y, here[kept] % z // _FINER)
        voxels.append(i + x * (j + y * k))
        directions.append(along[kept])
        amounts.append(amount[kept])

    for _, here, weight, along in anatomy.fibres():
        add(here, along, weight * white[here])
    # what the bundles leave of white matter: half of it along the twist, half across
    here = white.nonzero()[:, 0]
    side = normal((3,), torch.Generator().manual_seed(seed), white.device)
    along = torch.nn.functional.normalize(anatomy.twist.T[here], dim=1)
    second = torch.nn.functional.normalize(torch.linalg.cross(along, side.expand_as(along)), dim=1)
    third = torch.linalg.cross(along, second)
    for direction, share in ((along, 0.5), (second, 0.25), (third, 0.25)):
        add(here, direction, _BACKGROUND * share * white[here])
    return tuple(torch.cat(parts).numpy() for parts in (voxels, directions, amounts))  # type: ignore[return-value]
