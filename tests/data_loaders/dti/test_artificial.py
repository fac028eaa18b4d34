"""The artificial SPD image, against the copy that other software stored."""

import pytest
import torch

from mvnet.data_loaders.dti.simulation.artificial import artificial_spd_image


@pytest.mark.parametrize(("size", "smallest"), [(25, 0.264), (64, 0.267)])
def test_smallest_eigenvalue(size, smallest):
    image = artificial_spd_image(size)
    assert image.shape == (size, size, 3, 3)
    torch.testing.assert_close(image, image.mT)
    assert torch.linalg.eigvalsh(image).min().item() == pytest.approx(smallest, abs=1e-3)


def test_without_jump_eigenvalues_sum_to_six():
    trace = artificial_spd_image(12, jump=0.0).diagonal(dim1=-2, dim2=-1).sum(-1)
    torch.testing.assert_close(trace, torch.full_like(trace, 6.0))


def test_stored_image_is_reproduced(data_root):
    from scipy.io import loadmat

    stored = torch.tensor(loadmat(data_root / "dti/mvirt_spd/SPDImage-data.mat")["f"]).permute(2, 3, 0, 1)
    torch.testing.assert_close(artificial_spd_image(25), stored, rtol=0, atol=1e-13)


def test_size_is_checked():
    with pytest.raises(ValueError, match="size"):
        artificial_spd_image(1)
