"""OPTIMIZERS: one line for every optimiser. Every training command offers every name.

The table imports nothing: it is read by `mvnet --help` too. A class is imported when it is built.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mvnet.errors import MvnetError

if TYPE_CHECKING:
    import torch
    from torch import nn

TRAININGS = ("dti", "insar", "activity", "adapt", "motion")
"""The commands that train a network: `train dti`, ..., `denoise dti --adapt`, `train motion`."""


@dataclass(frozen=True)
class Entry:
    """An optimiser.

    Args:
        place: "module:Class" below `mvnet.optim`; the class has `for_model(model, lr, weight_decay, **options)`.
        help: what it is, in one line.
        rates: default learning rate of each of `TRAININGS`.
    """

    place: str
    help: str
    rates: tuple[float, float, float, float, float]

    def load(self) -> Any:
        """The class."""
        module, _, name = self.place.partition(":")
        return getattr(import_module(f"mvnet.optim.{module}"), name)


OPTIMIZERS: dict[str, Entry] = {
    "adamw": Entry("adam:AdamW", "Adam with decoupled weight decay.", (1.2e-3, 2e-3, 2e-3, 3e-4, 2e-3)),
    "adam": Entry("adam:Adam", "Adam.", (1.2e-3, 2e-3, 2e-3, 3e-4, 2e-3)),
    "sgd": Entry(
        "adam:SGD", "Gradient descent with momentum, at ten times the rate.", (1.2e-3, 2e-3, 2e-3, 3e-4, 2e-3)
    ),
    "muon": Entry("spectral:Muon", "Steepest descent of kernels in the spectral norm.", (4e-3, 5e-3, 2e-3, 3e-4, 5e-3)),
    "soap": Entry("soap:SOAP", "Adam in the eigenbases of a kernel's channels.", (4e-3, 3e-3, 2e-3, 1e-3, 3e-3)),
    "kfac": Entry("kfac:KFAC", "Natural gradient of Kronecker-factored curvature.", (3e-3, 3e-3, 2e-3, 5e-4, 3e-3)),
    "ekfac": Entry("kfac:EKFAC", "KFAC with the variances along its axes measured.", (3e-3, 3e-3, 3e-3, 5e-4, 3e-3)),
    "amsgrad": Entry(
        "adam:AMSGrad", "Adam that divides by the largest second moment.", (1.2e-3, 2e-3, 2e-3, 3e-4, 2e-3)
    ),
    "riemannian-sgd": Entry("riemannian:RiemannianSGD", "Descent on manifolds.", (1.2e-2, 2e-2, 2e-2, 3e-3, 2e-2)),
    "riemannian-adam": Entry("riemannian:RiemannianAdam", "Adam on manifolds.", (1.2e-3, 2e-3, 2e-3, 3e-4, 2e-3)),
    "bfgs": Entry(
        "bfgs:BFGS", "Descent in a damped BFGS metric, steps of fixed length.", (5e-4, 5e-4, 1e-3, 1e-4, 5e-4)
    ),
    "conformal": Entry("hamiltonian:ConformalHamiltonian", "Hamiltonian descent.", (0.1, 0.15, 0.15, 0.05, 0.15)),
    "relativistic": Entry(
        "hamiltonian:RelativisticGradientDescent", "Momentum with a speed limit.", (6e-3, 1e-2, 1e-2, 1.5e-3, 1e-2)
    ),
    "port-hamiltonian": Entry(
        "port_hamiltonian:PortHamiltonianDescent", "Momentum with an energy that falls.", (0.1, 0.15, 0.15, 0.05, 0.15)
    ),
}
"""name -> entry. To add an optimiser: one file, and one line here."""

_NOT_OPTIONS = ("self", "params", "lr", "weight_decay", "views", "model")


def find(name: str) -> Entry:
    """The entry of an optimiser.

    Args:
        name: a key of `OPTIMIZERS`.
    Returns:
        its entry.
    Raises:
        MvnetError: unknown name; the message lists those that exist.
    """
    if name not in OPTIMIZERS:
        raise MvnetError(f"optimizer: found {name!r}, expected one of {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name]


def default_rate(name: str, training: str) -> float:
    """The learning rate at which an optimiser does best in a training of this project.

    Args:
        name: a key of `OPTIMIZERS`.
        training: one of `TRAININGS`.
    Returns:
        the rate.
    """
    return find(name).rates[TRAININGS.index(training)]


def options_of(name: str) -> dict[str, Any]:
    """Further options of an optimiser.

    Args:
        name: a key of `OPTIMIZERS`.
    Returns:
        name -> default.
    """
    kind = find(name).load()
    signature = inspect.signature(kind.__init__)
    return {
        p.name: p.default
        for p in signature.parameters.values()
        if p.kind is p.KEYWORD_ONLY and p.name not in _NOT_OPTIONS
    }


def build(name: str, model: nn.Module, rate: float, weight_decay: float = 0.0, **options: Any) -> torch.optim.Optimizer:
    """Build the optimiser of a network's parameters.

    Args:
        name: a key of `OPTIMIZERS`.
        model: the network, on its device.
        rate: learning rate.
        weight_decay: added to the gradient by "adam", "sgd" and the Hamiltonian methods, decoupled from it by the
            others.
        **options: of `options_of(name)`.
    Returns:
        the optimiser.
    Raises:
        MvnetError: unknown name or option, a rate that is not positive, or parameters on a manifold with an optimiser
            that would step off it.
    """
    entry, known = find(name), options_of(name)
    for option in options:
        _check_option(name, option, known)
    if not (math.isfinite(rate) and rate > 0):
        raise MvnetError(f"rate: found {rate}, expected a positive number")
    _check_points(model)
    return entry.load().for_model(model, rate, weight_decay, **options)


def _check_option(name: str, option: str, known: Mapping[str, Any]) -> None:
    """MvnetError: the optimiser does not know the option."""
    if option not in known:
        raise MvnetError(f"optimizer-options: found {option!r}, expected {', '.join(known) or 'none'} for {name}")


def _check_points(model: nn.Module) -> None:
    """MvnetError: a parameter is off its manifold."""
    from mvnet.manifolds.parameter import ManifoldParameter

    for name, parameter in model.named_parameters():
        if isinstance(parameter, ManifoldParameter):
            parameter.check(name)


def parse_options(name: str, text: str) -> dict[str, Any]:
    """Options written as "k=v,...", each of the type of its default.

    Args:
        name: a key of `OPTIMIZERS`.
        text: may be empty.
    Returns:
        option -> value.
    Raises:
        MvnetError: unknown name or option, or a value of another type.
    """
    known, found = options_of(name), {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        option, _, value = part.partition("=")
        _check_option(name, option, known)
        found[option] = _parse(option, value, known[option])
    return found


def _parse(option: str, value: str, default: Any) -> Any:
    """The value in the type of the default."""
    words = {"true": True, "false": False}
    try:
        return words[value.lower()] if isinstance(default, bool) else type(default)(value)
    except (KeyError, ValueError) as error:
        kind = "true or false" if isinstance(default, bool) else type(default).__name__
        raise MvnetError(f"optimizer-options: found {option}={value!r}, expected {option}={kind}") from error


def describe(model: nn.Module, name: str = "adamw", **options: Any) -> list[Mapping[str, Any]]:
    """Which parameter gets which geometry: one row for each.

    Args:
        model: the network.
        name: a key of `OPTIMIZERS`.
        **options: of `options_of(name)`.
    Returns:
        rows of "parameter", "shape", "kind" (manifold, matrix, vector), "geometry" in words, and "violation", how far a
        parameter is off its manifold.
    """
    from mvnet.manifolds.parameter import ManifoldParameter
    from mvnet.optim.roles import is_treated, roles

    treated = getattr(find(name).load(), "treats", ())
    fewest = {**options_of(name), **options}.get("fewest", 0)
    rows = []
    for role in roles(model):
        parameter, geometry, violation = role.parameter, "every entry by itself", None
        if isinstance(parameter, ManifoldParameter):
            geometry = str(parameter.manifold) if "manifold" in treated else f"refused: on {parameter.manifold}"
            violation = float(parameter.manifold.violation(parameter.detach()).max())
        elif role.view is not None and "matrix" in treated and is_treated(parameter, role.view, fewest):
            out, into, taps = role.view.shape
            geometry = f"{out} x {into} x {taps} kernel of {role.view.label}"
        shape = tuple(parameter.shape)
        rows.append(
            {"parameter": role.name, "shape": shape, "kind": role.kind, "geometry": geometry, "violation": violation}
        )
    return rows
