"""Training pairs: seeds reproduce them, symmetries act as a group, noise is independent of its target."""

from dataclasses import replace
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mvnet.data_loaders.dti.fitting import design_matrix
from mvnet.data_loaders.dti.frames import cube_symmetries, rotate
from mvnet.data_loaders.dti.gradients import is_b0
from mvnet.data_loaders.dti.training.dataset import TrainingSet, example_seed, random_scheme
from mvnet.data_loaders.dti.training.fields import crop_centre, field_of, resample, scanned_field
from mvnet.data_loaders.dti.training.pairs import (
    NoiseModel,
    PatchMaps,
    TensorField,
    TrainingPair,
    _noise_fields,
    noisy_pair,
    scanned_pair,
    split_pair,
)
from mvnet.data_loaders.dti.volume import DTIVolume, RepairReport
from mvnet.linalg import sym3
from mvnet.manifolds import SPD


def field(n: int = 14, seed: int = 0, noise: float = 0.02) -> TensorField:
    """A random smooth-less field of plausible tensors with a simulated scan of 40 directions."""
    random = torch.Generator().manual_seed(seed)
    logs = 0.3 * torch.randn(6, n, n, n, generator=random)
    tensors = 0.75 * sym3.exp(logs, dim=0)
    mask = torch.rand(n, n, n, generator=random) > 0.2
    directions = torch.nn.functional.normalize(torch.randn(40, 3, generator=random), dim=1)
    bvecs = torch.cat([torch.zeros(1, 3), directions])
    bvals = torch.cat([torch.zeros(1), torch.full((40,), 1000.0)])
    clean = (tensors.movedim(0, -1) @ design_matrix(bvals, bvecs)[:, :6].T).exp()
    dwi = torch.hypot(
        clean + noise * torch.randn(clean.shape, generator=random),
        noise * torch.randn(clean.shape, generator=random),
    )
    return TensorField(tensors, mask, torch.ones(n, n, n), ((0, n),), dwi, bvals, bvecs)


def test_the_cube_has_48_symmetries_that_rotate_tensors_as_matrices():
    elements = cube_symmetries()
    assert len({tuple(q.ravel()) for q in elements}) == 48
    point = SPD(3).random_point((1,), generator=torch.Generator().manual_seed(0), dtype=torch.float64)[0]
    for q in elements:
        rotation = torch.from_numpy(q)
        expected = sym3.pack(rotation @ point @ rotation.T, dim=0)
        torch.testing.assert_close(rotate(sym3.pack(point, dim=0), q), expected, rtol=0, atol=1e-15)


def test_symmetries_of_the_cube_keep_their_order():
    """Training draws their number: permutations in lexicographic order, then signs from positive to negative."""
    expected = product(permutations(range(3)), product((1, -1), repeat=3))
    for q, (permutation, signs) in zip(cube_symmetries(), expected, strict=True):
        assert [int(q[i, p]) for i, p in enumerate(permutation)] == list(signs)


@pytest.mark.parametrize("element", cube_symmetries()[1::11])
def test_turning_a_scan_turns_its_tensors(element):
    """Signals, b-vectors and tensors turn together: the turned tensors still predict the turned signals."""
    source = field(8, noise=0.0).transform(element)
    assert source.dwi is not None and source.bvals is not None and source.bvecs is not None
    predicted = (source.tensors.movedim(0, -1) @ design_matrix(source.bvals, source.bvecs)[:, :6].T).exp()
    torch.testing.assert_close(predicted, source.dwi, rtol=1e-4, atol=1e-5)


def test_noiseless_pair_returns_the_truth():
    random = torch.Generator().manual_seed(1)
    source = field()
    pair = noisy_pair(source, *random_scheme(random), snr=1e6, generator=random)
    torch.testing.assert_close(pair.noisy[:, pair.mask], source.tensors[:, pair.mask], rtol=1e-2, atol=2e-3)


def test_noise_map_predicts_the_error_of_the_fit():
    random = torch.Generator().manual_seed(1)
    source = field()
    pair = noisy_pair(source, source.bvals, source.bvecs, snr=30.0, generator=random)  # type: ignore[arg-type]
    from mvnet.metrics import affine_invariant_error

    error = affine_invariant_error(pair.noisy, pair.target, dim=0)[pair.mask]
    expected = (6 * pair.maps.noise[pair.mask].square().mean()).sqrt()
    assert abs(float(error.square().mean().sqrt() / expected) - 1) < 0.1


