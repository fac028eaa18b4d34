"""The training set of the DTI denoiser: a seeded mixture of patches. Example i depends on (seed, i) alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils.data import Dataset

from mvnet.data_loaders.dti.frames import cube_symmetries
from mvnet.data_loaders.dti.gradients import is_b0
from mvnet.data_loaders.dti.simulation.schemes import spread_directions
from mvnet.data_loaders.dti.training.pairs import TensorField, TrainingPair, noisy_pair, split_pair
from mvnet.data_loaders.random_fields import log_uniform, uniform
from mvnet.errors import MvnetError

FEWEST_DIRECTIONS = 12  # of a scan that is split: two fits of six


def random_scheme(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A plausible acquisition: 1 to 6 b0, 6 to 64 spread directions, one shell near b = 1000 s/mm^2.

    The number of directions is log-uniform in one half of the draws, which is rich in short scans, and uniform in the
    other. Directions are picked one by one, each the candidate farthest from those before it (antipodes identified).
    """
    draw = log_uniform if uniform(0, 1, generator) < 0.5 else uniform
    n = round(draw(6, 64, generator))
    candidates = torch.nn.functional.normalize(torch.randn(8 * n, 3, generator=generator), dim=1)
    picked = spread_directions(candidates, n)
    b0 = int(torch.tensor([1, 1, 1, 2, 4, 6])[int(torch.randint(6, (1,), generator=generator))])
    b = uniform(700, 1300, generator)
    bvals = torch.cat([torch.zeros(b0), torch.full((n,), b)])
    return bvals, torch.cat([torch.zeros(b0, 3), candidates[picked]])


@dataclass
class TrainingSet(Dataset):
    """Patches cut at random, transformed by a random symmetry of the cube, made noisy.

    Args:
        truths: (weight, field) of fields taken as the truth of simulated noise.
        scans: (weight, field) of fields with measured signals, split by directions.
        length: number of pairs.
        patch: voxels along each side.
        augment: transform the patches; an equivariant network learns the same either way.
        p_without_acquisition: probability that an example has no maps of the acquisition, as a file of tensors.
        snr: range of the white-matter signal-to-noise ratio, drawn log-uniformly.
        seed: of everything.
    Raises:
        ValueError: when a patch does not fit into a field, or a scan has too few directions to be split.
    """

    truths: Sequence[tuple[float, TensorField]]
    scans: Sequence[tuple[float, TensorField]] = ()
    length: int = 1000
    patch: int = 16
    augment: bool = True
    p_without_acquisition: float = 0.15
    snr: tuple[float, float] = (5.0, 60.0)
    seed: int = 0
    _weights: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        largest = min(volume.largest_patch() for _, volume in (*self.truths, *self.scans))
        if not 1 <= self.patch <= largest:
            raise MvnetError(
                f"patch: found {self.patch}, expected 1 to {largest}, which fits into every training volume"
            )
        for _, scan in self.scans:
            count = 0 if scan.bvals is None else int((~is_b0(scan.bvals)).sum())
            if count < FEWEST_DIRECTIONS:
                raise MvnetError(f"scans: found {count} directions, expected at least {FEWEST_DIRECTIONS}")
        self._weights = torch.tensor([weight for weight, _ in (*self.truths, *self.scans)])

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> TrainingPair:
        generator = torch.Generator().manual_seed((self.seed << 40) + index)
        pair = self._pair(generator)
        # the gain of the scanner is known to the median of a volume, not to that of a patch
        gain = math.exp(uniform(-0.2, 0.2, generator))
        available = uniform(0, 1, generator) >= self.p_without_acquisition
        maps = pair.maps._replace(b0=pair.maps.b0 / gain, available=torch.tensor(available))
        return pair._replace(maps=maps)

    def _pair(self, generator: torch.Generator) -> TrainingPair:
        which = int(torch.multinomial(self._weights, 1, generator=generator))
        source = (*self.truths, *self.scans)[which][1].patch(self.patch, generator)
        symmetry = cube_symmetries()[int(torch.randint(48, (1,), generator=generator))]
        if self.augment:
            source = source.transform(symmetry)
        if which >= len(self.truths):
            assert source.bvals is not None
            most = int((~is_b0(source.bvals)).sum()) // 2
            directions = round(log_uniform(6, most, generator))
            return split_pair(source, directions, generator)
        bvals, bvecs = random_scheme(generator)
        snr = log_uniform(*self.snr, generator)
        return noisy_pair(source, bvals, bvecs, snr, generator)
