"""Laws of conformal Hamiltonian descent, and the methods of Figure 4 on the camelback function."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Target
from mvnet.optim import Adam, ConformalHamiltonian, PortHamiltonianDescent, RelativisticGradientDescent
from mvnet.optim.hamiltonian import Kinetic, Power, Quadratic, Relativistic
from mvnet.optim.hamiltonian.maps import conformal_euler, conformal_leapfrog, relativistic_step, vector_field

START = torch.tensor([-0.5, 0.8], dtype=torch.float64)
MOMENTUM = torch.tensor([0.3, 0.4], dtype=torch.float64)
ENERGIES: tuple[Kinetic, ...] = (Quadratic(0.7), Relativistic(0.7, 1.3), Power(2.5, 1.2))
FRICTION = 1.3

Optimizers = dict[str, Callable[[nn.Parameter], torch.optim.Optimizer]]

FIGURE_4: dict[str, tuple[int, Callable[[nn.Parameter], torch.optim.Optimizer]]] = {
    "gradient descent": (569, lambda p: torch.optim.SGD([p], 0.01)),
    "heavy ball": (148, lambda p: ConformalHamiltonian([p], 0.1, friction=-10 * math.log(0.9))),
    "Nesterov": (562, lambda p: RelativisticGradientDescent([p], 0.01, momentum=0.012, alpha=0, delta=0)),
    "relativistic": (2095, lambda p: RelativisticGradientDescent([p], 1e-4, momentum=0.9259)),
    "Adam": (108, lambda p: Adam([p], 0.1)),
}
"""Name -> steps to 1e-8, and the method with the printed parameters; h is epsilon, h^2 / m of the heavy ball is .01."""

OTHERS: Optimizers = {
    "(57) as printed, h = 1e-4": lambda p: ConformalHamiltonian(
        [p], 1e-4, kinetic="relativistic", friction=-1e4 * math.log(0.9259)
    ),
    "Nesterov, momentum .9": lambda p: RelativisticGradientDescent([p], 0.01, alpha=0, delta=0),
    "relativistic, epsilon .05": lambda p: RelativisticGradientDescent([p], 0.05, momentum=0.7),
    "leapfrog, h .4": lambda p: ConformalHamiltonian([p], 0.4, method="leapfrog", friction=2.0),
    "port-Hamiltonian, h 1": lambda p: PortHamiltonianDescent([p], 1.0, method="discrete-gradient"),
    "port-Hamiltonian, h 100": lambda p: PortHamiltonianDescent([p], 100.0, method="discrete-gradient"),
}


def camelback(z: Tensor) -> Tensor:
    """The function of Figure 4; its minimum is 0 at 0."""
    x, y = z
    return 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2


def gradient(z: Tensor) -> Tensor:
    x, y = z
    return torch.stack((4 * x - 4.2 * x**3 + x**5 + y, x + 2 * y))


def steps_to(make: Callable[[nn.Parameter], torch.optim.Optimizer], most: int, level: float = 1e-8) -> int | None:
    """Steps until the camelback function is below a level; None where that takes too many."""
    theta = nn.Parameter(START.clone())
    optimizer = make(theta)
    for step in range(1, most + 1):
        theta.grad = gradient(theta.detach())
        optimizer.step()
        point = optimizer.positions()[0] if isinstance(optimizer, RelativisticGradientDescent) else theta.detach()
        if float(camelback(point)) <= level:
            return step
    return None


def symplecticity(step: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], factor: float) -> tuple[float, float]:
    """Largest entry of J^T Omega J - mu Omega, and |det J - mu^2|."""
    j = torch.autograd.functional.jacobian(lambda z: torch.cat(step(z[:2], z[2:])), torch.cat((START, MOMENTUM)))
    assert isinstance(j, Tensor)
    omega = torch.zeros_like(j)
    omega[:2, 2:], omega[2:, :2] = torch.eye(2), -torch.eye(2)
    off = float((j.T @ omega @ j - factor * omega).abs().max())
    return off, abs(float(torch.linalg.det(j)) - factor**2)


def order(step: Callable[..., tuple[Tensor, Tensor]], kinetic: Kinetic) -> float:
    """Observed order at t = 1."""

    def end(step: Callable[..., tuple[Tensor, Tensor]], n: int) -> Tensor:
        z = START, MOMENTUM
        for _ in range(n):
            z = step(*z, gradient, kinetic, 1 / n, FRICTION)
        return torch.cat(z)

    reference = end(conformal_leapfrog, 320)
    coarse, fine = (float((end(step, n) - reference).norm()) for n in (20, 40))
    return math.log2(coarse / fine)


def limits() -> float:
    """Largest distance of the heavy ball and of RGD(0, 0) from torch's momentum and Nesterov's, over 50 steps."""
    worst = 0.0
    for ours, theirs in (
        (
            lambda p: ConformalHamiltonian([p], 0.2, friction=0.5),
            lambda p: torch.optim.SGD([p], 0.04, momentum=math.exp(-0.1)),
        ),
        (
            lambda p: RelativisticGradientDescent([p], 0.05, alpha=0, delta=0),
            lambda p: torch.optim.SGD([p], 0.05, momentum=0.9, nesterov=True),
        ),
    ):
        points = nn.Parameter(START.clone()), nn.Parameter(START.clone())
        optimizers = ours(points[0]), theirs(points[1])
        for _ in range(50):
            for point, optimizer in zip(points, optimizers):
                point.grad = gradient(point.detach())
                optimizer.step()
            worst = max(worst, float((points[0] - points[1]).detach().abs().max()))
    return worst


def dissipation() -> float:
    """Largest |dH/dt + gamma p . dT/dp| along (56)."""
    found = []
    for kinetic in ENERGIES:
        theta_dot, p_dot = vector_field(START, MOMENTUM, gradient, kinetic, FRICTION)
        velocity = kinetic.velocity([MOMENTUM])[0]
        found.append(abs(float(gradient(START) @ theta_dot + velocity @ p_dot + FRICTION * MOMENTUM @ velocity)))
    return max(found)


def measure(quick: bool) -> tuple[list[dict[str, Any]], list[Target]]:
    """Rows and targets."""
    rows, targets = [], []
    off = [
        symplecticity(lambda x, p, k=k, m=m: m(x, p, gradient, k, 0.1, FRICTION), math.exp(-0.1 * FRICTION))
        for k in ENERGIES
        for m in (conformal_euler, conformal_leapfrog)
    ]
    off += [symplecticity(lambda x, v, d=d: relativistic_step(x, v, gradient, 0.05, 0.9, d, 1.0), 0.9) for d in (0, 4)]
    laws = {
        "conformal: J^T Omega J - mu Omega": (max(a for a, _ in off), 1e-12),
        "conformal: det J - mu^n": (max(b for _, b in off), 1e-12),
        "dissipation: dH/dt + gamma p . dT/dp": (dissipation(), 1e-12),
        "heavy ball and RGD(0, 0) against torch": (limits(), 1e-12),
    }
    targets += [Target(name, value, f"<= {bar:g}", value <= bar) for name, (value, bar) in laws.items()]
    for name, step, nominal in (("Euler", conformal_euler, 1), ("leapfrog", conformal_leapfrog, 2)):
        worst = max((order(step, k) for k in ENERGIES), key=lambda value, n=nominal: abs(value - n))
        targets.append(Target(f"order of conformal {name}", worst, f"{nominal} +- 0.1", abs(worst - nominal) <= 0.1))
    for name, (published, make) in FIGURE_4.items():
        steps = steps_to(make, 3000)
        rows.append({"camelback": name, "parameters": "printed", "steps to 1e-8": steps})
        met = steps is not None and abs(steps - published) <= 1
        targets.append(Target(f"Figure 4: {name}", float(steps or math.nan), f"{published} +- 1", met))
    for name, make in OTHERS.items():
        rows.append(
            {"camelback": name, "parameters": "other", "steps to 1e-8": steps_to(make, 1000 if quick else 5000)}
        )
    return rows, targets
