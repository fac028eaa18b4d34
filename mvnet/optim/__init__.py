"""Training that exploits structure (paper section 6): optimisers of parameters that are more than lists of numbers.

`build(name, model, rate)` gives any of `OPTIMIZERS`; `describe(model, name)` says which parameter it treats how.
"""

from typing import TYPE_CHECKING

from mvnet.lazy import lazy_names

if TYPE_CHECKING:
    from mvnet.optim.adam import SGD, Adam, AdamW, AMSGrad
    from mvnet.optim.kfac import EKFAC, KFAC

    from mvnet.optim.pymanopt import minimise

    from mvnet.optim.bfgs import BFGS
    from mvnet.optim.natural import NaturalGradient
    from mvnet.optim.registry import OPTIMIZERS, build, describe
    from mvnet.optim.riemannian import RiemannianAdam, RiemannianSGD
    from mvnet.optim.roles import Role, matrix_views, roles
    from mvnet.optim.soap import SOAP
    from mvnet.optim.spectral import Muon

__all__ = [
    "EKFAC",
    "KFAC",

    "BFGS",
    "OPTIMIZERS",
    "SGD",
    "SOAP",
    "AMSGrad",
    "Adam",
    "AdamW",
    "Muon",
    "RiemannianAdam",
    "RiemannianSGD",

    "NaturalGradient",
    "Role",
    "build",
    "describe",
    "matrix_views",
    "minimise",
    "roles",
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
    "SOAP": "soap",
}

__getattr__, __dir__ = lazy_names(__name__, _PLACES)
