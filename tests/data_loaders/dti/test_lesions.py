"""Implanted lesions: reproducible, inside the mask, of the sizes that denoisers erase, with plausible tensors."""

import torch

from mvnet.data_loaders.dti.simulation.lesions import implant_lesions
from mvnet.linalg import sym3

SHAPE = (14, 12, 10)


def implant(seed: int, count: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Changed voxels, tensors and mask."""
    random = torch.Generator().manual_seed(seed)
    tensors = 0.8 * sym3.exp(0.3 * torch.randn(6, *SHAPE, generator=random), dim=0)
    mask = torch.rand(SHAPE, generator=random) < 0.9
    given = tensors.clone()
    out, s0 = implant_lesions(tensors, torch.ones(SHAPE), mask, count, random)
    assert torch.equal(tensors, given) and torch.equal(s0 != 1, (out != given).any(0) & (s0 != 1))
    return (out != given).any(0), out, mask


def test_lesions_are_small_plausible_and_inside():
    for seed in range(40):
        changed, out, mask = implant(seed)
        assert not bool((changed & ~mask).any())
        assert int(changed.sum()) <= 12 * 12
        values = sym3.eigvals(out[:, changed], dim=0)
        assert values.numel() == 0 or (float(values.min()) > 0.02 and float(values.max()) < 3.6)


def test_single_voxels_sheets_and_wires_occur():
    extents = set()
    for seed in range(60):
        changed, _, _ = implant(seed)
        used = changed.nonzero()
        if len(used):
            extents.add(tuple(sorted((used.amax(0) - used.amin(0) + 1).tolist())))
    assert (1, 1, 1) in extents
    assert any(a == 1 and b >= 4 for a, b, _ in extents)  # a sheet
    assert any(a == b == 1 and c >= 4 for a, b, c in extents)  # a wire
