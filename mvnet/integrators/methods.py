"""METHODS: name -> integrator, one line each. The tests check the order, equivariance and gradients of every entry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mvnet.errors import MvnetError
from mvnet.fields.base import Field
from mvnet.integrators.adaptive import Adaptive
from mvnet.integrators.base import Method
from mvnet.integrators.constrained import Projection, Rattle
from mvnet.integrators.discrete_gradient import GONZALEZ, ITOH_ABE, MEAN_VALUE
from mvnet.integrators.explicit import RungeKutta
from mvnet.integrators.implicit import tableaus as implicit
from mvnet.integrators.implicit.runge_kutta import ImplicitRungeKutta
from mvnet.integrators.lie_group.commutator_free import CF3, CF4, CG3
from mvnet.integrators.lie_group.discrete_gradient import RIEMANNIAN_GONZALEZ
from mvnet.integrators.lie_group.leapfrog import Leapfrog
from mvnet.integrators.lie_group.magnus import MAGNUS4, MAGNUS6
from mvnet.integrators.lie_group.munthe_kaas import TWO_COMMUTATORS, Cayley, Exponential, MuntheKaas
from mvnet.integrators.lie_group.proximal import PROXIMAL
from mvnet.integrators.lie_group.spherical_midpoint import SphericalMidpoint
from mvnet.integrators.symplectic import SYMPLECTIC_EULER, VERLET, YOSHIDA4
from mvnet.integrators.tableaus import BOSH3, DOPRI5, EULER, HEUN, KUTTA3, MIDPOINT, RK4, RK38, SSP3, TSIT5
from mvnet.manifolds.actions import GroupAction

METHODS: dict[str, Method] = {
    "lie_euler": MuntheKaas(EULER),
    "lie_midpoint": MuntheKaas(MIDPOINT),
    "rkmk2": MuntheKaas(HEUN),
    "rkmk3": MuntheKaas(KUTTA3, Exponential(1)),
    "rkmk4": MuntheKaas(RK4, Exponential(2)),
    "rkmk4_two_commutators": MuntheKaas(RK4, brackets=TWO_COMMUTATORS),
    "cg3": CG3,
    "cf3": CF3,
    "cf4": CF4,
    "cayley_rk4": MuntheKaas(RK4, Cayley()),
    "euler": RungeKutta(EULER),
    "midpoint": RungeKutta(MIDPOINT),
    "heun": RungeKutta(HEUN),
    "kutta3": RungeKutta(KUTTA3),
    "ssp3": RungeKutta(SSP3),
    "rk4": RungeKutta(RK4),
    "rk38": RungeKutta(RK38),
    "bosh3": Adaptive(BOSH3),
    "dopri5": Adaptive(DOPRI5),
    "tsit5": Adaptive(TSIT5),
    "leapfrog": Leapfrog(),
    "magnus4": MAGNUS4,
    "magnus6": MAGNUS6,
    "spherical_midpoint": SphericalMidpoint(),
    "proximal": PROXIMAL,
    "symplectic_euler": SYMPLECTIC_EULER,
    "verlet": VERLET,
    "yoshida4": YOSHIDA4,
    "gonzalez": GONZALEZ,
    "mean_value": MEAN_VALUE,
    "itoh_abe": ITOH_ABE,
    "riemannian_gonzalez": RIEMANNIAN_GONZALEZ,
    "rattle": Rattle(),
    "projection": Projection(),
    "implicit_euler": ImplicitRungeKutta(implicit.IMPLICIT_EULER),
    "implicit_midpoint": ImplicitRungeKutta(implicit.IMPLICIT_MIDPOINT),
    "gauss4": ImplicitRungeKutta(implicit.GAUSS4),
    "gauss6": ImplicitRungeKutta(implicit.GAUSS6),
    "radau_ia3": ImplicitRungeKutta(implicit.RADAU_IA3),
    "radau_ia5": ImplicitRungeKutta(implicit.RADAU_IA5),
    "radau_iia3": ImplicitRungeKutta(implicit.RADAU_IIA3),
    "radau_iia5": ImplicitRungeKutta(implicit.RADAU_IIA5),
    "lobatto_iiic2": ImplicitRungeKutta(implicit.LOBATTO_IIIC2),
    "lobatto_iiic4": ImplicitRungeKutta(implicit.LOBATTO_IIIC4),
}


def get_method(name: str) -> Method:
    """Look up a method.

    Args:
        name: a key of `METHODS`.
    Returns:
        the method.
    Raises:
        MvnetError: unknown name; the message lists those that exist.
    """
    if name not in METHODS:
        raise MvnetError(f"method: found {name!r}, expected one of {', '.join(METHODS)}")
    return METHODS[name]


def configured(name: str, **options: Any) -> Method:
    """Look up a method and change its settings.

    Args:
        name: a key of `METHODS`.
        **options: some of those that the method names in `options`.
    Returns:
        the method with these settings.
    Raises:
        MvnetError: unknown name or option.
    """
    method = get_method(name)
    known: tuple[str, ...] = getattr(method, "options", ())
    for option in options:
        if option not in known:
            expected = f"one of {', '.join(known)}" if known else "none"
            raise MvnetError(f"{option}: found as an option of method {name!r}, expected {expected}")
    return replace(method, **options) if options else method  # pyright: ignore[reportArgumentType]


def check_combination(name: str, field: object, action: GroupAction) -> None:
    """Refuse a field or an action that the method cannot integrate.

    Args:
        name: a key of `METHODS`.
        field: the field.
        action: its action.
    Raises:
        MvnetError: names both.
    """
    method = get_method(name)
    found = f"{type(field).__name__} with method {name!r}"
    if not isinstance(field, method.takes):
        wanted = "a callable" if method.takes is Field else f"a {method.takes.__name__}"
        raise MvnetError(f"field: found a {found}, expected {wanted} for this method")
    actions: tuple[type, ...] | None = getattr(method, "actions", None)
    if actions is not None and type(action) not in actions:
        expected = " or ".join(a.__name__ for a in actions)
        raise MvnetError(f"action: found {type(action).__name__} with method {name!r}, expected {expected}")
