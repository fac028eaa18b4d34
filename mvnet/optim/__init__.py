"""Training that exploits structure (paper section 6): optimisers of parameters that are more than lists of numbers.

`build(name, model, rate)` gives any of `OPTIMIZERS`; `describe(model, name)` says which parameter it treats how.
"""

from typing import TYPE_CHECKING

from mvnet.lazy import lazy_names

if TYPE_CHECKING:
    from mvnet.optim.adam import SGD, Adam, AdamW, AMSGrad
    from mvnet.optim.hamiltonian import ConformalHamiltonian, RelativisticGradientDescent
    from mvnet.optim.port_hamiltonian import PortHamiltonianDescent
    from mvnet.optim.registry import OPTIMIZERS, build, describe
    from mvnet.optim.roles import Role, matrix_views, roles
    from mvnet.optim.soap import SOAP
    from mvnet.optim.spectral import Muon

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "SOAP",
    "AMSGrad",
    "Adam",
    "AdamW",
    "ConformalHamiltonian",
    "Muon",
    "PortHamiltonianDescent",
    "RelativisticGradientDescent",
    "Role",
    "build",
    "describe",
    "matrix_views",
    "roles",
]

_PLACES = {
    **dict.fromkeys(("OPTIMIZERS", "build", "describe"), "registry"),
    **dict.fromkeys(("Role", "matrix_views", "roles"), "roles"),
    **dict.fromkeys(("Adam", "AdamW", "AMSGrad", "SGD"), "adam"),
    **dict.fromkeys(("ConformalHamiltonian", "RelativisticGradientDescent"), "hamiltonian"),
    "Muon": "spectral",
    "PortHamiltonianDescent": "port_hamiltonian",
    "SOAP": "soap",
}

__getattr__, __dir__ = lazy_names(__name__, _PLACES)
