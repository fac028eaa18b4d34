"""A parameter on a manifold: a plain tensor in files, itself in copies."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from mvnet.errors import MvnetError
from mvnet.manifolds import ManifoldParameter, Rotations, Sphere, Stiefel

from .cases import generator


class Layer(nn.Module):
    def __init__(self, seed: int = 0):
        super().__init__()
        self.w = ManifoldParameter(Stiefel(5, 2).random_point((3,), generator=generator(seed)), Stiefel(5, 2))
        self.plain = nn.Parameter(torch.zeros(2))


def check(module: nn.Module, dtype: torch.dtype = torch.float32) -> ManifoldParameter:
    w = module.get_parameter("w")
    assert isinstance(w, ManifoldParameter) and w.requires_grad and w.is_leaf
    assert w.manifold == Stiefel(5, 2) and w.dtype == dtype and w.shape == (3, 5, 2)
    return w


def test_copies_and_pickles_keep_the_manifold_and_share_nothing():
    layer = Layer()
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(check(other), layer.w)
        with torch.no_grad():
            check(other).zero_()
        assert layer.w.any()
    frozen = copy.deepcopy(layer.requires_grad_(False))
    assert not frozen.w.requires_grad and isinstance(frozen.w, ManifoldParameter)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_modules_change_dtype_and_device(dtype):
    check(Layer().to(dtype), dtype)
    check(Layer().to(dtype).float().cpu())
    check(Layer().double(), torch.float64)
    check(Layer().half(), torch.float16)
    check(Layer().to(dtype), dtype).check("w")


def test_a_state_dict_holds_a_plain_tensor():
    layer, other = Layer(), Layer(1)
    state = layer.state_dict()
    assert list(state) == ["w", "plain"] and type(state["w"]) is torch.Tensor
    other.load_state_dict(pickle.loads(pickle.dumps(state)))
    assert torch.equal(check(other), layer.w)
    assert [name for name, _ in layer.named_parameters()] == ["w", "plain"]


def test_what_is_computed_from_it_is_a_plain_tensor():
    layer = Layer()
    out = layer.w * 2
    assert type(out) is torch.Tensor and type(layer.w.detach()) is torch.Tensor
    out.sum().backward()
    assert layer.w.grad is not None and "Stiefel(n=5, p=2)" in repr(layer.w)


def test_points_off_the_manifold_are_refused():
    with pytest.raises(MvnetError, match=r"^data \(manifold.project gives points\): found 1 of 1 points off Sphere"):
        ManifoldParameter(torch.ones(3), Sphere(3))
    with pytest.raises(MvnetError, match=r"^data .*: found shape \(3, 2\), expected \(..., 3, 3\)"):
        ManifoldParameter(torch.ones(3, 2), Rotations())
