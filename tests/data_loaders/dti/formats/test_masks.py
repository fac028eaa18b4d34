"""Given masks: kinds of values, other grids, several volumes."""

import nibabel
import numpy as np
import pytest
import torch

from mvnet.data_loaders.dti.formats.grids import check_grid
from mvnet.data_loaders.dti.masks import read_mask
from mvnet.data_loaders.errors import DataError

SHAPE = (12, 10, 6)
AFFINE = np.array([[-2.0, 0, 0, 10], [0, 2.0, 0, -8], [0, 0, 3.0, 4], [0, 0, 0, 1]])


def block() -> np.ndarray:
    """A box off the centre of the image."""
    inside = np.zeros(SHAPE, dtype=np.uint8)
    inside[6:11, 2:8, 1:4] = 1
    return inside


@pytest.fixture
def write(tmp_path):
    def write(values, affine=AFFINE, coded=True):
        image = nibabel.Nifti1Image(values, affine)
        image.set_sform(affine, code=1 if coded else 0)
        image.set_qform(affine, code=1 if coded else 0)
        nibabel.save(image, tmp_path / "mask.nii.gz")
        return tmp_path / "mask.nii.gz"

    return write


def test_values(write):
    box = block()
    for values, words in (
        (box, []),
        (np.where(box, 0.9, 0.4).astype(np.float32), ["probabilities: above 0.5"]),
        (box * np.int16(7) + (box * np.arange(SHAPE[0])[:, None, None] > 8).astype(np.int16), []),  # labels 7 and 8
        (np.where(box, 3.5, np.nan).astype(np.float32), []),
    ):
        for given in (write(values), values, torch.as_tensor(values), nibabel.Nifti1Image(values, AFFINE)):
            found, messages = read_mask(given, SHAPE, AFFINE)
            np.testing.assert_array_equal(found.numpy(), box > 0)
            assert len(messages) == len(words) and all(word in line for word, line in zip(words, messages))
    assert read_mask(box > 0, SHAPE)[0].sum() == box.sum()
    with pytest.raises(DataError, match="no voxel above zero"):
        read_mask(write(np.float32(0.5) * box), SHAPE, AFFINE)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
@pytest.mark.parametrize("flips", [(), (0,), (0, 1, 2)])
def test_a_mask_in_other_axes_is_turned(axes, flips, write):
    """The same voxels in the world, stored in another order."""
    values, affine = block(), AFFINE
    for axis in flips:
        values = np.flip(values, axis)
        step = np.eye(4)
        step[axis, axis], step[axis, 3] = -1, SHAPE[axis] - 1
        affine = affine @ step
    values = values.transpose(axes)
    affine = affine[:, [*axes, 3]]
    found, messages = read_mask(write(values, affine), SHAPE, AFFINE)
    np.testing.assert_array_equal(found.numpy(), block() > 0)
    assert (messages == []) == (not flips and axes == (0, 1, 2))
    assert all("turned to the image" in line for line in messages)


def test_a_mask_of_finer_voxels_is_resampled(write):
    fine = np.repeat(np.repeat(block(), 2, 0), 2, 1)
    affine = AFFINE.copy()
    affine[:, :2] /= 2
    affine[:3, 3] -= AFFINE[:3, :2].sum(1) / 4  # the first fine voxel lies half a fine voxel before the coarse centre
    found, messages = read_mask(write(fine, affine), SHAPE, AFFINE)
    # centres of coarse voxels lie on edges of fine ones
    assert (found.numpy() != (block() > 0)).mean() < 0.1
    assert len(messages) == 1 and messages[0].startswith("warning: ") and "resampled (nearest voxel)" in messages[0]
    larger = np.pad(block(), ((3, 1), (2, 2), (1, 0)))
    affine = AFFINE.copy()
    affine[:3, 3] -= AFFINE[:3, :3] @ [3, 2, 1]
    found, _ = read_mask(write(larger, affine), SHAPE, AFFINE)
    np.testing.assert_array_equal(found.numpy(), block() > 0)


def test_other_grids_are_refused_when_the_affines_do_not_help(write):
    larger = np.ones((16, 16, 6), np.uint8)
    for affine, coded in ((AFFINE, True), (np.diag([1.0, 1, 1, 1]), True), (np.diag([1.5, 1, 1, 1]), False)):
        with pytest.raises(DataError, match=r"mask: found shape .16, 16, 6. .*another grid than .12, 10, 6."):
            read_mask(write(larger, affine, coded), SHAPE, AFFINE)
    far = AFFINE.copy()
    far[0, 3] += 500
    with pytest.raises(DataError, match=r"shape .12, 10, 6. on another grid, which covers 0 % of the image"):
        read_mask(write(block(), far), SHAPE, AFFINE)
    near = AFFINE.copy()
    near[0, 3] += 12  # most of the grid, and little of the mask
    with pytest.raises(DataError, match=r"another grid, [0-4]?[0-9] % of it inside the image"):
        read_mask(write(block()[::-1].copy(), near), SHAPE, AFFINE)
    with pytest.raises(DataError, match=r"another grid than the image's, expected .12, 10, 6."):
        read_mask(larger, SHAPE, AFFINE)


def test_an_affine_without_an_inverse(write):
    image = nibabel.Nifti1Image(block(), AFFINE)
    assert image.affine is not None
    image.affine[:3, 2] = 0
    with pytest.raises(DataError, match="mask: found a singular affine, expected an invertible one"):
        read_mask(image, SHAPE, AFFINE)
    with pytest.raises(DataError, match="map: found a singular affine, expected an invertible one"):
        check_grid(image, SHAPE, AFFINE, "map")


def test_a_mask_without_a_place_is_used_as_it_lies(write):
    found, messages = read_mask(write(block(), np.eye(4)), SHAPE, AFFINE)
    np.testing.assert_array_equal(found.numpy(), block() > 0)
    assert messages == ["warning: the affine of the mask differs from the image's and says nothing; used as it lies"]


def test_a_mask_per_volume_is_refused(write):
    values = np.repeat(block()[..., None], 31, axis=3)
    with pytest.raises(DataError, match=r"several volumes, expected one of shape .12, 10, 6."):
        read_mask(write(values), SHAPE, AFFINE)
    assert read_mask(write(block()[..., None]), SHAPE, AFFINE)[0].sum() == block().sum()
