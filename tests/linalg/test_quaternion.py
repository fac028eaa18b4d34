"""Quaternions against scipy's, in both orders, at angles up to pi."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mvnet.errors import MvnetError
from mvnet.linalg import so3

CASES = [(torch.float64, 1e-14), (torch.float32, 1e-6)]


def _rotations(count: int = 200) -> Rotation:
    vectors = np.random.default_rng(0).normal(size=(count, 3))
    angles = np.concatenate([np.geomspace(1e-9, np.pi, count - 1), [0.0]])
    return Rotation.from_rotvec(vectors / np.linalg.norm(vectors, axis=1, keepdims=True) * angles[:, None])


@pytest.mark.parametrize("order", so3.quaternion.ORDERS)
@pytest.mark.parametrize("dtype, accuracy", CASES)
def test_they_are_those_of_scipy(order, dtype, accuracy):
    rotations = _rotations()
    q = torch.from_numpy(rotations.as_quat(canonical=True, scalar_first=order == "wxyz"))
    r = torch.from_numpy(rotations.as_matrix())
    torch.testing.assert_close(so3.quaternion.to_rotation(3 * q.to(dtype), order), r.to(dtype), rtol=0, atol=accuracy)
    found = so3.quaternion.from_rotation(r.to(dtype), order)
    same = (found.double() * q).sum(-1).abs()  # at pi both signs are right
    torch.testing.assert_close(same, torch.ones_like(same), rtol=0, atol=accuracy)
    scalar = found[:, 0 if order == "wxyz" else 3]
    assert (scalar >= 0).all()


def test_gradients():
    q = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(so3.quaternion.to_rotation, q)
    r = so3.exp(torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))).requires_grad_()
    assert torch.autograd.gradcheck(so3.quaternion.from_rotation, r)


def test_other_shapes_and_orders_are_refused():
    with pytest.raises(MvnetError, match=r"q: found shape \(3,\), expected"):
        so3.quaternion.to_rotation(torch.ones(3))
    with pytest.raises(MvnetError, match="order: found 'xyz', expected one of wxyz, xyzw"):
        so3.quaternion.to_rotation(torch.ones(4), "xyz")
    with pytest.raises(MvnetError, match=r"r: found shape \(2, 2\), expected"):
        so3.quaternion.from_rotation(torch.eye(2))
