"""Coefficients: exact order conditions, and the classical methods in R^n."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from mvnet.integrators import METHODS, Adaptive, odeint
from mvnet.integrators.explicit import RungeKutta
from mvnet.integrators.lie_group.commutator_free import CommutatorFree
from mvnet.integrators.lie_group.munthe_kaas import MuntheKaas
from mvnet.integrators.tableaus import Tableau

FIXED = [n for n, m in METHODS.items() if isinstance(m, MuntheKaas | CommutatorFree | RungeKutta)]


def exact(x: float) -> Fraction:
    return Fraction(x).limit_denominator(1000)


def euclidean_tableau(method) -> tuple[list[list[Fraction]], list[Fraction]]:
    """(a, b) of the Runge-Kutta method that the Lie-group method becomes where the group is commutative."""
    if isinstance(method, MuntheKaas | RungeKutta):
        rows = [list(map(exact, row)) for row in method.tableau.a]
        b = list(map(exact, method.tableau.b))
    else:
        assert isinstance(method, CommutatorFree)
        rows: list[list[Fraction]] = []
        for path in (*method.stages, method.update):
            width = len(rows)
            start = rows[path.start] if rows else []
            total = start + [Fraction(0)] * (width - len(start))
            for exponent in path.exponents:
                total = [x + exact(e) for x, e in zip(total, exponent, strict=True)]
            rows.append(total)
        b = rows.pop()
    s = len(b)
    return [row + [Fraction(0)] * (s - len(row)) for row in rows], b


@pytest.mark.parametrize("method", FIXED)
def test_order_conditions_hold_exactly(method):
    """Every rooted tree up to the order (up to 4). Hairer, Lubich, Wanner (2006), table III.1.1."""
    a, b = euclidean_tableau(METHODS[method])
    c = [sum(row, Fraction(0)) for row in a]

    def apply(x):
        return [sum((aij * xj for aij, xj in zip(row, x, strict=True)), Fraction(0)) for row in a]

    def times(*factors):
        out = [Fraction(1)] * len(b)
        for f in factors:
            out = [x * y for x, y in zip(out, f, strict=True)]
        return out

    trees = {
        1: [(times(), 1)],
        2: [(c, 2)],
        3: [(times(c, c), 3), (apply(c), 6)],
        4: [(times(c, c, c), 4), (times(c, apply(c)), 8), (apply(times(c, c)), 12), (apply(apply(c)), 24)],
    }
    for order in range(1, METHODS[method].order + 1):
        for weights, gamma in trees[order]:
            assert sum(times(b, weights)) == Fraction(1, gamma)


@pytest.mark.parametrize("method", [n for n, m in METHODS.items() if isinstance(m, Adaptive)])
def test_order_conditions_of_pairs(method):
    """Up to order 5, in floating point; the embedded weights are those of a lower order and no more."""
    tableau = METHODS[method].tableau  # pyright: ignore[reportAttributeAccessIssue]
    s = len(tableau.b)
    a = torch.tensor([[*row, *[0.0] * (s - len(row))] for row in tableau.a], dtype=torch.float64)
    b, error = (torch.tensor(x, dtype=torch.float64) for x in (tableau.b, tableau.error))
    c, one = a.sum(1), torch.ones(s, dtype=torch.float64)
    ac, acc = a @ c, a @ c**2
    trees = {
        1: [(one, 1)],
        2: [(c, 2)],
        3: [(c**2, 3), (ac, 6)],
        4: [(c**3, 4), (c * ac, 8), (acc, 12), (a @ ac, 24)],
        5: [
            *((c**4, 5), (c**2 * ac, 10), (ac**2, 20), (c * acc, 15), (a @ c**3, 20)),
            *((c * (a @ ac), 30), (a @ (c * ac), 40), (a @ acc, 60), (a @ (a @ ac), 120)),
        ],
    }
    for order in range(1, tableau.order + 1):
        assert all(abs(float(b @ weights) - 1 / gamma) < 2e-14 for weights, gamma in trees[order])
    kept = [max(abs(float(error @ weights)) for weights, _ in trees[k]) for k in range(1, tableau.embedded_order + 2)]
    assert max(kept[:-1]) < 1e-14 and kept[-1] > 1e-4


@pytest.mark.parametrize("method", FIXED)
def test_nodes_are_row_sums(method):
    a, _ = euclidean_tableau(METHODS[method])
    m = METHODS[method]
    c = m.tableau.c if isinstance(m, MuntheKaas | RungeKutta) else m.c  # pyright: ignore[reportAttributeAccessIssue]
    assert [exact(x) for x in c] == [sum(row, Fraction(0)) for row in a]


def euler(f, t, h, z):
    return z + h * f(t, z)


def midpoint(f, t, h, z):
    return z + h * f(t + h / 2, z + h / 2 * f(t, z))


def heun(f, t, h, z):
    k = f(t, z)
    return z + h / 2 * (k + f(t + h, z + h * k))


def kutta3(f, t, h, z):
    k1 = f(t, z)
    k2 = f(t + h / 2, z + h / 2 * k1)
    return z + h / 6 * (k1 + 4 * k2 + f(t + h, z + h * (2 * k2 - k1)))


def rk4(f, t, h, z):
    k1 = f(t, z)
    k2 = f(t + h / 2, z + h / 2 * k1)
    k3 = f(t + h / 2, z + h / 2 * k2)
    return z + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(t + h, z + h * k3))


CLASSICAL = {
    "lie_euler": euler,
    "lie_midpoint": midpoint,
    "rkmk2": heun,
    "rkmk3": kutta3,
    "rkmk4": rk4,
    "rkmk4_two_commutators": rk4,
    "cf4": rk4,
    "cayley_rk4": rk4,
    "euler": euler,
    "midpoint": midpoint,
    "heun": heun,
    "kutta3": kutta3,
    "rk4": rk4,
}


@pytest.mark.parametrize("method", CLASSICAL)
def test_without_an_action_the_textbook_method(method):
    z0 = torch.tensor([0.2, -1.0, 0.7], dtype=torch.float64)

    def f(t, z):
        return (z.roll(1) * t).sin() - z

    t = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)
    expected = z0
    for i in range(2):
        expected = CLASSICAL[method](f, t[i], t[i + 1] - t[i], expected)
    torch.testing.assert_close(odeint(f, z0, t, method=method)[-1], expected, rtol=1e-15, atol=1e-15)


def test_a_tableau_that_is_not_explicit_is_refused():
    with pytest.raises(ValueError, match="a: found rows of lengths"):
        Tableau(2, ((1 / 2,),), (1.0,))