def test_split_uses_disjoint_directions():
    source = field(noise=0.0)
    pair = split_pair(source, 20, torch.Generator().manual_seed(0))
    torch.testing.assert_close(pair.noisy[:, pair.mask], pair.target[:, pair.mask], rtol=1e-2, atol=1e-3)
    with pytest.raises(ValueError, match="found 38"):
        split_pair(source, 38, torch.Generator())


def test_directions_that_do_not_determine_a_tensor_leave_that_of_typical_tissue():
    """Signals of volumes that count nothing: the fit has no answer."""
    whole = field(5)
    assert whole.dwi is not None
    dwi = whole.dwi.clone()
    dwi[2, 2, 2, 1:] = torch.nan
    pair = split_pair(replace(whole, dwi=dwi, mask=torch.ones_like(whole.mask)), 6, torch.Generator().manual_seed(0))
    assert pair.noisy.isfinite().all() and pair.target.isfinite().all()
    torch.testing.assert_close(pair.noisy[:, 2, 2, 2], pair.target[:, 2, 2, 2])


@pytest.mark.parametrize("index", [0, 3, 17])
def test_examples_depend_on_seed_and_index_alone(index: int):
    data = [TrainingSet([(0.5, field())], [(0.5, field())], length=20, patch=8, seed=5) for _ in range(2)]
    torch.testing.assert_close(data[0][index], data[1][index], rtol=0, atol=0)
    noisy, target, mask, maps = data[0][index]
    assert noisy.shape == target.shape == (6, 8, 8, 8)
    assert mask.shape == maps.b0.shape == maps.noise.shape == maps.residual.shape == (8, 8, 8)
    assert bool((sym3.eigvals(noisy, dim=0) > 0).all())


def test_batches_survive_the_data_loader():
    data = TrainingSet([(0.5, field())], [(0.5, field())], length=4, patch=8, p_without_acquisition=0.5, seed=5)
    batch = next(iter(DataLoader(data, 4)))
    assert isinstance(batch, TrainingPair) and isinstance(batch.maps, PatchMaps)
    assert batch.mask.shape == batch.maps.b0.shape == (4, 8, 8, 8)
    assert batch.maps.spacing.shape == (4, 3) and batch.maps.available.shape == (4,)


def test_patches_are_turned_when_asked():
    source = field()
    known = {tuple(column) for column in source.tensors[:, source.mask].T.tolist()}
    for augment in (False, True):
        data = TrainingSet([(1.0, source)], length=8, patch=8, augment=augment, p_lesions=0, p_unusual=0, seed=5)
        targets = torch.cat([pair.target[:, pair.mask] for pair in map(data.__getitem__, range(8))], 1)
        assert ({tuple(column) for column in targets.T.tolist()} <= known) is not augment


def test_a_weighting_of_50_counts_as_weighted_in_training():
    source = field(noise=0.0)
    assert source.bvals is not None
    weak = replace(source, bvals=torch.where(torch.arange(41) == 7, 50.0, source.bvals))
    assert weak.bvals is not None and int(is_b0(weak.bvals).sum()) == 1
    with pytest.raises(ValueError, match="6 to 34 of 40"):
        split_pair(weak, 35, torch.Generator())


def test_random_schemes_are_spread():
    for seed in range(5):
        bvals, bvecs = random_scheme(torch.Generator().manual_seed(seed))
        directions = bvecs[bvals > 50]
        assert 6 <= len(directions) <= 64
        assert float(torch.linalg.cond(design_matrix(bvals, bvecs))) < 60


def test_resampling_a_constant_field_changes_nothing_and_respects_slabs():
    source = field(20)
    constant = torch.tensor([0.9, 0.7, 0.5, 0.1, 0.0, 0.1]).view(6, 1, 1, 1).expand(6, 20, 20, 20)
    whole = TensorField(constant, torch.ones_like(source.mask), source.s0, ((0, 5), (11, 20)))
    small = resample(whole, (0.7, 0.7, 0.7))
    assert small.mask.shape == (14, 14, 14) and small.slice_ranges == ((0, 3), (8, 14))
    torch.testing.assert_close(small.tensors, constant[:, :14, :14, :14], rtol=1e-4, atol=1e-5)


def test_a_share_is_a_box_around_the_middle_and_thick_slices_are_told():
    source = field(20)
    half = crop_centre(source, 0.25)
    assert half.mask.shape == (10, 10, 20) and half.slice_ranges == source.slice_ranges
    torch.testing.assert_close(half.tensors, source.tensors[:, 5:15, 5:15], rtol=0, atol=0)
    thick = resample(source, (1.0, 1.0, 0.5))
    assert thick.mask.shape == (20, 20, 10) and thick.spacing == (1.0, 1.0, 2.0)
    assert thick.transform(np.array([[0, 0, 1], [-1, 0, 0], [0, 1, 0]])).spacing == (2.0, 1.0, 1.0)


