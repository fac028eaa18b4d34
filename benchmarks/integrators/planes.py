"""A step on 20,000 tensors in component planes, forward and backward, against a loop of geoopt's expmap; float32.

The field is xi = tanh(W log z) in gl(3) for both; geoopt moves along V = xi z + z xi^T by the exponential of the
affine-invariant metric, a first-order step.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.harness import Target
from benchmarks.integrators.timing import fastest
from mvnet.integrators import Congruence, odeint
from mvnet.linalg import gl3, sym3

STEPS = 2
BARS = {"lie_euler": 0.1, "rkmk2": 0.25, "rkmk4": None, "cf4": None}


def measure(quick: bool) -> tuple[list[dict], list[Target]]:
    """Rows and targets of the methods."""
    import geoopt

    generator = torch.Generator().manual_seed(0)
    shape = (1, 6, 10, 10, 10) if quick else (1, 6, 20, 25, 40)
    z0 = sym3.exp(0.5 * torch.randn(shape, generator=generator))
    weight = (0.3 * torch.randn(9, 6, generator=generator)).requires_grad_()
    times, manifold = torch.linspace(0, 0.5, STEPS + 1), geoopt.SymmetricPositiveDefinite()

    def field(t: Tensor, z: Tensor) -> Tensor:
        return torch.tanh(torch.einsum("ij,bj...->bi...", weight, sym3.log(z)))

    def back(end: Tensor) -> None:
        torch.autograd.grad(end.sum(), weight)

    def expmap() -> Tensor:
        z, h = sym3.unpack(z0, dim=1), float(times[1])
        for _ in range(STEPS):
            xi = gl3.to_matrix(field(times[0], sym3.pack(z, dim=1)), dim=1)
            moved = xi @ z
            z = manifold.expmap(z, h * (moved + moved.mT))
        return z

    def ours(method: str) -> Callable[[], object]:
        return lambda: back(odeint(field, z0, times, action=Congruence(1), method=method, save="last"))

    calls = {"geoopt expmap": lambda: back(expmap()), **{name: ours(name) for name in BARS}}
    found = {name: ms / STEPS for name, ms in fastest(calls, 1 if quick else 5).items()}
    peer, rows, targets = found["geoopt expmap"], [], []
    for name, ms in found.items():
        rows.append({"tensors": z0[0, 0].numel(), "solver": name, "ms a step": ms, "ratio": ms / peer})
        bar = BARS.get(name)
        if bar is not None:
            targets.append(Target(f"{name} over geoopt's expmap", ms / peer, f"<= {bar}", ms / peer <= bar))
    return rows, targets
