"""Numbers read off tableaus: algebraic stability, the radius of circle contractivity, symmetry."""

from __future__ import annotations

import numpy as np
import pytest

from mvnet.integrators import METHODS
from mvnet.integrators.implicit.runge_kutta import ImplicitRungeKutta
from mvnet.integrators.implicit.tableaus import ImplicitTableau
from mvnet.integrators.stability import (
    contractivity_radius,
    is_algebraically_stable,
    is_symmetric,
    is_symplectic,
    stability_matrix,
)
from mvnet.integrators.tableaus import EULER, HEUN, KUTTA3, MIDPOINT, RK4, RK38, SSP3

TABLEAUS = {name: method.tableau for name, method in METHODS.items() if isinstance(method, ImplicitRungeKutta)}
TRAPEZOID = ImplicitTableau(2, ((0.0, 0.0), (1 / 2, 1 / 2)), (1 / 2, 1 / 2))
SDIRK2 = ImplicitTableau(2, ((1 - 0.5**0.5, 0.0), (0.5**0.5, 1 - 0.5**0.5)), (0.5**0.5, 1 - 0.5**0.5))


@pytest.mark.parametrize(
    ("tableau", "radius"),
    [(EULER, 1), (HEUN, 1), (RK4, 1), (SSP3, 1), (KUTTA3, 0.5), (RK38, 2 * 3**0.5 - 3), (MIDPOINT, 0)],
)
def test_radii_of_explicit_methods(tableau, radius):
    assert contractivity_radius(tableau) == pytest.approx(radius, abs=1e-12)
    assert not is_algebraically_stable(tableau) and not is_symplectic(tableau)


def test_the_radius_is_the_circle_in_which_a_disc_stays():
    """|R(z)| <= 1 on the disc |z + r| <= r for scalar equations: necessary, and for Euler's method also sharp."""
    angle = np.linspace(0, 2 * np.pi, 400)
    for tableau in (EULER, HEUN, KUTTA3, RK4, SSP3, RK38):
        r, s = contractivity_radius(tableau), len(tableau.b)
        a = np.array([[*row, *[0.0] * (s - len(row))] for row in tableau.a])
        for z in -r + r * np.exp(1j * angle):
            growth = 1 + z * np.array(tableau.b) @ np.linalg.solve(np.eye(s) - z * a, np.ones(s))
            assert abs(growth) <= 1 + 1e-12


@pytest.mark.parametrize("name", TABLEAUS)
def test_every_implicit_method_here_is_algebraically_stable(name):
    tableau = TABLEAUS[name]
    assert np.linalg.eigvalsh(stability_matrix(tableau))[0] >= -1e-15 and min(tableau.b) > 0
    assert is_algebraically_stable(tableau) and contractivity_radius(tableau) == np.inf
    gauss = name.startswith("gauss") or name == "implicit_midpoint"
    assert is_symplectic(tableau) == gauss == is_symmetric(tableau)
    assert ("quadratic invariants" in METHODS[name].preserves) == gauss


def test_some_implicit_methods_are_not():
    """The trapezoidal rule and SDIRK2: -1/4 and -.086."""
    for tableau, least in ((TRAPEZOID, -0.25), (SDIRK2, -0.0858)):
        assert not is_algebraically_stable(tableau)
        assert np.linalg.eigvalsh(stability_matrix(tableau))[0] == pytest.approx(least, abs=1e-4)


@pytest.mark.parametrize("name", TABLEAUS)
def test_simplifying_assumptions(name):
    """B(p), C(k), D(l) with p <= k + l + 1 and p <= 2 k + 2 give order p. Hairer, Wanner (1996), theorem IV.5.1."""
    tableau = TABLEAUS[name]
    a, b, c = (np.array(x) for x in (tableau.a, tableau.b, tableau.c))
    p = tableau.order

    def holds(statement, most=10):
        return next(k for k in range(most) if np.abs(statement(k + 1)).max() > 1e-13)

    quadrature = holds(lambda k: b @ c ** (k - 1) - 1 / k)
    stages = holds(lambda k: a @ c ** (k - 1) - c**k / k)
    columns = holds(lambda k: (b * c ** (k - 1)) @ a - b * (1 - c**k) / k)
    assert quadrature == p <= min(stages + columns + 1, 2 * stages + 2)


def test_a_tableau_that_is_not_square_is_refused():
    with pytest.raises(ValueError, match=r"a: found rows of lengths \[1\], expected 2 of length 2"):
        ImplicitTableau(1, ((1.0,),), (0.5, 0.5))
