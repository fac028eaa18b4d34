"""What Magnus, leapfrog, spherical midpoint, proximal and Riemannian discrete-gradient steps keep."""

from __future__ import annotations

from typing import cast

import pytest
import torch

from mvnet.fields import ActingField, Field
from mvnet.integrators import METHODS, RotationAction, odeint, step
from mvnet.integrators.lie_group.leapfrog import Previous
from tests.integrators.flows import FLOWS
from tests.integrators.problems import GRADIENT, SPHERE, Tensors, normal

ROTATIONS = FLOWS["rotations"]
INERTIA = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
THETA = torch.tensor([0.6, 0.5, 0.0], dtype=torch.float64)


def rigid_body(t, m):
    """m' = m x (m / I)"""
    return torch.linalg.cross(m, m / INERTIA)


def test_magnus_refuses_a_field_of_the_state():
    with pytest.raises(ValueError, match="field: found values that depend on the state, expected xi"):
        step("magnus4", ROTATIONS.xi, 0.0, 0.1, ROTATIONS.z0, RotationAction())


def test_magnus_is_a_quadrature_in_a_commutative_group():
    """Gauss quadrature of an angular velocity: exact for polynomials of degree 3 and 5."""
    z0 = torch.zeros(2, dtype=torch.float64)
    for method, degree in (("magnus4", 3), ("magnus6", 5)):
        end = step(method, lambda t, z, n=degree: (n + 1) * t**n, 0.0, 1.0, z0)
        torch.testing.assert_close(end, z0 + 1, rtol=1e-14, atol=1e-14)


@torch.no_grad()
def test_leapfrog_returns_to_the_start_from_its_last_two_points():
    method, field = METHODS["leapfrog"], ActingField.of(cast(Field, ROTATIONS.field), ROTATIONS.z0, RotationAction())
    h, t, state = torch.tensor(0.01, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64), None
    points, args = [ROTATIONS.z0], (ROTATIONS.theta,)
    for n in range(100):
        z, _, state = method.step(field, t + n * h, h, points[-1], args, state)
        points.append(z)
    back, state = points[-2], Previous(points[-1], -h)
    for n in range(99, 0, -1):
        back, _, state = method.step(field, t + n * h, -h, back, args, state)
    torch.testing.assert_close(back, points[0], rtol=0, atol=1e-12)


@torch.no_grad()
def test_spherical_midpoint_keeps_spheres_areas_and_the_free_rigid_body():
    t = 0.3 * torch.arange(201, dtype=torch.float64)
    states = odeint(rigid_body, SPHERE.z0, t, method="spherical_midpoint")
    torch.testing.assert_close(states.norm(dim=-1)[-1], SPHERE.z0.norm(dim=-1), rtol=1e-13, atol=0)
    energy = (states.square() / INERTIA).sum(-1) / 2
    assert (energy - energy[0]).abs().max() < 1e-12
    moved = states[-1:].clone()
    torch.testing.assert_close(
        step("spherical_midpoint", rigid_body, 0.3, -0.3, moved), states[-2:-1], rtol=0, atol=1e-13
    )


@pytest.mark.parametrize("method", ["spherical_midpoint"])
def test_areas_on_the_sphere(method):
    """m . (D u x D v) / |m|^2 = m . (u x v) / |m|^2 for tangents u, v."""
    m = SPHERE.z0[0]
    u, v = torch.linalg.cross(m.expand(2, 3), normal(2, 3, seed=1))
    jacobian = torch.autograd.functional.jacobian(lambda m: step(method, rigid_body, 0.0, 0.5, m), m)
    end = step(method, rigid_body, 0.0, 0.5, m)
    before, after = (x @ torch.linalg.cross(a, b) for x, a, b in ((m, u, v), (end, jacobian @ u, jacobian @ v)))
    assert float(after) == pytest.approx(float(before), rel=1e-13)


def test_spherical_midpoint_refuses_what_is_not_on_spheres():
    with pytest.raises(ValueError, match=r"z0: found shape \(2,\), expected vectors"):
        step("spherical_midpoint", rigid_body, 0.0, 0.1, torch.ones(2))
    with pytest.raises(ValueError, match=r"field: found a cosine of 1.0e.00 with the state"):
        step("spherical_midpoint", lambda t, z: z, 0.0, 0.1, torch.ones(3))


def tensors(seed: int) -> torch.Tensor:
    return Tensors.manifold.random_point((6,), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@torch.no_grad()
def test_proximal_steps_contract_at_every_size_and_geodesic_explicit_steps_do_not():
    x, y = tensors(1), tensors(2)
    manifold, before = Tensors.manifold, Tensors.manifold.dist(x, y)
    for h in (0.2, 100.0):
        ends = step("proximal", Tensors(), 0.0, h, torch.stack((x, y)), args=(THETA,))
        assert (manifold.dist(*ends) / before).max() <= 1 + 1e-12
    explicit = step("lie_euler", Tensors(), 0.0, 4.0, torch.stack((x, y)), args=(THETA,))
    assert (manifold.dist(*explicit) / before).max() > 2


@torch.no_grad()
def test_the_proximal_point_solves_the_implicit_equation():
    """z = exp_{z1}(h grad V(z1)): the field there, followed backwards along its geodesic."""
    z, h = tensors(3), 0.4
    end = step("proximal", Tensors(), 0.0, h, z, args=(THETA,))
    xi = Tensors()(torch.tensor(h, dtype=torch.float64), end, THETA)
    velocity = xi @ end + end @ xi.mT
    torch.testing.assert_close(Tensors.manifold.exp(end, -h * velocity), z, rtol=1e-11, atol=1e-12)


def test_a_proximal_step_backwards_or_off_the_manifold_is_refused():
    with pytest.raises(ValueError, match=r"h: found -0\.1, expected a positive step"):
        step("proximal", Tensors(), 0.0, -0.1, GRADIENT.z0, args=(THETA,))
    with pytest.raises(ValueError, match="z0: found 1 of 1 points off"):
        step("riemannian_gonzalez", Tensors(), 0.0, 0.1, -GRADIENT.z0, args=(THETA,))


@pytest.mark.parametrize("h", [0.1, 3.0])
@torch.no_grad()
def test_riemannian_discrete_gradients_lose_energy_as_the_square_of_the_step(h):
    """V(z1) - V(z) = -d(z, z1)^2 / h"""
    z, middle = tensors(4)[:4], torch.tensor(h / 2, dtype=torch.float64)
    end = step("riemannian_gonzalez", Tensors(), 0.0, h, z, args=(THETA,))
    fall = Tensors().energy(middle, end, THETA) - Tensors().energy(middle, z, THETA)
    torch.testing.assert_close(fall, -Tensors.manifold.squared_dist(z, end) / h, rtol=1e-9, atol=1e-11)
