"""GMRES, Newton and Anderson on equations with known solutions."""

from __future__ import annotations

import pytest
import torch

from mvnet.integrators.implicit.anderson import Anderson
from mvnet.integrators.implicit.equations import solve
from mvnet.integrators.implicit.krylov import gmres
from mvnet.integrators.implicit.newton import Newton, jacobian, linearise
from tests.integrators.problems import normal

A = torch.eye(40, dtype=torch.float64) + 0.1 * normal(40, 40, seed=0)
B = normal(40, seed=1)


@pytest.mark.parametrize("space", [10, 40])
def test_gmres_solves(space):
    x, residual = gmres(lambda v: A @ v, B, tolerance=1e-13, space=space, restarts=30)
    torch.testing.assert_close(x, torch.linalg.solve(A, B), rtol=1e-11, atol=1e-11)
    assert residual < 1e-13


def test_gmres_ends_where_the_space_is_exhausted():
    x, residual = gmres(lambda v: 2 * v, B, tolerance=0.0)
    assert residual < 1e-15 and torch.allclose(x, B / 2)
    assert gmres(lambda v: v, 0 * B, tolerance=0.0) == (pytest.approx(0 * B), 0.0)


def systems(x):
    """Three systems of two unknowns, the last one ill scaled."""
    scale = torch.tensor([[1.0], [1.0], [1e3]], dtype=x.dtype)
    return scale * torch.stack((x[:, 0] ** 3 + x[:, 1] - 2, x[:, 1].exp() - x[:, 0].exp()), 1)


@pytest.mark.parametrize("batched", [True, False])
def test_newton_solves_systems_side_by_side(batched):
    x = torch.tensor([[2.0, -1.0], [0.5, 0.5], [-1.0, 1.0]], dtype=torch.float64)
    if not batched:
        x = x.reshape(1, 6)
        found = Newton(dense=0).find(lambda x: systems(x.reshape(3, 2)).reshape(1, 6), x, 1.0)
    else:
        found = Newton().find(systems, x, 1.0)
    assert found.converged.all()
    torch.testing.assert_close(found.x, torch.ones_like(x), rtol=1e-12, atol=1e-12)


def test_jacobians_and_their_products_agree():
    x = normal(3, 2, seed=2)
    expected = torch.autograd.functional.jacobian(systems, x)
    expected = torch.stack([expected[i, :, i] for i in range(3)])
    torch.testing.assert_close(jacobian(systems, x), expected)

    def together(x):
        return systems(x.reshape(3, 2)).reshape(1, 6)

    for transposed in (True, False):
        b = normal(1, 6, seed=3)
        dense, krylov = (
            linearise(together, x.reshape(1, 6), dense=n, tolerance=1e-14, transposed=transposed)(b) for n in (6, 0)
        )
        torch.testing.assert_close(dense, krylov, rtol=1e-9, atol=1e-11)


def test_anderson_needs_fewer_iterations_than_the_plain_one():
    """x = cos(A x / 4): the plain iteration takes 60 to 1e-13 of it."""

    def residual(x):
        return x - (x @ A.mT / 2).cos()

    found = Anderson().find(residual, torch.zeros(2, 40, dtype=torch.float64), 1.0)
    plain = Anderson(memory=1).find(residual, torch.zeros(2, 40, dtype=torch.float64), 1.0)
    assert found.converged.all() and found.iterations < plain.iterations
    assert residual(found.x).abs().max() < 1e-14


def test_anderson_takes_over_where_newton_has_no_derivative():
    """A residual through numpy: autograd sees x alone, and takes x - g for x."""
    start = torch.full((1, 1), 0.5, dtype=torch.float64)
    x = solve(
        lambda x: x - 0.9 * torch.from_numpy(x.detach().numpy()).cos(),
        start,
        solver=Newton(iterations=2),
        size=start,
        name="x",
    )
    assert float(x) == pytest.approx(0.9 * float(x.cos()), abs=1e-14)
