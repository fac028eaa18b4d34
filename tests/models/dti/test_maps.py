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


def test_maps_are_those_of_dipy(maps):
    from dipy.reconst import dti

    full = sym3.unpack(maps.planes.movedim(0, -1).contiguous(), dim=-1).double().numpy()
    values, vectors = dti.decompose_tensor(full)
    mask, inside = maps.mask.double().numpy(), maps.mask.numpy()
    assert maps.eigenvalues.numpy() == pytest.approx(np.moveaxis(values * mask[..., None], -1, 0), rel=1e-4, abs=1e-5)
    assert maps.ad.numpy() == pytest.approx(dti.axial_diffusivity(values) * mask, rel=1e-4)
    assert maps.rd.numpy() == pytest.approx(dti.radial_diffusivity(values) * mask, rel=1e-4, abs=1e-5)
    assert maps.mode.numpy() == pytest.approx(dti.mode(full) * mask, abs=1e-4)
    for k in range(3):
        cosine = (maps.directions[k].movedim(0, -1).numpy() * vectors[..., k]).sum(-1)
        assert np.abs(cosine[inside]) == pytest.approx(1, abs=1e-4)


def test_directions_are_orthonormal_in_every_frame(maps):
    angle = 0.3
    affine = np.eye(4)
    affine[:2, :2] = [[2 * np.cos(angle), -2 * np.sin(angle)], [2 * np.sin(angle), 2 * np.cos(angle)]]
    for frame in ("fsl", "voxel", "world"):
        v = maps.directions_in(frame, affine)[:, maps.mask].double()  # (vector, voxel, component)
        torch.testing.assert_close(
            torch.einsum("ani,bni->nab", v, v), torch.eye(3).double().expand(v.shape[1], 3, 3), atol=1e-5, rtol=0
        )
    voxel, fsl = (maps.directions_in(frame, affine) for frame in ("voxel", "fsl"))
    torch.testing.assert_close(fsl, voxel * torch.tensor([-1.0, 1, 1]))  # det > 0: FSL reverses the first axis
    world = maps.directions_in("world", affine)[0, maps.mask]
    turned = maps.v1[:, maps.mask].T @ torch.tensor(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)).float().T
    torch.testing.assert_close(world, turned, atol=1e-6, rtol=0)


def test_the_mode_of_known_shapes():
    shapes = torch.tensor([[1.7, 0.3, 0.3], [1.7, 1.7, 0.3], [1.5, 1.0, 0.5], [0.7, 0.7, 0.7]])
    planes = torch.cat([shapes, torch.zeros(4, 3)], 1).T.reshape(6, 4, 1, 1)
    maps = TensorMaps.of(planes.contiguous(), torch.ones(4, 1, 1, dtype=torch.bool))
    assert maps.mode[:, 0, 0].numpy() == pytest.approx([1, -1, 0, 0], abs=1e-5)  # linear, planar, between, isotropic


def test_a_map_is_computed_once_and_is_zero_outside(maps):
    assert maps.fa is maps.fa and maps.md is maps.md and maps.v1 is maps.v1
    assert maps.directions is maps.directions and maps.eigenvalues is maps.eigenvalues
    scalars = (maps.fa, maps.md, maps.ad, maps.rd, maps.mode, *maps.eigenvalues)
    for values in (*scalars, maps.v1.abs().sum(0), maps.colour_fa(np.eye(4)).sum(-1)):
        assert values.shape == SHAPE and not values[~maps.mask].any() and values[maps.mask].any()


def test_another_shape_is_refused(maps):
    with pytest.raises(ValueError, match=r"planes: found shape \(6, 4, 3, 5\) with a mask of shape \(4, 3\)"):
        TensorMaps.of(maps.planes, maps.mask[..., 0])
