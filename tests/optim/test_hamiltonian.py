"""Laws of conformal Hamiltonian descent (paper section 6.1) and of its optimisers."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.optim import ConformalHamiltonian, RelativisticGradientDescent, build
from mvnet.optim.hamiltonian import Arbitrary, Kinetic, Power, Quadratic, Relativistic
from mvnet.optim.hamiltonian.maps import conformal_euler, conformal_leapfrog, relativistic_step, vector_field

START = torch.tensor([-0.5, 0.8], dtype=torch.float64)
P0 = torch.tensor([0.3, 0.4], dtype=torch.float64)
MAPS = {"euler": conformal_euler, "leapfrog": conformal_leapfrog}


def soft(p: Tensor) -> Tensor:
    return p.cosh().log().sum()


ENERGIES: dict[str, Kinetic] = {
    "quadratic": Quadratic(0.7),
    "relativistic": Relativistic(0.7, 1.3),
    "power": Power(2.5, 1.2),
    "power-equal": Power(1.5, 1.5),
    "function": Arbitrary(soft),
}


def camelback(z: Tensor) -> Tensor:
    x, y = z
    return 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2


def gradient(z: Tensor) -> Tensor:
    x, y = z
    return torch.stack((4 * x - 4.2 * x**3 + x**5 + y, x + 2 * y))


def jacobian(step: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    """d(theta+, p+) / d(theta, p), shape (4, 4)."""
    found = torch.autograd.functional.jacobian(lambda z: torch.cat(step(z[:2], z[2:])), torch.cat((START, P0)))
    assert isinstance(found, Tensor)
    return found


def symplecticity(j: Tensor, factor: float) -> float:
    """Largest entry of J^T Omega J - factor Omega."""
    n = len(j) // 2
    omega = torch.zeros_like(j)
    omega[:n, n:], omega[n:, :n] = torch.eye(n), -torch.eye(n)
    return float((j.T @ omega @ j - factor * omega).abs().max())


@pytest.mark.parametrize("kinetic", ENERGIES.values(), ids=ENERGIES)
@pytest.mark.parametrize("method", MAPS)
def test_maps_are_conformal(method: str, kinetic: Kinetic) -> None:
    h, friction = 0.1, 1.3
    j = jacobian(lambda theta, p: MAPS[method](theta, p, gradient, kinetic, h, friction))
    assert symplecticity(j, math.exp(-friction * h)) <= 1e-12


@pytest.mark.parametrize("delta", [0.0, 1.0, 9.0])
def test_relativistic_descent_is_conformal_at_alpha_one_only(delta: float) -> None:
    j = jacobian(lambda x, v: relativistic_step(x, v, gradient, 0.05, 0.9, delta, alpha=1.0))
    assert symplecticity(j, 0.9) <= 1e-12
    assert float(torch.linalg.det(j)) == pytest.approx(0.9**2, abs=1e-12)
    j = jacobian(lambda x, v: relativistic_step(x, v, gradient, 0.05, 0.9, delta, alpha=0.5))
    assert symplecticity(j, 0.9) > 1e-3


@pytest.mark.parametrize("kinetic", ENERGIES.values(), ids=ENERGIES)
def test_velocity_is_the_gradient_of_the_energy(kinetic: Kinetic) -> None:
    parts = [P0, torch.tensor([[0.2], [-1.1]], dtype=torch.float64)]
    leaves = [p.clone().requires_grad_() for p in parts]
    expected = torch.autograd.grad(kinetic.energy(leaves), leaves)
    for v, e in zip(kinetic.velocity(parts), expected, strict=True):
        torch.testing.assert_close(v, e, rtol=1e-12, atol=1e-14)
    assert all(bool((v == 0).all()) for v in kinetic.velocity([torch.zeros_like(p) for p in parts]))


@pytest.mark.parametrize("kinetic", ENERGIES.values(), ids=ENERGIES)
def test_friction_takes_the_power_p_dot_dT(kinetic: Kinetic) -> None:
    """dH/dt = - gamma p . dT/dp along (56); the printed gamma / (2 mu) p . p is another number."""
    friction = 1.3
    theta_dot, p_dot = vector_field(START, P0, gradient, kinetic, friction)
    v = kinetic.velocity([P0])[0]
    rate = gradient(START) @ theta_dot + v @ p_dot
    assert float(rate) == pytest.approx(-friction * float(P0 @ v), abs=1e-12)
    if isinstance(kinetic, Quadratic):
        printed = -friction / (2 * kinetic.mass) * float(P0 @ P0)
        assert float(rate) == pytest.approx(2 * printed)


@pytest.mark.parametrize("kinetic", [Quadratic(0.7), Relativistic(0.7, 1.3), Power(2.5, 1.2)], ids=str)
@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("leapfrog", 2)])
def test_orders(method: str, order: int, kinetic: Kinetic) -> None:
    def end(step: Callable[..., tuple[Tensor, Tensor]], n: int) -> Tensor:
        z = START, P0
        for _ in range(n):
            z = step(*z, gradient, kinetic, 1 / n, 1.3)
        return torch.cat(z)

    reference = end(conformal_leapfrog, 200)
    errors = [float((end(MAPS[method], n) - reference).norm()) for n in (12, 24)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("method", MAPS)
@pytest.mark.parametrize("kinetic", ENERGIES.values(), ids=ENERGIES)
def test_optimizer_follows_the_map(method: str, kinetic: Kinetic) -> None:
    """Parameters at every step, and the energy; also with a step size that changes."""
    theta = nn.Parameter(START.clone())
    optimizer = ConformalHamiltonian([theta], 0.1, kinetic=kinetic, method=method, friction=1.3)
    z = START, torch.zeros_like(P0)
    for k in range(12):
        optimizer.zero_grad()
        loss = camelback(theta)
        loss.backward()
        torch.testing.assert_close(theta.data, z[0], rtol=1e-12, atol=1e-13)
        if k:
            expected = camelback(z[0]) + kinetic.energy([z[1]])
            assert optimizer.energy(loss) == pytest.approx(float(expected), abs=1e-12)
            power = 1.3 * float(z[1] @ kinetic.velocity([z[1]])[0])
            assert optimizer.dissipation() == pytest.approx(power, abs=1e-12)
        h = optimizer.param_groups[0]["lr"] = 0.1 / (1 + k)
        optimizer.step()
        z = MAPS[method](*z, gradient, kinetic, h, 1.3)


def descend(optimizer: torch.optim.Optimizer, theta: nn.Parameter, steps: int = 30) -> list[Tensor]:
    points = []
    for _ in range(steps):
        optimizer.zero_grad()
        camelback(theta).backward()
        optimizer.step()
        points.append(theta.detach().clone())
    return points


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_heavy_ball_is_the_momentum_of_torch(dtype: torch.dtype) -> None:
    h, friction, mass = 0.2, 0.5, 2.0
    ours, theirs = nn.Parameter(START.to(dtype, copy=True)), nn.Parameter(START.to(dtype, copy=True))
    found = descend(ConformalHamiltonian([ours], h, friction=friction, mass=mass, weight_decay=0.1), ours)
    momentum = math.exp(-friction * h)
    expected = descend(torch.optim.SGD([theirs], h**2 / mass, momentum=momentum, weight_decay=0.1), theirs)
    tolerance = 1e-13 if dtype == torch.float64 else 1e-6
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_relativistic_descent_without_alpha_and_delta_is_nesterov(dtype: torch.dtype) -> None:
    ours, theirs = nn.Parameter(START.to(dtype, copy=True)), nn.Parameter(START.to(dtype, copy=True))
    found = descend(RelativisticGradientDescent([ours], 0.05, momentum=0.9, alpha=0, delta=0), ours)
    expected = descend(torch.optim.SGD([theirs], 0.05, momentum=0.9, nesterov=True), theirs)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13 if dtype == torch.float64 else 1e-6)


@pytest.mark.parametrize(("alpha", "delta"), [(1.0, 4.0), (0.3, 1.0), (0.0, 0.0)])
def test_relativistic_optimizer_follows_the_published_scheme(alpha: float, delta: float) -> None:
    theta = nn.Parameter(START.clone())
    optimizer = RelativisticGradientDescent([theta], 0.05, momentum=0.9, alpha=alpha, delta=delta)
    z = START, torch.zeros_like(P0)
    for _ in range(20):
        descend(optimizer, theta, 1)
        z = relativistic_step(*z, gradient, 0.05, 0.9, delta, alpha)
        torch.testing.assert_close(optimizer.positions()[0], z[0], rtol=0, atol=1e-13)


def test_physical_parameters_of_relativistic_descent() -> None:
    """mu = exp(-gamma h), epsilon = h^2 / 2m, delta = 4 / (c h)^2, v = (h / 2m) p: a leapfrog of (56)."""
    h, friction, mass, speed = 0.2, 0.7, 1.5, 2.0
    kinetic, x, p = Relativistic(mass, speed), START, P0
    half = x + h / 2 * kinetic.velocity([math.exp(-friction * h / 2) * p])[0]
    p_half = math.exp(-friction * h / 2) * p - h * gradient(half)
    expected = half + h / 2 * kinetic.velocity([p_half])[0], math.exp(-friction * h / 2) * p_half
    scale = h / (2 * mass)
    found = relativistic_step(
        x, scale * p, gradient, h**2 / (2 * mass), math.exp(-friction * h), 4 / (speed * h) ** 2, 1.0
    )
    torch.testing.assert_close(found, (expected[0], scale * expected[1]), rtol=0, atol=1e-14)


def test_speed_limits() -> None:
    """However steep E, a step is shorter than 2 / sqrt(delta), and than h c."""
    for optimizer, limit in (
        (lambda p: RelativisticGradientDescent(p, 10.0, delta=4.0), 1.0),
        (lambda p: ConformalHamiltonian(p, 0.1, kinetic="relativistic", speed=3.0), 0.3),
    ):
        theta = nn.Parameter(100 * START)
        points = descend(optimizer([theta]), theta)
        assert max(float((b - a).norm()) for a, b in pairwise(points)) <= limit * (1 + 1e-9)


def test_57_as_printed_hardly_moves_with_the_step_of_figure_4() -> None:
    h = 1e-4
    theta = nn.Parameter(START.clone())
    optimizer = ConformalHamiltonian([theta], h, kinetic="relativistic", mass=1.0, friction=-math.log(0.9259) / h)
    assert float((descend(optimizer, theta, 200)[-1] - START).norm()) < 1e-4


@pytest.mark.parametrize("name", ["conformal", "relativistic"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_networks_are_trained(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1)).to(dtype)
    x = torch.randn(64, 3, dtype=dtype)
    y = x[:, :1].sin()
    optimizer = build(name, network, 0.1 if name == "conformal" else 0.01)
    losses = []
    for _ in range(80):
        optimizer.zero_grad()
        loss = (network(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    assert all(entry["momentum"].dtype == torch.float32 for entry in optimizer.state.values())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: ConformalHamiltonian(p, kinetic="magic"), "kinetic: found 'magic'"),
        (lambda p: ConformalHamiltonian(p, kinetic=3), "kinetic: found int"),  # type: ignore[arg-type]
        (lambda p: ConformalHamiltonian(p, method="magic"), "method: found 'magic'"),
        (lambda p: ConformalHamiltonian(p, friction=-1.0), "friction: found -1.0"),
        (lambda p: ConformalHamiltonian(p, mass=0.0), "mass: found 0.0"),
        (lambda p: ConformalHamiltonian(p, kinetic="power", near=1.0), "power: found near=1.0"),
        (lambda p: RelativisticGradientDescent(p, momentum=1.0), "momentum: found 1.0"),
        (lambda p: RelativisticGradientDescent(p, delta=-1.0), "delta: found -1.0"),
        (lambda p: RelativisticGradientDescent(p, alpha=2.0), "alpha: found 2.0"),
    ],
)
def test_bad_input(make: Callable[[list[nn.Parameter]], object], message: str) -> None:
    with pytest.raises(MvnetError, match=message):
        make([nn.Parameter(torch.zeros(2))])
