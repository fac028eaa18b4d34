"""Maps of a tensor volume against the eigenvalues of its tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mvnet.linalg import sym3
from mvnet.models.dti.maps import TensorMaps

SHAPE = (4, 3, 5)


@pytest.fixture
def maps(generator) -> TensorMaps:
    root = torch.randn(*SHAPE, 3, 3, generator=generator)
    planes = sym3.pack(root @ root.mT, dim=-1).movedim(-1, 0).contiguous()
    return TensorMaps.of(planes, torch.rand(SHAPE, generator=generator) > 0.3)


def test_maps_are_those_of_the_eigenvalues(maps):
    w, v = torch.linalg.eigh(sym3.unpack(maps.planes.movedim(0, -1).contiguous(), dim=-1).double())
    fa = (1.5 * (w - w.mean(-1, keepdim=True)).square().sum(-1) / w.square().sum(-1)).sqrt() * maps.mask
    torch.testing.assert_close(maps.fa.double(), fa, atol=1e-5, rtol=0)
    torch.testing.assert_close(maps.md.double(), w.mean(-1) * maps.mask, atol=1e-5, rtol=1e-5)
    cosine = (maps.v1.movedim(0, -1).double() * v[..., 2]).sum(-1).abs()
    torch.testing.assert_close(cosine, maps.mask.double(), atol=1e-4, rtol=0)
    colour = maps.colour_fa(np.diag([-2.0, 2, 2, 1]))
    torch.testing.assert_close(colour, maps.v1.abs().movedim(0, -1) * maps.fa[..., None])


def test_a_map_is_computed_once_and_is_zero_outside(maps):
    assert maps.fa is maps.fa and maps.md is maps.md and maps.v1 is maps.v1
    for values in (maps.fa, maps.md, maps.v1.abs().sum(0), maps.colour_fa(np.eye(4)).sum(-1)):
        assert values.shape == SHAPE and not values[~maps.mask].any() and values[maps.mask].any()


def test_another_shape_is_refused(maps):
    with pytest.raises(ValueError, match=r"planes: found shape \(6, 4, 3, 5\) with a mask of shape \(4, 3\)"):
        TensorMaps.of(maps.planes, maps.mask[..., 0])
