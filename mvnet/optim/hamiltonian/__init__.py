"""Optimisers that are Hamiltonian systems with friction (paper section 6.1).

    p' = - dE/dtheta - gamma p,    theta' = dT/dp                                                  (56)

`kinetic` holds energies T, `maps` one step of each method as a function that can be differentiated, `conformal` and
`relativistic` the optimisers.
"""

from mvnet.optim.hamiltonian.conformal import ConformalHamiltonian
from mvnet.optim.hamiltonian.kinetic import KINETICS, Arbitrary, Kinetic, Power, Quadratic, Relativistic
from mvnet.optim.hamiltonian.relativistic import RelativisticGradientDescent

__all__ = [
    "KINETICS",
    "Arbitrary",
    "ConformalHamiltonian",
    "Kinetic",
    "Power",
    "Quadratic",
    "Relativistic",
    "RelativisticGradientDescent",
]
