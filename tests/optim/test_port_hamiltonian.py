"""Laws of port-Hamiltonian systems (paper section 6.4.1) and of the descent built from them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.optim import PortHamiltonianDescent, build
from mvnet.optim.hamiltonian.kinetic import gradient_of
from mvnet.optim.port_hamiltonian import (
    PortHamiltonianSystem,
    discrete_gradient,
    discrete_gradient_step,
    interconnect,
    moving_mass,
    storage,
)

DOUBLE = torch.float64
START = torch.tensor([-0.5, 0.8], dtype=DOUBLE)


def camelback(z: Tensor) -> Tensor:
    x, y = z
    return 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2


def network() -> PortHamiltonianSystem:
    """Two layers with one parameter each, of which the second has a friction that depends on its state."""
    layers = [moving_mass(1, 0.3), moving_mass(1, lambda p: (0.2 + p**2).diag(), mass=2.0)]
    # forces are minus the outputs of the storage, its inputs are the velocities
    coupling = torch.zeros(4, 4, dtype=DOUBLE)
    coupling[2:, :2], coupling[:2, 2:] = torch.eye(2), -torch.eye(2)
    return interconnect([*layers, storage(2, camelback)], coupling)


X0 = torch.cat((torch.tensor([0.4, -0.7], dtype=DOUBLE), START))  # momenta, parameters
INPUT = torch.tensor([0.3, -0.2, 0.1, 0.5], dtype=DOUBLE)


def test_composition_of_layers_and_loss_is_the_conformal_system() -> None:
    rate = network().rate(X0)
    p, theta = X0.split(2)
    gradient = gradient_of(camelback, theta)
    friction = torch.stack((0.3 * p[0], (0.2 + p[1] ** 2) * p[1] / 2))
    torch.testing.assert_close(rate, torch.cat((-gradient - friction, p / torch.tensor([1.0, 2.0]))))


def test_power_balance_of_the_flow() -> None:
    system = network()
    j, r, e = system.structure(X0), system.friction(X0), system.gradient(X0)
    assert torch.equal(j, -j.T)
    assert float(torch.linalg.eigvalsh(r).min()) >= 0
    growth = e @ system.rate(X0, INPUT)
    assert float(growth) == pytest.approx(float(system.output(X0) @ INPUT - e @ r @ e), abs=1e-14)


@pytest.mark.parametrize("h", [0.1, 1.0])
@pytest.mark.parametrize("u", [None, INPUT], ids=["closed", "supplied"])
def test_power_balance_of_the_step(h: float, u: Tensor | None) -> None:
    system = network()
    y, output = discrete_gradient_step(system, X0, h, u)
    effort = discrete_gradient(system.energy, X0, y)
    dissipated = effort @ system.friction((X0 + y) / 2) @ effort
    supplied = output @ u if u is not None else 0.0
    growth = system.energy(y) - system.energy(X0)
    assert float(growth) == pytest.approx(float(h * (supplied - dissipated)), abs=1e-12)


def test_step_is_of_second_order() -> None:
    system = network()

    def end(n: int) -> Tensor:
        x = X0
        for _ in range(n):
            x, _ = discrete_gradient_step(system, x, 1 / n)
        return x

    reference = end(24)
    errors = [float((end(n) - reference).norm()) for n in (3, 6)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.2)


def test_interconnection_that_supplies_power_is_refused() -> None:
    with pytest.raises(MvnetError, match="coupling: found"):
        interconnect([moving_mass(1, 0.0), moving_mass(1, 0.0)], torch.ones(2, 2, dtype=DOUBLE))


# ---- descent ----


def descend(
    make: Callable[[nn.Parameter], PortHamiltonianDescent],
    steps: int,
    objective: Callable[[Tensor], Tensor] = camelback,
    start: Tensor = START,
) -> tuple[nn.Parameter, list[float]]:
    """The parameter after some steps, and H before each."""
    theta = nn.Parameter(start.clone())
    optimizer, energies = make(theta), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = objective(theta)
        loss.backward()
        energies.append(optimizer.energy(loss))
        optimizer.step()
    return theta, energies


@pytest.mark.parametrize(("method", "h"), [("discrete-gradient", 0.1), ("discrete-gradient", 0.4), ("strang", 0.1)])
@pytest.mark.parametrize("friction", [0.0, 1.0])
def test_energy_of_a_quadratic_falls_in_every_step(method: str, friction: float, h: float) -> None:
    curvatures = torch.tensor([1.0, 9.0, 4.0], dtype=DOUBLE)
    start = torch.tensor([1.0, -1.0, 0.5], dtype=DOUBLE)
    _, energies = descend(
        lambda p: PortHamiltonianDescent([p], h, friction=friction, method=method),
        60,
        lambda z: (curvatures * z.square()).sum() / 2,
        start,
    )
    assert all(b <= a + 1e-14 for a, b in pairwise(energies))
    assert energies[-1] < energies[0]


@pytest.mark.parametrize("h", [0.3, 3.0, 100.0])
def test_any_step_size_descends(h: float) -> None:
    theta, _ = descend(lambda p: PortHamiltonianDescent([p], h, method="discrete-gradient"), 60)
    assert camelback(theta).item() < 1e-8


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("h", [0.3, 3.0, 100.0])
def test_with_a_closure_the_energy_falls_in_every_step(h: float, dtype: torch.dtype) -> None:
    """The Rosenbrock function, in which estimates of the curvature go wrong."""
    theta = nn.Parameter(torch.tensor([-1.2, 1.0], dtype=dtype))
    optimizer = PortHamiltonianDescent([theta], h, friction=0.1, weight_decay=1e-3, method="discrete-gradient")

    def objective() -> Tensor:
        return (1 - theta[0]) ** 2 + 100 * (theta[1] - theta[0] ** 2) ** 2

    def closure() -> Tensor:
        optimizer.zero_grad(set_to_none=False)
        loss = objective()
        loss.backward()
        return loss

    def energy() -> float:
        p = optimizer.state[theta]["momentum"]
        return float(objective().detach() + p.square().sum() / 2 + 5e-4 * theta.detach().square().sum())

    optimizer.step(closure)
    before = energy()
    for _ in range(60):
        optimizer.step(closure)
        after = energy()
        assert after <= before * (1 + 10 * torch.finfo(dtype).eps)
        before = after
    assert before < 6


def test_power_balance_of_every_layer() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    optimizer = build("port-hamiltonian", model, 0.3, method="discrete-gradient")
    x = torch.randn(16, 3, dtype=DOUBLE)

    def kinetic(layer: nn.Module) -> float:
        return sum(float(optimizer.state[p]["momentum"].square().sum()) for p in layer.parameters()) / 2

    assert isinstance(optimizer, PortHamiltonianDescent)
    layers = [model[0], model[2]]
    momenta = [0.0, 0.0]
    for step in range(5):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        balance = optimizer.balance()
        assert len(balance) == 2
        for layer, before, power in zip(layers, momenta, balance, strict=True):
            # the energy lost on arrival, before the step, is not part of its balance
            if step == 0:
                growth = kinetic(layer) - before
                assert growth == pytest.approx(power["supplied"] - power["dissipated"], abs=1e-14)
            assert power["dissipated"] >= 0
        momenta = [kinetic(layer) for layer in layers]


def test_layers_are_moved_apart() -> None:
    """What one layer does, does not depend on how steep the loss is in another; its parameters share one friction."""
    steep = torch.tensor(1.0, dtype=DOUBLE), torch.tensor(25.0, dtype=DOUBLE)
    found = []
    for factor in steep:
        a, b, c = (nn.Parameter(START.clone()) for _ in range(3))
        optimizer = PortHamiltonianDescent([a, b, c], 0.5, [[a, b], [c]], method="discrete-gradient")
        for _ in range(10):
            optimizer.zero_grad()
            (camelback(a) + b.square().sum() + factor * c.square().sum()).backward()
            optimizer.step()
        assert torch.equal(optimizer.state[a]["curvature"], optimizer.state[b]["curvature"])
        found.append((a.detach(), b.detach(), c.detach()))
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])
    assert not torch.equal(found[0][2], found[1][2])


def test_strang_is_of_second_order_where_friction_is_not_raised() -> None:
    def end(n: int) -> Tensor:
        return descend(lambda p: PortHamiltonianDescent([p], 1 / n, friction=2.0, method="strang"), n)[0].detach()

    reference = end(256)
    errors = [float((end(n) - reference).norm()) for n in (16, 32)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.3)


@pytest.mark.parametrize("method", ["discrete-gradient", "strang"])
def test_state_resumes_and_copies(method: str) -> None:
    def run(steps: int, theta: nn.Parameter, optimizer: torch.optim.Optimizer) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            camelback(theta).backward()
            optimizer.step()

    theta = nn.Parameter(START.clone())
    optimizer = PortHamiltonianDescent([theta], 0.2, [[theta]], method=method)
    run(5, theta, optimizer)
    saved, there = copy.deepcopy(optimizer.state_dict()), theta.detach().clone()
    copied_theta, copied = copy.deepcopy((theta, optimizer))
    run(5, theta, optimizer)
    run(5, copied_theta, copied)
    resumed = nn.Parameter(there)
    other = PortHamiltonianDescent([resumed], 0.2, [[resumed]], method=method)
    other.load_state_dict(saved)
    run(5, resumed, other)
    assert torch.equal(theta, resumed) and torch.equal(theta, copied_theta)


@pytest.mark.parametrize("method", ["discrete-gradient", "strang"])
def test_bfloat16_networks_are_trained(method: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1)).bfloat16()
    x = torch.randn(64, 3).bfloat16()
    optimizer, losses = build("port-hamiltonian", model, 0.3, method=method), []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (model(x) - x[:, :1].sin()).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, "method: found 'magic'"),
        ({"friction": -1.0}, "friction: found -1.0"),
        ({"mass": 0.0}, "mass: found 0.0"),
        ({"memory": 2.0}, "memory: found 2.0"),
    ],
)
def test_bad_input(options: dict, message: str) -> None:
    with pytest.raises(MvnetError, match=message):
        PortHamiltonianDescent([nn.Parameter(torch.zeros(2))], 0.1, **options)
