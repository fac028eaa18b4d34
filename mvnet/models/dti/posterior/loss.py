"""The objective of the posterior: the negative log-density of the target, in nats per voxel.

The denoiser is frozen and the head looks at one voxel at a time: the features of some patches are computed once, and
every step draws voxels from all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from mvnet.data_loaders.dti.training.dataset import example_seed
from mvnet.data_loaders.dti.training.pairs import PatchMaps
from mvnet.data_loaders.dti.training.referenced import ReferencedPair, ReferencedSet
from mvnet.equivariant import rms_squash
from mvnet.models.dti.inputs import training_planes
from mvnet.models.dti.loss import keep_trusted
from mvnet.models.dti.network import DTIDenoiser, bounded_log_error, centred_log
from mvnet.models.dti.posterior.inputs import head_inputs
from mvnet.models.dti.posterior.network import DTIPosterior


class Voxels(NamedTuple):
    """What the head learns from, of n voxels.

    Attributes:
        inputs: (C, n) of `mvnet.models.dti.posterior.inputs.head_inputs`.
        log_error: (1, n) of the denoiser.
        reference: (1, n), noise of the target per component.
        target: (6, n), centred log-tensors.
    """

    inputs: Tensor
    log_error: Tensor
    reference: Tensor
    target: Tensor


def posterior_loss(
    head: DTIPosterior, inputs: Tensor, log_error: Tensor, reference: Tensor, target: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch of `VoxelSet`, and the figures for the log.

    Args:
        head: what is trained, on any device; the batch is moved there.
        inputs, log_error, reference, target: as of `Voxels`, with a leading dim.
    Returns:
        the loss (), nats per voxel; "loss".
    """
    place = next(head.parameters()).device
    x, e, r, y = (t.transpose(0, 1).flatten(1).to(place) for t in (inputs, log_error, reference, target))
    loss = -head.log_density(head.laws_of(x, e, r), y).mean()
    return loss, {"loss": float(loss.detach())}


@torch.no_grad()
def voxel_features(
    denoiser: DTIDenoiser,
    pairs: Sequence[ReferencedPair] | ReferencedSet,
    progress: Callable[[int, int], None] | None = None,
) -> Voxels:
    """The features of patches.

    Args:
        denoiser: in eval mode, on any device.
        pairs: patches.
        progress: called as progress(done, total) after every patch.
    Returns:
        those of all voxels in the masks, on the CPU.
    """
    device = next(denoiser.parameters()).device
    parts = []
    for number in range(len(pairs)):
        noisy, target, mask, maps, reference = default_collate([pairs[number]])
        noisy, target, mask, reference = (t.to(device) for t in (noisy, target, mask, reference))
        features = training_planes(mask, PatchMaps(*(tensor.to(device) for tensor in maps)))
        h, proposal = denoiser.run_trunk(noisy, features)
        log_error = bounded_log_error(denoiser.error(rms_squash(h)))
        known = maps.available.to(noisy).view(-1, 1, 1, 1)
        z, _ = keep_trusted(noisy, proposal, maps.noise.to(noisy) * known * features[:, 0])
        x = head_inputs(h, z, noisy, features, log_error, reference)
        rows = (x, log_error, reference[:, None], centred_log(target))
        parts.append([t[0][:, mask[0]].cpu() for t in rows])
        if progress is not None:
            progress(number + 1, len(pairs))
    return Voxels(*(torch.cat(rows, 1) for rows in zip(*parts, strict=True)))


@dataclass
class VoxelSet(Dataset):
    """Voxels drawn at random; example i depends on (seed, i) alone.

    Args:
        voxels: to draw from.
        length: number of examples.
        size: voxels of an example.
        seed: of the draws.
    """

    voxels: Voxels
    length: int
    size: int = 1024
    seed: int = 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Voxels:
        generator = torch.Generator().manual_seed(example_seed(self.seed, index))
        chosen = torch.randint(self.voxels.inputs.shape[1], (self.size,), generator=generator)
        return Voxels(*(t[:, chosen] for t in self.voxels))
