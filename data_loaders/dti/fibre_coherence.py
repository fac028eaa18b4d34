"""Do the fibres line up with the voxels? A test of the axes that b-vectors or tensors refer to.

Along a fibre the principal direction e1 of the next voxel is that of this one. The steps to "the next voxel" and to
the one after it use the axes under test; the comparison |e1 . e1'| does not depend on them. The right axes give the
highest mean of the 24 ways to permute and reverse them: 6 permutations times 4 choices of signs, as e1 and -e1 are one
direction.
Idea: MRtrix's dwigradcheck, fibre coherence index of Schilling et al., Magn. Reson. Imaging 58 (2019) 82-89.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.dti.frames import cube_symmetries
from mvnet.metrics import fractional_anisotropy, principal_direction

_ANISOTROPIC = 0.3  # fractional anisotropy from which e1 means something
_FEWEST, _SMALLEST_SHARE = 500, 0.1  # anisotropic voxels, and their share of the mask
_MOST = 10_000  # voxels that are looked at; more of them say no more
_NEIGHBOURHOOD = 20.0  # voxels that share their information, so that standard errors are honest
_CLEAR = 4.0  # standard errors
_STEPS = (1, 2)  # voxels; the second resolves components that the first rounds away


@cache
def axis_changes() -> dict[str, np.ndarray]:
    """Name -> the signed permutation (3, 3) it stands for, one of each pair Q and -Q; "as given" comes first."""
    changes: dict[str, np.ndarray] = {}
    for q in cube_symmetries():
        q = q if (q.sum(1) < 0).sum() < 2 else -q
        changes.setdefault(_name(q), q)
    return {"as given": changes.pop("as given"), **changes}


def _name(q: np.ndarray) -> str:
    """What a signed permutation x'_i = s_i x_{p_i} does to the axes, such as 'x and y swapped, z flipped'."""
    source = np.abs(q).argmax(1).tolist()
    moved = [i for i in range(3) if source[i] != i]
    parts = []
    if len(moved) == 2:
        parts.append(" and ".join("xyz"[i] for i in moved) + " swapped")
    elif moved:
        parts.append("x, y, z taken from " + ", ".join("xyz"[i] for i in source))
    parts += ["xyz"[i] + " flipped" for i in range(3) if q[i].sum() < 0]
    return ", ".join(parts) or "as given"


def _complexity(name: str) -> int:
    """How many axes a change moves, and how many it reverses."""
    return 3 * ("taken" in name) + 2 * ("swapped" in name) + name.count("flipped")


@dataclass(frozen=True)
class Coherence:
    """Mean |e1 . e1'| per candidate, and how many standard errors the best is above each of them."""

    scores: dict[str, float]
    lead: dict[str, float]

    def rivals(self) -> list[str]:
        """The candidates that are not clearly less coherent than the best, the simplest change first."""
        close = [name for name, lead in self.lead.items() if lead <= _CLEAR]
        return sorted(close, key=lambda name: (_complexity(name), -self.scores[name]))

    def better(self) -> str | None:
        """The simplest of the most coherent candidates, when the first candidate is none of them."""
        rivals = self.rivals()
        return None if next(iter(self.scores)) in rivals else rivals[0]

    def is_clear(self) -> bool:
        """Whether there is one most coherent candidate, or one that is simpler than its rivals."""
        rivals = self.rivals()
        return len(rivals) == 1 or _complexity(rivals[0]) < _complexity(rivals[1])

    def text(self, most: int = 3) -> str:
        """The scores of the first candidate and of the best others, on one line."""
        first = next(iter(self.scores))
        others = sorted((name for name in self.scores if name != first), key=lambda name: -self.scores[name])
        return "; ".join(f"{name} {self.scores[name]:.3f}" for name in [first, *others[: most - 1]])


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
    count = int(chosen.sum())
    if count < max(_FEWEST, _SMALLEST_SHARE * int(mask.sum())) or min(mask.shape) < 2:
        return None
    field = torch.zeros((3, *mask.shape))
    field[:, chosen] = principal_direction(planes[:, chosen], dim=0)
    position = chosen.nonzero()
    if count > _MOST:
        position = position[torch.randperm(count, generator=torch.Generator().manual_seed(0))[:_MOST]]
    directions = field[:, *position.unbind(1)].T

    def agreement(q: np.ndarray) -> Tensor:
        towards = directions @ torch.as_tensor(q.T, dtype=torch.float32) / torch.tensor(zooms[:3])
        towards = towards / towards.abs().amax(1, keepdim=True)
        steps = [(sign * length * towards).round().long() for length in _STEPS for sign in (1, -1)]
        return torch.stack([_follow(field, position, directions, step) for step in steps]).mean(0)

    per_voxel = {name: agreement(q) for name, q in candidates.items()}
    scores = {name: float(value.mean()) for name, value in per_voxel.items()}
    best = per_voxel[max(scores, key=lambda name: scores[name])]
    # neighbours share their information, the sample is drawn at random
    share = 1 / min(len(position), count / _NEIGHBOURHOOD)
    lead = {name: _standard_errors(best - value, share) for name, value in per_voxel.items()}
    return Coherence(scores, lead)


def _standard_errors(difference: Tensor, share: float) -> float:
    """Mean over its standard error, of which `share` is the square over the variance of a value."""
    spread = difference.std() * share**0.5
    return float(difference.mean() / spread) if spread > 0 else 0.0


def _follow(field: Tensor, position: Tensor, directions: Tensor, step: Tensor) -> Tensor:
    """|e1 . e1'| with e1' at position + step, zero outside the volume: (N,)."""
    size = torch.tensor(field.shape[1:])
    target = position + step
    inside = ((target >= 0) & (target < size)).all(1)
    x, y, z = target.clamp_min(0).minimum(size - 1).unbind(1)
    return (field[:, x, y, z].T * directions).sum(1).abs() * inside


class Axes(NamedTuple):
    """frame: its name.  to_voxel: (3, 3) from the axes of the file to voxel axes.  messages: what was found."""

    frame: str
    to_voxel: np.ndarray
    messages: list[str]


def check_frame(
    planes: Tensor,
    mask: Tensor,
    zooms: tuple[float, ...],
    to_voxel: dict[str, np.ndarray],
    given: bool,
    fix: bool = False,
) -> Axes:
    """Choose the reference axes, or test the given ones.

    Args:
        planes: (6, X, Y, Z) Mandel tensors in the axes of the file.
        mask: (X, Y, Z) bool.
        zooms: voxel sizes in mm.
        to_voxel: frame name -> (3, 3) to voxel axes; the first is the given or the usual one.
        given: whether the user named it: then it is kept, and only a warning can follow.
        fix: permute and reverse axes so that fibres are most coherent, where that is clear, instead of a warning.
    Returns:
        the axes to use, and messages.
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
    matrix = to_voxel[frame]
    changes = axis_changes()
    result = fibre_coherence(planes, mask, zooms, {name: q @ matrix for name, q in changes.items()})
    if result is None or (better := result.better()) is None:
        return Axes(frame, matrix, messages)
    others = len(result.rivals()) - 1
    scores = result.text() + (f"; the simplest of {others + 1} that fit alike" if others else "")
    if fix and result.is_clear():
        line = f"warning: b-vectors changed, {better} in frame {frame}: fibre coherence {scores}"
        return Axes(frame, changes[better] @ matrix, [*messages, line])
    line = f"warning: fibres are more coherent with {better} than in frame {frame} ({scores}); "
    line += "no choice is clearly the best, so b-vectors are kept" if fix else "check the b-vectors"
    return Axes(frame, matrix, [*messages, line])
