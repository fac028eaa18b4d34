"""The training set of the DTI denoiser: a seeded mixture of patches. Example i depends on (seed, i) alone.

What a truth is made noisy with is wider than any one scanner: b-values of 300 to 3000 s/mm^2 in one shell or two, noise
that an interpolation has correlated or that varies over the patch, implanted lesions, sheets and wires, and tissue
whose diffusivity is far from that of the rest of its volume.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.utils.data import Dataset

from mvnet.data_loaders.dti.frames import cube_symmetries
from mvnet.data_loaders.dti.gradients import is_b0
from mvnet.data_loaders.dti.simulation.lesions import implant_lesions
from mvnet.data_loaders.dti.simulation.schemes import spread_directions
from mvnet.data_loaders.dti.training.pairs import (
    NoiseModel,
    TensorField,
    TrainingPair,
    noisy_pair,
    scanned_pair,
    split_pair,
)
from mvnet.data_loaders.random_fields import log_uniform, uniform
from mvnet.errors import MvnetError

_FAINT = 700.0  # s/mm^2, below which a scan needs more signal to say as much
_MOST_LESIONS = 6
_UNUSUAL = (0.35, 2.5)  # times the median diffusivity of the volume
FEWEST_DIRECTIONS = 12  # of a scan that is split: two fits of six


def random_scheme(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A plausible acquisition: 1 to 6 b0, 6 to 64 spread directions, mostly one shell near b = 1000 s/mm^2.

    A tenth of the draws has any b-value of 300 to 3000, and a sixth a second shell with half of the directions. The
    number of directions is log-uniform in one half of the draws, which is rich in short scans, and uniform in the
    other. Directions are picked one by one, each the candidate farthest from those before it (antipodes identified).
    """
    draw = log_uniform if uniform(0, 1, generator) < 0.5 else uniform
    n = round(draw(6, 64, generator))
    candidates = torch.nn.functional.normalize(torch.randn(8 * n, 3, generator=generator), dim=1)
    picked = spread_directions(candidates, n)
    b0 = int(torch.tensor([1, 1, 1, 2, 4, 6])[int(torch.randint(6, (1,), generator=generator))])
    b = log_uniform(300, 3000, generator) if uniform(0, 1, generator) < 0.1 else uniform(700, 1300, generator)
    shell = torch.full((n,), b)
    if uniform(0, 1, generator) < 1 / 6:
        shell[::2] *= uniform(0.3, 0.8, generator)
    bvals = torch.cat([torch.zeros(b0), shell])
    return bvals, torch.cat([torch.zeros(b0, 3), candidates[picked]])


