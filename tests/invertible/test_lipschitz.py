"""Operator norms against dense matrices; constants of networks against slopes; layers of constant 1 by construction."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mvnet.equivariant import GroupConv, field_type, group
from mvnet.errors import MvnetError
from mvnet.invertible import (
    Affine,
    CayleyLinear,
    Chain,
    ChannelMix,
    Contraction,
    Coupling,
    Normalised,
    Sandwich,
    contraction,
    frequency_bound,
    lipschitz_bound,
    mixed_bound,
    power_iteration,
)
from mvnet.invertible.lipschitz.layers import cayley_pair

from .cases import draws

KERNELS = {"matrix": (5, 4), "1-D": (3, 2, 3), "2-D": (2, 3, 3, 3), "wide": (2, 2, 5, 5), "3-D": (2, 1, 3, 3, 3)}


def dense_norm(kernel: torch.Tensor, size: int) -> float:
    """The norm of the convolution with zero padding on a grid, from its matrix."""
    d = kernel.ndim - 2
    if d == 0:
        return float(torch.linalg.matrix_norm(kernel, 2))
    shape = (kernel.shape[1], *(size,) * d)
    basis = torch.eye(kernel.shape[1] * size**d, dtype=kernel.dtype).unflatten(1, shape)
    image = (F.conv1d, F.conv2d, F.conv3d)[d - 1](basis, kernel, padding=kernel.shape[-1] // 2)
    return float(torch.linalg.matrix_norm(image.flatten(1), 2))


@pytest.mark.parametrize("shape", KERNELS.values(), ids=KERNELS)
def test_bounds_enclose_the_norm(shape):
    kernel = torch.randn(shape, generator=draws(), dtype=torch.float64)
    size = 5 if len(shape) == 5 else 9
    norm = dense_norm(kernel, size)
    sizes = (size,) * (len(shape) - 2)
    below, _ = power_iteration(kernel, sizes, iterations=300)
    above = float(frequency_bound(kernel))
    assert norm * (1 - 1e-3) < float(below) <= norm * (1 + 1e-12)
    assert norm <= above * (1 + 1e-12) and above <= float(mixed_bound(kernel)) * 1.1
    assert above < norm * (1.5 if len(shape) == 5 else 1.25), "the bound is close on a grid of some points"


def test_the_constant_of_the_frequencies_is_needed():
    """A kernel whose transfer function peaks between coarse grid points: the grid alone is too low."""
    kernel = torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64).view(1, 1, 3)  # |2 sin w|: 6 points miss w = pi / 2
    fine = float(torch.fft.fft(kernel, 4096).abs().max())
    assert float(torch.fft.fft(kernel, 6).abs().max()) < fine - 1e-3
    for points in (2, 4, 8):
        assert fine <= float(frequency_bound(kernel, points)) + 1e-12


def test_power_iteration_goes_on_where_it_stopped():
    kernel = torch.randn(4, 4, 3, 3, generator=draws(), dtype=torch.float64)
    vector, found = None, []
    for _ in range(40):
        value, vector = power_iteration(kernel, (8, 8), vector)
        found.append(float(value))
    assert found == sorted(found) and found[-1] == pytest.approx(dense_norm(kernel, 8), rel=1e-3)


@pytest.mark.parametrize("norm", ["power", "frequency", "mixed"])
def test_normalised_layers_have_their_norm(norm):
    torch.manual_seed(0)
    for layer, x in ((nn.Linear(6, 5), torch.randn(3, 6)), (nn.Conv2d(3, 4, 3, padding=1), torch.randn(2, 3, 8, 8))):
        with torch.no_grad():
            layer.weight.mul_(5)
        bounded = Normalised(layer, 0.7, norm).train()
        for _ in range(30):
            bounded(x)
        sizes = tuple(x.shape[2:])
        kernel = bounded.eval().kernel(sizes).detach().double()
        assert dense_norm(kernel, 8) <= 0.7 * (1.01 if norm == "power" else 1 + 1e-6)
        assert dense_norm(kernel, 8) <= bounded.lipschitz_bound() * (1 + 1e-6)
    with pytest.raises(MvnetError, match="norm: found 'spectral'"):
        Normalised(nn.Linear(2, 2), 1.0, "spectral")
    with pytest.raises(MvnetError, match="layer: found a Conv2d"):
        Normalised(nn.Conv2d(2, 2, 3, stride=2), 1.0)


def slope(network, x: torch.Tensor) -> float:
    jacobian = torch.autograd.functional.jacobian(lambda v: network(v[None])[0], x)
    return float(torch.linalg.matrix_norm(jacobian.reshape(-1, x.numel()), 2))


@pytest.mark.parametrize("kind", ["power", "frequency", "mixed", "sandwich"])
def test_contractions_contract(kind):
    torch.manual_seed(0)
    network = contraction(3, 16, 2, 0.9, kind).double()
    with torch.no_grad():
        for p in network.parameters():
            p.mul_(3)
    for _ in range(60):
        network(torch.zeros(1, 3, dtype=torch.float64))
    network.eval()
    bound = network.lipschitz_bound()
    assert bound is not None and bound <= 0.9 * 1.01
    steepest = max(slope(network, x) for x in torch.randn(20, 3, generator=draws(), dtype=torch.float64))
    assert steepest <= bound


def test_one_lipschitz_by_construction():
    free = 3 * torch.randn(7, 3, generator=draws(), dtype=torch.float64)
    a, b = cayley_pair(free)
    torch.testing.assert_close(a @ a.mT + b @ b.mT, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-12)
    network = nn.Sequential(Sandwich(4, 8), Sandwich(8, 8), CayleyLinear(8, 4)).double()
    with torch.no_grad():
        for p in network.parameters():
            p.copy_(2 * torch.randn(p.shape, generator=draws(), dtype=p.dtype))
    assert max(slope(network, x) for x in 3 * torch.randn(20, 4, generator=draws(1), dtype=torch.float64)) <= 1
    assert lipschitz_bound(network) == 1


def test_bounds_of_networks_and_chains():
    torch.manual_seed(0)
    fields = field_type(group("D4"), {"regular": 1})
    network = nn.Sequential(GroupConv(fields, fields, 3), nn.SiLU())
    bound = lipschitz_bound(network)
    assert (
        bound is not None
        and slope(network.double(), torch.randn(8, 5, 5, generator=draws(), dtype=torch.float64)) <= bound
    )
    assert lipschitz_bound(nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2))) is None
    chain = Chain(ChannelMix(2), Coupling(nn.Linear(1, 2), Affine()))
    assert chain.lipschitz() is None and chain.lipschitz(radius=3.0) is not None
    with pytest.raises(MvnetError, match="contraction: found 1"):
        Contraction(network, 1.0)
