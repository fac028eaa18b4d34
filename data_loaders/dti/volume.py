"""What a loader returns: a tensor volume with everything needed to write it back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class RepairReport:
    """What reading found and changed.

    voxels: number of voxels in the mask.
    non_finite: tensors with NaN, infinite, absurdly large or vanishing components, filled in from their neighbours.
    non_positive: tensors with an eigenvalue <= 0, lifted to the floor (filled in when none is positive).
    clipped: positive tensors with an eigenvalue below the floor that the noise of their voxel sets, lifted to it.
    messages: detections and warnings, one line each.
    """

    voxels: int
    non_finite: int = 0
    non_positive: int = 0
    clipped: int = 0
    messages: list[str] = field(default_factory=list)


class Outlier(NamedTuple):
    """A volume, or one slice of it, that does not fit the others.

    volume: number of the volume, the first is 0.
    slice: number of the slice along z, None for the whole volume.
    kind: "empty", "not finite", "dropout" or "residual".
    score: robust z-score of its residuals, NaN where there are none.
    weight: that it kept in the fit, in [0, 1]; 0 left it out.
    """

    volume: int
    slice: int | None
    kind: str
    score: float
    weight: float


@dataclass(frozen=True)
class Acquisition:
    """What the diffusion-weighted images add to the tensors.

    b0: (X, Y, Z) fitted signal without weighting, in image units; 0 outside the mask and where no fit was
    possible.
    noise: (X, Y, Z) expected affine-invariant error of the tensor per Mandel component; 0 where unknown.
    residual: (X, Y, Z) root-mean-square fit residual over sigma, about 1 where the tensor model holds.
    sigma: (X, Y, Z) standard deviation of the signal noise, in image units.
    dwi: (X, Y, Z, M) float32 images.
    bvals: (M,) in s/mm^2.
    bvecs: (M, 3) unit vectors in voxel axes, zero for b = 0.
    used: (M,) bool, the volumes that were fitted.
    outliers: what the fit gave less weight, or none.
    """

    b0: Tensor
    noise: Tensor
    residual: Tensor
    sigma: Tensor
    dwi: np.ndarray
    bvals: np.ndarray
    bvecs: np.ndarray
    used: np.ndarray
    outliers: tuple[Outlier, ...] = ()

    def fitted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Images (X, Y, Z, m), b-values and b-vectors of the m volumes that were fitted."""
        if self.used.all():
            return self.dwi, self.bvals, self.bvecs
        return self.dwi[..., self.used], self.bvals[self.used], self.bvecs[self.used]


@dataclass(frozen=True)
class DTIVolume:
    """A volume of diffusion tensors.

    tensors: (6, X, Y, Z) float32 Mandel planes in um^2/ms and voxel axes; positive definite everywhere,
        isotropic with the median diffusivity outside the mask.
    mask: (X, Y, Z) bool.
    affine: (4, 4) voxel-to-world matrix.
    header: nibabel NIfTI header of the file read.
    order, unit, frame: component order, unit and reference axes of the file, to which the writers return.
    report: what was detected and repaired.
    stored: (X, Y, Z, 6) components as the file holds them, NaN where `tensors` are repaired ones; None when the tensors
        were fitted. A tensor that nothing changed is written back as these, bit for bit.
    acquisition: present when the tensors were fitted to diffusion-weighted images.
    """

    tensors: Tensor
    mask: Tensor
    affine: np.ndarray
    header: Any
    order: str
    unit: str
    frame: str
    report: RepairReport
    stored: np.ndarray | None = None
    acquisition: Acquisition | None = None

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Lengths of the sides of a voxel, mm."""
        return tuple(float(length) for length in np.linalg.norm(self.affine[:3, :3], axis=0))  # type: ignore[return-value]
