"""Port-Hamiltonian systems as optimisers (paper section 6.4.1).

    x' = (J - R) dH/dx + B u,    y = B^T dH/dx,    J skew, R positive semidefinite

`system` holds the systems themselves, their interconnection and an integrator that keeps the power balance; `descent`
the optimiser, with one such system for every layer of a network.
"""

from mvnet.optim.port_hamiltonian.descent import PortHamiltonianDescent
from mvnet.optim.port_hamiltonian.system import (
    PortHamiltonianSystem,
    discrete_gradient,
    discrete_gradient_step,
    interconnect,
    moving_mass,
    storage,
)

__all__ = [
    "PortHamiltonianDescent",
    "PortHamiltonianSystem",
    "discrete_gradient",
    "discrete_gradient_step",
    "interconnect",
    "moving_mass",
    "storage",
]
