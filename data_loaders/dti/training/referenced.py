"""Training pairs that say how noisy their targets are themselves: what a posterior of the truth has to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.data_loaders.dti.fitting import acquisition_maps, clip_eigenvalues, design_matrix
from mvnet.data_loaders.dti.training.dataset import TrainingSet, example_seed
from mvnet.data_loaders.dti.training.pairs import VISIBLE, PatchMaps, TensorField

LARGEST_NOISE = 2.0
"""Per component of a log-tensor: a fit with more says nothing, however much more."""


class ReferencedPair(NamedTuple):
    """A `TrainingPair`, and the affine-invariant noise (n, n, n) per component of its target; 0 for a clean one."""

    noisy: Tensor
    target: Tensor
    mask: Tensor
    maps: PatchMaps
    reference: Tensor


@dataclass
class ReferencedSet(TrainingSet):
    """The examples of a `TrainingSet`, each with the noise of its target.

    A truth with measured signals is the fit of a scan, whose noise is its own; one without them, and that of a
    simulated scanner, is taken as clean. Targets of split scans have the noise of the directions that they were fitted
    to.
    """

    def __getitem__(self, index: int) -> ReferencedPair:  # type: ignore[override]
        generator = torch.Generator().manual_seed(example_seed(self.seed, index))
        which, source = self.draw_source(generator)
        pair, share = self.make_pair(which, source, generator)
        pair = self.vary_maps(pair, generator)
        clean = source.dwi is None or which >= len(self.truths) + len(self.scans)
        noise = torch.zeros_like(pair.noisy[0]) if clean else noise_of(source) / share**0.5
        return ReferencedPair(*pair, noise)


def noise_of(field: TensorField) -> Tensor:
    """Affine-invariant noise per component of tensors that were fitted to the signals of a field.

    Args:
        field: with its signals.
    Returns:
        (n, n, n), 0 outside the mask, `LARGEST_NOISE` at most.
    """
    assert field.dwi is not None and field.bvals is not None and field.bvecs is not None
    mask = field.mask
    signal, log_s0 = field.dwi[mask].to(field.tensors), field.s0[mask].clamp_min(1e-6).log()
    tensors = clip_eigenvalues(field.tensors[:, mask].T, *VISIBLE)
    design = design_matrix(field.bvals, field.bvecs).to(signal)
    return acquisition_maps(signal, tensors, log_s0, design, mask).noise.clamp_max(LARGEST_NOISE)
