"""Small findings in a tensor field: blobs of one to four voxels, one-voxel sheets and wires.

What a denoiser must not erase, and what smooth simulated anatomies lack. A blob changes the mean diffusivity and the
anisotropy of the tissue it lies in; a sheet or a wire (thin cortex, a thin tract) has tensors of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.data_loaders.dti.simulation.bundles import axial_tensor
from mvnet.data_loaders.random_fields import log_uniform, uniform
from mvnet.linalg import sym3
from mvnet.metrics import REFERENCE_DIFFUSIVITY

KINDS = ("blob", "blob", "blob", "sheet", "wire")
_SMALLEST, _LARGEST = 0.12, 3.5  # um^2/ms, eigenvalues of tissue and water
_DIFFUSIVITY = (0.45, 2.2)  # factor of a lesion's mean diffusivity


def implant_lesions(
    tensors: Tensor, s0: Tensor, mask: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Copies of a field with lesions at random places.

    Args:
        tensors: (6, X, Y, Z) Mandel, um^2/ms, positive definite in the mask.
        s0: (X, Y, Z) signal without weighting.
        mask: (X, Y, Z) bool; nothing changes outside.
        count: number of lesions.
        generator: source of all random numbers.
    Returns:
        tensors and s0.
    """
    tensors, s0 = tensors.clone(), s0.clone()
    for _ in range(count):
        kind = KINDS[int(torch.randint(len(KINDS), (1,), generator=generator))]
        here = _shape(kind, tuple(mask.shape), generator) & mask
        n = int(here.sum())
        if n == 0:
            continue
        tensors[:, here] = _changed(tensors[:, here], generator) if kind == "blob" else _thin(n, generator)
        s0[here] = s0[here] * log_uniform(0.75, 1.5, generator)
    return tensors, s0


def _shape(kind: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """The voxels (X, Y, Z) of a blob of up to four voxels a side, of a sheet one voxel thick, or of a wire."""
    sides = [int(torch.randint(1, 5, (1,), generator=generator))] * 3
    if kind == "blob" and uniform(0, 1, generator) < 0.5:
        sides = [int(torch.randint(1, 5, (1,), generator=generator)) for _ in range(3)]
    axis = int(torch.randint(3, (1,), generator=generator))
    if kind != "blob":
        length = int(torch.randint(5, 13, (1,), generator=generator))
        sides = [1 if (a == axis) == (kind == "sheet") else length for a in range(3)]
    here = torch.zeros(shape, dtype=torch.bool)
    corner = [int(torch.randint(max(n - s, 0) + 1, (1,), generator=generator)) for n, s in zip(shape, sides)]
    here[tuple(slice(c, c + s) for c, s in zip(corner, sides))] = True
    return here


def _changed(tensors: Tensor, generator: torch.Generator) -> Tensor:
    """log D -> log D + log f on the isotropic part, times a on the deviatoric part, of one factor each: (6, n)."""
    factor, anisotropy = log_uniform(*_DIFFUSIVITY, generator), uniform(0.0, 1.6, generator)
    logs = sym3.log(tensors, dim=0)
    mean = logs[:3].mean(0)
    deviatoric = torch.cat([logs[:3] - mean, logs[3:]]) * anisotropy
    deviatoric[:3] += mean + torch.tensor(factor).log()
    low, high = torch.tensor(_SMALLEST).log().item(), torch.tensor(_LARGEST).log().item()
    return sym3.exp(_bound(deviatoric, low, high), dim=0)


def _bound(logs: Tensor, low: float, high: float) -> Tensor:
    """The deviatoric part shrunk, and the mean moved, so that eigenvalues stay in [low, high]: (6, n)."""
    mean = logs[:3].mean(0).clamp(low + 0.1, high - 0.1)
    deviatoric = torch.cat([logs[:3] - logs[:3].mean(0), logs[3:]])
    values = sym3.eigvals(deviatoric, dim=0)
    room = torch.minimum((high - mean) / values[2].clamp_min(1e-6), (mean - low) / (-values[0]).clamp_min(1e-6))
    deviatoric = deviatoric * room.clamp(0, 1)
    deviatoric[:3] += mean
    return deviatoric


def _thin(n: int, generator: torch.Generator) -> Tensor:
    """n equal tensors of a tract or of grey matter, of random direction: (6, n)."""
    direction = torch.nn.functional.normalize(torch.randn(1, 3, generator=generator), dim=1)
    side = torch.nn.functional.normalize(torch.randn(3, generator=generator), dim=0)
    md = REFERENCE_DIFFUSIVITY * log_uniform(0.7, 1.6, generator)
    fa = uniform(0.05, 0.85, generator)
    return axial_tensor(direction, side, torch.tensor([md]), torch.tensor([fa])).expand(6, n)
