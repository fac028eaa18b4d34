"""How to make a field of every entry of FIELDS, and states for it. A new field is one line of CASES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mvnet.fields import FIELDS
from mvnet.linalg import so3

DTYPE = torch.float64


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=DTYPE)


def euclidean(d: int) -> Callable[..., Tensor]:
    return lambda *batch, seed: normal(*batch, d, seed=seed)


def spd(*batch: int, seed: int) -> Tensor:
    a = torch.eye(3, dtype=DTYPE) + 0.4 * normal(*batch, 3, 3, seed=seed)
    return a @ a.mT + 0.1 * torch.eye(3, dtype=DTYPE)


def rotations(*batch: int, seed: int) -> Tensor:
    return so3.exp(normal(*batch, 3, seed=seed))


def motions(*batch: int, seed: int) -> Tensor:
    return torch.cat((rotations(*batch, seed=seed), normal(*batch, 3, 1, seed=seed + 1)), -1)


def same(xi: Tensor, z: Tensor) -> Tensor:
    return xi


@dataclass(frozen=True)
class Case:
    """A first argument, states of any batch shape, the velocity xi . z in the ambient space, further options.

    `symmetric`: states are symmetric matrices, of which a field reads one half or both.
    """

    first: int
    states: Callable[..., Tensor]
    velocity: Callable[[Tensor, Tensor], Tensor] = same
    point_ndim: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    symmetric: bool = False


def motion_velocity(xi: Tensor, z: Tensor) -> Tensor:
    moved = so3.hat(xi[..., :3]) @ z
    return torch.cat((moved[..., :3], moved[..., 3:] + xi[..., 3:, None]), -1)


CASES = {
    "layer": Case(3, euclidean(3)),
    "damped_skew": Case(3, euclidean(3)),
    "two_matrix": Case(3, euclidean(3), options={"hidden": 4, "sigma": "tanh"}),
    "gradient_flow": Case(3, euclidean(3), options={"hidden": 5}),
    "ridge_hamiltonian": Case(4, euclidean(4)),
    "two_layer_hamiltonian": Case(4, euclidean(4), options={"hidden": 3, "kinetic_sigma": "arctan"}),
    "second_order_hamiltonian": Case(4, euclidean(4), options={"hidden": 3}),
    "skew_potential": Case(3, euclidean(3)),
    "pairwise_hamiltonian": Case(3, euclidean(3)),
    "port_hamiltonian": Case(3, euclidean(3), options={"rank": 2}),
    "spd_gradient_flow": Case(3, spd, lambda xi, p: xi @ p + p @ xi.mT, 2, symmetric=True),
    "circle_gradient_flow": Case(2, lambda *batch, seed: normal(*batch, seed=seed), point_ndim=0),
    "rotation_gradient_flow": Case(3, rotations, lambda xi, r: so3.hat(xi) @ r, 2),
    "rotor": Case(3, motions, motion_velocity, 2),
}

FLAT = [name for name, case in CASES.items() if case.point_ndim == 1]
"""Fields of R^n."""


def make(name: str, seed: int = 0, dtype: torch.dtype = DTYPE, **options: Any) -> Any:
    """A field of the registry, with random parameters of which none is zero."""
    case = CASES[name]
    settings: dict[str, Any] = {"intervals": 3, "kind": "linear", **case.options, **options}
    made = FIELDS[name](case.first, generator=generator(seed), **settings).double()
    with torch.no_grad():
        for number, parameter in enumerate(made.parameters()):
            parameter += 0.3 * normal(*parameter.shape, seed=100 + number)
    return made.to(dtype)


TIME = torch.tensor(0.4, dtype=DTYPE)
