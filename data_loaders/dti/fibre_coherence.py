"""Do the fibres line up with the voxels? A test of the axes that b-vectors or tensors refer to.

Along a fibre the principal direction e1 of the next voxel is that of this one; the step to "the next voxel"
uses the axes under test, the comparison |e1 . e1'| does not depend on them. The right axes give the higher
mean. Idea: MRtrix's dwigradcheck, fibre coherence index of Schilling et al., Magn. Reson. Imaging 58 (2019)
82-89.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mvnet.metrics import fractional_anisotropy, principal_direction

AXES = {
    "as given": (1.0, 1.0, 1.0),
    "x flipped": (-1.0, 1.0, 1.0),
    "y flipped": (1.0, -1.0, 1.0),
    "z flipped": (1.0, 1.0, -1.0),
}
_ANISOTROPIC = 0.3  # fractional anisotropy from which e1 means something
_FEWEST, _SMALLEST_SHARE = 500, 0.1  # anisotropic voxels, and their share of the mask
_NEIGHBOURHOOD = 20.0  # voxels that share their information, so that standard errors are honest
_CLEAR = 4.0  # standard errors


@dataclass(frozen=True)
class Coherence:
    """Mean |e1 . e1'| per candidate, and how many standard errors it is above the first candidate."""

    scores: dict[str, float]
    excess: dict[str, float]

    def better(self) -> str | None:
        """The candidate clearly more coherent than the first one, if any."""
        best = max(self.scores, key=lambda name: self.scores[name])
        return best if self.excess[best] > _CLEAR else None

    def text(self) -> str:
        """The score of every frame, on one line."""
        return ", ".join(f"{name} {score:.3f}" for name, score in self.scores.items())


def fibre_coherence(
    planes: Tensor, mask: Tensor, zooms: tuple[float, ...], candidates: dict[str, np.ndarray]
) -> Coherence | None:
    """Compare candidate axes.

    Args:
        planes: (6, X, Y, Z) Mandel tensors in some axes.
        mask: (X, Y, Z) bool.
        zooms: voxel sizes in mm.
        candidates: name -> orthogonal (3, 3) that takes directions of `planes` to voxel axes; the first is
            the reference.
    Returns:
        None when anisotropic voxels are fewer than 500 or 10 % of the mask, or the volume is one slice thick.
    """
    chosen = mask & (fractional_anisotropy(planes, dim=0) > _ANISOTROPIC)
    if int(chosen.sum()) < max(_FEWEST, _SMALLEST_SHARE * int(mask.sum())) or min(mask.shape) < 2:
        return None
    directions = principal_direction(planes[:, chosen], dim=0).T
    field = torch.zeros((3, *mask.shape))
    field[:, chosen] = directions.T
    position = chosen.nonzero()

    def agreement(q: np.ndarray) -> Tensor:
        step = directions @ torch.as_tensor(q.T, dtype=torch.float32) / torch.tensor(zooms[:3])
        step = (step / step.abs().amax(1, keepdim=True)).round().long()
        return _follow(field, position, directions, step) + _follow(field, position, directions, -step)

    per_voxel = {name: agreement(q) / 2 for name, q in candidates.items()}
    first = next(iter(per_voxel.values()))
    scores = {name: float(value.mean()) for name, value in per_voxel.items()}
    excess = {name: _standard_errors(value - first) for name, value in per_voxel.items()}
    return Coherence(scores, excess)


def _standard_errors(difference: Tensor) -> float:
    spread = difference.std() * (_NEIGHBOURHOOD / len(difference)) ** 0.5
    return float(difference.mean() / spread) if spread > 0 else 0.0


def _follow(field: Tensor, position: Tensor, directions: Tensor, step: Tensor) -> Tensor:
    """|e1 . e1'| with e1' at position + step, zero outside the volume: (N,)."""
    size = torch.tensor(field.shape[1:])
    target = position + step
    inside = ((target >= 0) & (target < size)).all(1)
    x, y, z = target.clamp_min(0).minimum(size - 1).unbind(1)
    return (field[:, x, y, z].T * directions).sum(1).abs() * inside


def check_frame(
    planes: Tensor, mask: Tensor, zooms: tuple[float, ...], to_voxel: dict[str, np.ndarray], given: bool
) -> tuple[str, list[str]]:
    """Choose the reference axes, or test the given ones.

    Args:
        planes: (6, X, Y, Z) Mandel tensors in the axes of the file.
        to_voxel: frame name -> (3, 3) to voxel axes; the first is the given or the usual one.
        given: whether the user named it: then it is kept, and only a warning can follow.
    Returns:
        the frame, and messages.
    """
    frame = next(iter(to_voxel))
    messages = []
    if not given:
        result = fibre_coherence(planes, mask, zooms, to_voxel)
        better = None if result is None else result.better()
        if result is not None and better is not None:
            messages.append(f"frame {better} chosen over the usual {frame}: fibre coherence {result.text()}")
            frame = better
        else:
            messages.append(f"frame {frame} assumed")
    flips = {name: np.diag(signs) @ to_voxel[frame] for name, signs in AXES.items()}
    result = fibre_coherence(planes, mask, zooms, flips)
    if result is not None and (better := result.better()) is not None:
        messages.append(
            f"warning: fibres are more coherent with {better} than in frame {frame} "
            f"({result.text()}); check the b-vectors"
        )
    return frame, messages
