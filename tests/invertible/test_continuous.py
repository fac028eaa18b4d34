"""Continuous flows: known solutions, densities on manifolds that integrate to one, training in both ways."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mvnet.errors import MvnetError
from mvnet.invertible import (
    Continuous,
    Flow,
    ProductAction,
    StandardNormal,
    Uniform,
    VelocityNetwork,
    matching_loss,
    velocity,
)
from mvnet.linalg import so3
from mvnet.manifolds import SPD, Circle, CircleAction, Congruence, Euclidean, RotationAction, Rotations, Translation

from .cases import draws, randomise

MANIFOLDS = {
    "R^2": (Euclidean((2,)), Translation(), (2,)),
    "S^1": (Circle(), CircleAction(), ()),
    "SO(3)": (Rotations(), RotationAction(), (3,)),
    "Sym+(3)": (SPD(3), Congruence(), (3, 3)),
}


class Linear(nn.Module):
    """z' = A z"""

    def __init__(self, matrix: torch.Tensor):
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def forward(self, t, z):
        return z @ self.matrix.mT


@pytest.mark.parametrize("divergence", ["exact", "hutchinson"])
def test_linear_flows_have_their_exponential(divergence):
    matrix = 0.3 * torch.randn(3, 3, generator=draws(), dtype=torch.float64)
    if divergence == "hutchinson":
        matrix = torch.diag(matrix.diagonal())  # of a diagonal matrix signs give the trace exactly
    layer = Continuous(Linear(matrix), (3,), steps=40, divergence=divergence)
    z = torch.randn(4, 3, generator=draws(1), dtype=torch.float64)
    x, change = layer.inverse(z)
    torch.testing.assert_close(x, z @ torch.matrix_exp(matrix).mT, rtol=0, atol=1e-8)
    torch.testing.assert_close(change, torch.trace(matrix).expand(4), rtol=0, atol=1e-8, check_stride=False)
    path = layer.transport(z)
    assert path.shape == (41, 4, 3) and torch.allclose(path[-1], x, atol=1e-12)


def test_density_on_the_circle_integrates_to_one():
    field = VelocityNetwork((1,), hidden=16).double()
    randomise(field, 0.5)
    turns = nn.Module()
    turns.forward = lambda t, z: field(t, torch.sin(z))  # pyright: ignore
    flow = Flow(Uniform(Circle(), 2 * math.pi), Continuous(turns, (1,), CircleAction(), steps=20))
    x = torch.linspace(-math.pi, math.pi, 401, dtype=torch.float64)[1:, None]
    density = flow.log_prob(x).exp().detach()
    assert float(density.std()) > 0.01
    assert float(density.mean()) * 2 * math.pi == pytest.approx(1, abs=1e-6)


def test_density_on_rotations_is_the_change_of_volume():
    """The log-determinant against the Jacobian in the right-trivialised frame."""
    field = VelocityNetwork((3, 3), (3,), hidden=8).double()
    randomise(field, 0.4)
    layer = Continuous(field, (3, 3), RotationAction(), steps=8)
    start = so3.exp(torch.tensor([0.3, -0.5, 0.8], dtype=torch.float64))
    end, change = layer.inverse(start[None])

    def moved(w):
        return layer.inverse((so3.exp(w) @ start)[None])[0][0]

    columns = torch.autograd.functional.jacobian(moved, torch.zeros(3, dtype=torch.float64)).movedim(-1, 0)
    matrix = so3.vee(columns @ end[0].mT)
    expected = torch.linalg.slogdet(matrix.detach()).logabsdet
    assert float(change.detach()) == pytest.approx(float(expected), abs=1e-4)
    assert float((end @ end.mT - torch.eye(3)).detach().abs().max()) < 1e-12


