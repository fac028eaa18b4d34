"""Training that exploits structure (paper section 6): optimisers of parameters that are more than lists of numbers.

`build(name, model, rate)` gives any of `OPTIMIZERS`; `describe(model, name)` says which parameter it treats how.
"""

from typing import TYPE_CHECKING

from mvnet.lazy import lazy_names

if TYPE_CHECKING:
    from mvnet.optim.adam import SGD, Adam, AdamW, AMSGrad
    from mvnet.optim.bfgs import BFGS
    from mvnet.optim.hamiltonian import ConformalHamiltonian, RelativisticGradientDescent
    from mvnet.optim.kfac import EKFAC, KFAC
    from mvnet.optim.natural import NaturalGradient
    from mvnet.optim.port_hamiltonian import PortHamiltonianDescent
    from mvnet.optim.proximal import L1, Simplex, add_proximal_step, project_l1_ball, project_simplex, soft_threshold
    from mvnet.optim.pymanopt import minimise
    from mvnet.optim.registry import OPTIMIZERS, build, describe
    from mvnet.optim.riemannian import RiemannianAdam, RiemannianSGD
    from mvnet.optim.roles import Role, matrix_views, roles
    from mvnet.optim.soap import SOAP
    from mvnet.optim.spectral import Muon
    from mvnet.optim.wasserstein import MeasureFlow, ReLUMeasure, largest_margin, margin_of

__all__ = [
    "BFGS",
    "EKFAC",
    "KFAC",
    "L1",
    "OPTIMIZERS",
    "SGD",
    "SOAP",
    "AMSGrad",
    "Adam",
    "AdamW",
    "ConformalHamiltonian",
    "MeasureFlow",
    "Muon",
    "NaturalGradient",
    "PortHamiltonianDescent",
    "ReLUMeasure",
    "RelativisticGradientDescent",
    "RiemannianAdam",
    "RiemannianSGD",
    "Role",
    "Simplex",
    "add_proximal_step",
    "build",
    "describe",
    "largest_margin",
    "margin_of",
    "matrix_views",
    "minimise",
    "project_l1_ball",
    "project_simplex",
    "roles",
    "soft_threshold",
]

_PLACES = {
    **dict.fromkeys(("OPTIMIZERS", "build", "describe"), "registry"),
    **dict.fromkeys(("Role", "matrix_views", "roles"), "roles"),
    **dict.fromkeys(("Adam", "AdamW", "AMSGrad", "SGD"), "adam"),
    **dict.fromkeys(("EKFAC", "KFAC"), "kfac"),
    **dict.fromkeys(("RiemannianAdam", "RiemannianSGD"), "riemannian"),
    "minimise": "pymanopt",
    "BFGS": "bfgs",
    "Muon": "spectral",
    "NaturalGradient": "natural",
    **dict.fromkeys(("ConformalHamiltonian", "RelativisticGradientDescent"), "hamiltonian"),
    "PortHamiltonianDescent": "port_hamiltonian",
    **dict.fromkeys(
        ("L1", "Simplex", "add_proximal_step", "project_l1_ball", "project_simplex", "soft_threshold"), "proximal"
    ),
    "SOAP": "soap",
    **dict.fromkeys(("MeasureFlow", "ReLUMeasure", "largest_margin", "margin_of"), "wasserstein"),
}

__getattr__, __dir__ = lazy_names(__name__, _PLACES)