@dataclass
class TrainingSet(Dataset):
    """Patches cut at random, transformed by a random symmetry of the cube, made noisy.

    Args:
        truths: (weight, field) of fields taken as the truth of simulated noise.
        scans: (weight, field) of fields with measured signals, split by directions.
        scanned: (weight, field) of fields with simulated signals and the truth behind them.
        length: number of pairs.
        patch: voxels along each side.
        augment: transform the patches; an equivariant network learns the same either way.
        p_lesions: probability that a truth gets lesions.
        p_unusual: probability that the diffusivity of a truth is not near the median of its volume.
        p_without_acquisition: probability that an example has no maps of the acquisition, as a file of tensors.
        snr: range of the white-matter signal-to-noise ratio, drawn log-uniformly.
        seed: of everything.
    Raises:
        MvnetError: a patch larger than the slices of a volume, or a scan with too few directions to be split.
    """

    truths: Sequence[tuple[float, TensorField]]
    scans: Sequence[tuple[float, TensorField]] = ()
    scanned: Sequence[tuple[float, TensorField]] = ()
    length: int = 1000
    patch: int = 16
    augment: bool = True
    p_lesions: float = 0.15
    p_unusual: float = 0.05
    p_without_acquisition: float = 0.15
    snr: tuple[float, float] = (4.0, 120.0)
    seed: int = 0
    _weights: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        largest = min(volume.largest_patch() for _, volume in (*self.truths, *self.scans, *self.scanned))
        if not 1 <= self.patch <= largest:
            raise MvnetError(f"patch: found {self.patch}, expected 1 to {largest}, as the slices of every volume hold")
        for _, scan in self.scans:
            count = 0 if scan.bvals is None else int((~is_b0(scan.bvals)).sum())
            if count < FEWEST_DIRECTIONS:
                raise MvnetError(f"scans: found {count} directions, expected at least {FEWEST_DIRECTIONS}")
        self._weights = torch.tensor([weight for weight, _ in (*self.truths, *self.scans, *self.scanned)])

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> TrainingPair:
        generator = torch.Generator().manual_seed(example_seed(self.seed, index))
        which, source = self.draw_source(generator)
        return self.vary_maps(self.make_pair(which, source, generator)[0], generator)

    def draw_source(self, generator: torch.Generator) -> tuple[int, TensorField]:
        """A patch of one of the fields, transformed; and the number of the field, those of truths first.

        Args:
            generator: of the example.
        Returns:
            the number and the patch.
        """
        which = int(torch.multinomial(self._weights, 1, generator=generator))
        source = (*self.truths, *self.scans, *self.scanned)[which][1].patch(self.patch, generator)
        symmetry = cube_symmetries()[int(torch.randint(48, (1,), generator=generator))]
        return which, source.transform(symmetry) if self.augment else source

    def make_pair(self, which: int, source: TensorField, generator: torch.Generator) -> tuple[TrainingPair, float]:
        """A patch made noisy, with its target, and the share of a scan's directions that the target was fitted to.

        Args:
            which, source: of `draw_source`.
            generator: of the example.
        Returns:
            the pair, and the share: 1 where the target is the field itself.
        """
        if which >= len(self.truths):
            assert source.bvals is not None
            most = int((~is_b0(source.bvals)).sum())
            if which >= len(self.truths) + len(self.scans):
                return scanned_pair(source, round(log_uniform(6, most, generator)), generator), 1.0
            count = round(log_uniform(6, most // 2, generator))
            return split_pair(source, count, generator), 1 - count / most
        source = self._vary(source, generator)
        bvals, bvecs = random_scheme(generator)
        snr = log_uniform(*self.snr, generator) * max(1.0, _FAINT / float(bvals.max()))
        return noisy_pair(source, bvals, bvecs, snr, generator, _noise_model(generator)), 1.0

    def vary_maps(self, pair: TrainingPair, generator: torch.Generator) -> TrainingPair:
        """The gain of the scanner is known to the median of a volume, not to that of a patch; or no map is known.

        Args:
            pair: of `make_pair`.
            generator: of the example.
        Returns:
            the pair with other maps.
        """
        gain = math.exp(uniform(-0.2, 0.2, generator))
        available = uniform(0, 1, generator) >= self.p_without_acquisition
        maps = pair.maps._replace(b0=pair.maps.b0 / gain, available=torch.tensor(available))
        return pair._replace(maps=maps)

    def _vary(self, truth: TensorField, generator: torch.Generator) -> TensorField:
        """With lesions, or of another diffusivity than that of the volume it was cut from."""
        tensors, s0 = truth.tensors, truth.s0
        if uniform(0, 1, generator) < self.p_unusual:
            tensors = tensors * log_uniform(*_UNUSUAL, generator)
        if uniform(0, 1, generator) < self.p_lesions:
            count = int(torch.randint(1, _MOST_LESIONS + 1, (1,), generator=generator))
            tensors, s0 = implant_lesions(tensors, s0, truth.mask, count, generator)
        return replace(truth, tensors=tensors, s0=s0)


def example_seed(seed: int, index: int) -> int:
    """The 32 bits that seed the generator of example `index`: another permutation of the numbers for every seed.

    torch's generator takes no more bits; an odd factor keeps different seeds apart, and seed 0 counts from 0.
    """
    return index % 2**32 ^ (seed * 0x9E3779B1) % 2**32


def _noise_model(generator: torch.Generator) -> NoiseModel:
    """White noise of one level in seven tenths of the draws."""
    kind = uniform(0, 1, generator)
    correlation = uniform(0.3, 0.7, generator) if kind < 0.2 else 0.0
    variation = uniform(0.1, 0.4, generator) if 0.12 < kind < 0.3 else 0.0
    return NoiseModel(correlation, variation)