def test_products_of_manifolds():
    """A point of SO(3) x S^1 x R^2 moves as its parts do, where the field does not mix them."""
    action = ProductAction((RotationAction(), (3, 3)), (CircleAction(), ()), (Translation(), (2,)))
    xi = torch.randn(5, 6, generator=draws(), dtype=torch.float64)
    r = so3.exp(torch.randn(5, 3, generator=draws(1), dtype=torch.float64))
    z = torch.cat((r.flatten(1), torch.zeros(5, 3, dtype=torch.float64)), 1)
    moved = action.points(action.act(xi, z))
    torch.testing.assert_close(moved[0], RotationAction().act(xi[:, :3], r))
    torch.testing.assert_close(moved[1], CircleAction().act(xi[:, 3], torch.zeros(5, dtype=torch.float64)))
    torch.testing.assert_close(moved[2], xi[:, 4:])
    layer = Continuous(VelocityNetwork((12,), (6,), hidden=8).double(), (12,), action, steps=10)
    x, change = layer.inverse(z)
    again, back = layer(x)
    assert float((again - z).detach().abs().max()) < 1e-6 and float((change + back).detach().abs().max()) < 1e-6
    with pytest.raises(MvnetError, match="z: found shape"):
        action.algebra_shape(z[:, 1:])


@pytest.mark.parametrize("name", MANIFOLDS)
def test_velocity_is_the_infinitesimal_action(name):
    manifold, action, algebra = MANIFOLDS[name]
    z = manifold.random_point((4,), generator=draws(), dtype=torch.float64)
    xi = torch.randn(4, *algebra, generator=draws(1), dtype=torch.float64)
    h = 1e-6
    expected = (action.act(h * xi, z) - action.act(-h * xi, z)) / (2 * h)
    torch.testing.assert_close(velocity(action, xi, z), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", MANIFOLDS)
def test_matching_is_zero_for_the_geodesic_field(name):
    """From one point to another along a geodesic: the field that knows both has no loss; another one has."""
    manifold, action, _ = MANIFOLDS[name]
    a, b = (
        manifold.random_point((1,), generator=draws(k), dtype=torch.float64).expand(6, *manifold.point_shape)
        for k in (0, 1)
    )
    scale = nn.Parameter(torch.ones((), dtype=torch.float64))

    def field(t, z):
        v = manifold.log(z, b) / manifold.expand(1 - t)
        if name == "SO(3)":
            return scale * so3.vee(v @ z.mT)
        return scale * (v @ torch.linalg.inv(z) / 2 if name == "Sym+(3)" else v)

    loss = matching_loss(field, manifold, action, a, b, generator=draws(2))  # pyright: ignore
    assert float(loss) < 1e-12
    with torch.no_grad():
        scale.fill_(0.5)
    worse = matching_loss(field, manifold, action, a, b, generator=draws(2))  # pyright: ignore
    worse.backward()
    distance = float(manifold.dist(a[0], b[0]))
    assert float(worse) == pytest.approx(0.25 * distance**2, rel=1e-6) and float(scale.grad) < 0  # pyright: ignore


def test_likelihood_trains_a_flow():
    """A Gaussian of another mean and scale: the loss comes close to its entropy."""
    torch.manual_seed(0)
    data = torch.tensor([1.0, -0.5]) + 0.5 * torch.randn(128, 2, generator=draws())
    flow = Flow(StandardNormal(2), Continuous(VelocityNetwork((2,), hidden=16, layers=1), (2,), steps=2))
    optimiser = torch.optim.Adam(flow.parameters(), lr=5e-2)
    for _ in range(40):
        loss = -flow.log_prob(data).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    entropy = 2 * (0.5 * math.log(2 * math.pi * math.e) + math.log(0.5))
    assert float(loss) < entropy + 0.15
    drawn = flow.sample(200, generator=draws(3)).detach()
    assert float((drawn.mean(0) - torch.tensor([1.0, -0.5])).abs().max()) < 0.2


def test_arguments():
    with pytest.raises(MvnetError, match="divergence, steps: found 'trace'"):
        Continuous(VelocityNetwork((2,)), (2,), divergence="trace")
    with pytest.raises(MvnetError, match="parts: found none"):
        ProductAction()
    assert Uniform(Rotations(), 8 * math.pi**2).sample(3).shape == (3, 3, 3)