def test_slices_that_are_left_out_are_in_no_range():
    depth = 9
    tensors = torch.ones(6, 4, 4, depth)
    volume = DTIVolume(tensors, tensors[0] > 0, np.eye(4), None, "fsl", "um2/ms", "voxel", RepairReport(voxels=144))
    assert field_of(volume).slice_ranges == ((0, depth),)
    assert field_of(volume, slice(2, 4)).slice_ranges == ((0, 2), (4, depth))
    assert field_of(volume, slice(5, 7), slice(0, 0), slice(2, 6)).slice_ranges == ((0, 2), (6, 6), (7, depth))


def test_every_seed_draws_other_examples():
    """The generator takes 32 bits, and all of them tell."""
    seeds = [[example_seed(seed, index) for index in range(1000)] for seed in (0, 1, 2, 2**23 - 1)]
    assert seeds[0] == list(range(1000))
    assert len({number for numbers in seeds for number in numbers}) == 4000
    first, second = (TrainingSet([(1.0, field())], length=4, patch=8, seed=seed)[0] for seed in (1, 2))
    assert not torch.equal(first.noisy, second.noisy)


def test_a_thin_slab_is_filled_with_voxels_outside_the_mask():
    source = replace(field(), slice_ranges=((3, 8),))
    patch = source.patch(12, torch.Generator().manual_seed(0))
    assert patch.mask.shape == (12, 12, 12) and not patch.mask[:, :, 5:].any() and patch.mask[:, :, :5].any()
    assert patch.dwi is not None and patch.dwi.shape == (12, 12, 12, 41)
    assert bool((sym3.eigvals(patch.tensors, dim=0) > 0).all())
    with pytest.raises(ValueError, match="expected one of at least one slice"):
        replace(field(), slice_ranges=((3, 3),)).patch(4, torch.Generator())


def test_interpolated_noise_keeps_its_variance_and_resembles_its_neighbours():
    random = torch.Generator().manual_seed(0)
    mask = torch.ones(20, 20, 20, dtype=torch.bool)
    white, smooth = (_noise_fields(NoiseModel(width), mask, 10, random) for width in (0.0, 0.6))
    kernel = np.exp(-(np.arange(-4, 5) ** 2) / (2 * 0.6**2))
    for noise, alike in ((white, 0.0), (smooth, (kernel[1:] * kernel[:-1]).sum() / (kernel**2).sum())):
        assert noise.shape == (2, 10, 20, 20, 20)
        assert float(noise.var()) == pytest.approx(1, abs=0.03)
        neighbours = (noise[..., 1:] * noise[..., :-1]).mean()
        assert float(neighbours) == pytest.approx(alike, abs=0.02)
    varied = _noise_fields(NoiseModel(0.0, 0.4), mask, 200, random).square().mean((0, 1)).sqrt()
    assert float(varied.max() / varied.min()) > 1.3


def test_a_scan_with_its_truth_is_read_and_asks_for_the_truth(tmp_path):
    source = field(noise=0.05)
    assert source.bvals is not None and source.bvecs is not None and source.dwi is not None
    clean = (source.tensors.movedim(0, -1) @ design_matrix(source.bvals, source.bvecs)[:, :6].T).exp()
    parts = {"noisy": source.dwi, "clean": clean, "mask": source.mask, "bvals": source.bvals, "bvecs": source.bvecs}
    arrays: dict[str, Any] = {name: value.numpy() for name, value in parts.items()}
    np.savez(tmp_path / "scan.npz", **arrays, spacing=np.array([2.0, 2.0, 3.0]))
    read = scanned_field(tmp_path / "scan.npz")
    inside = read.mask
    torch.testing.assert_close(read.tensors[:, inside], source.tensors[:, inside], rtol=1e-3, atol=1e-3)
    pair = scanned_pair(read, 12, torch.Generator().manual_seed(0))
    assert torch.equal(pair.target[:, inside], read.tensors[:, inside])
    assert torch.equal(pair.maps.spacing, torch.tensor([2.0, 2.0, 3.0], dtype=torch.float64))
    np.savez(tmp_path / "half.npz", **{k: v for k, v in arrays.items() if k != "clean"}, spacing=np.ones(3))
    with pytest.raises(ValueError, match="found no clean, expected noisy, clean"):
        scanned_field(tmp_path / "half.npz")
