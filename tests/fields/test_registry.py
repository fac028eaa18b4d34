"""One battery over every field of FIELDS."""

from __future__ import annotations

import doctest

import pytest
import torch

import mvnet.fields
from mvnet.errors import MvnetError
from mvnet.fields import FIELDS, PRESERVED, ActingField, EnergyField, SplitField, estimate_one_sided
from mvnet.fields.in_time import KINDS
from tests.fields.cases import CASES, DTYPE, FLAT, TIME, generator, make, normal

FALLS = ("gradient_flow", "port_hamiltonian", "spd_gradient_flow", "circle_gradient_flow", "rotation_gradient_flow")


def preserving(word: str, names=tuple(CASES)) -> list[str]:
    return [name for name in names if word in FIELDS[name].preserves]


def jacobian(field, t, z):
    return torch.func.vmap(torch.func.jacrev(field, argnums=1), in_dims=(None, 0))(t, z)


def test_every_field_has_a_case():
    assert set(CASES) == set(FIELDS)
    assert all(kind.preserves <= set(PRESERVED) for kind in FIELDS.values())


@pytest.mark.parametrize(
    "name", [n for n in mvnet.fields.__all__ if "Examples:" in (getattr(mvnet.fields, n).__doc__ or "")]
)
def test_the_example_in_the_docstring_runs(name):
    runner, report = doctest.DocTestRunner(), []
    for example in doctest.DocTestFinder(recurse=False).find(getattr(mvnet.fields, name), name, globs={}):
        runner.run(example, out=report.append)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("name", CASES)
def test_shapes(name):
    """Any batch of states, values in the algebra of the action."""
    field, case = make(name), CASES[name]
    for batch in ((), (5,), (2, 3)):
        z = case.states(*batch, seed=1)
        xi = field(TIME, z)
        assert tuple(xi.shape) == ActingField.of(field, z).algebra_shape
        assert xi.isfinite().all() and xi.abs().max() > 1e-3


@pytest.mark.parametrize("name", CASES)
def test_one_state_is_like_a_batch(name):
    """Also under vmap."""
    field, z = make(name), CASES[name].states(4, seed=1)
    together = field(TIME, z)
    torch.testing.assert_close(torch.stack([field(TIME, one) for one in z]), together, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.func.vmap(lambda y: field(TIME, y))(z), together, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_a_time_for_each_state(name, kind):
    field, z = make(name, kind=kind), CASES[name].states(4, seed=1)
    times = torch.tensor([0.1, 0.9, 0.4, 0.6], dtype=DTYPE)
    apart = torch.stack([field(t, one) for t, one in zip(times, z, strict=True)])
    torch.testing.assert_close(field(times, z), apart, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    """With respect to time, state and all parameters, against finite differences."""
    field = make(name)
    names = [key for key, value in field.named_parameters() if value.numel()]

    def values(t, z, *parameters):
        z = (z + z.mT) / 2 if CASES[name].symmetric else z
        return torch.func.functional_call(field, dict(zip(names, parameters, strict=True)), (t, z))

    inputs = (TIME, CASES[name].states(2, seed=1), *(field.get_parameter(key) for key in names))
    inputs = tuple(x.detach().clone().requires_grad_() for x in inputs)
    assert torch.autograd.gradcheck(values, inputs, fast_mode=True)


@pytest.mark.parametrize("name", CASES)
def test_single_precision(name):
    """Five digits."""
    z = CASES[name].states(20, seed=1)
    exact, single = make(name)(TIME, z), make(name, dtype=torch.float32)(TIME.float(), z.float())
    assert single.dtype == torch.float32
    assert (single - exact).abs().max() < 1e-5 * exact.abs().max()


@pytest.mark.parametrize("name", CASES)
def test_weights_come_from_the_generator(name):
    case = CASES[name]
    one, two, other = (FIELDS[name](case.first, generator=generator(seed), **case.options) for seed in (1, 1, 2))
    z = case.states(2, seed=1).float()
    assert torch.equal(one(TIME, z), two(TIME, z)) and not torch.equal(one(TIME, z), other(TIME, z))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FLAT)
def test_bound_and_estimate(name, kind):
    """The bound from the parameters is no smaller than anything that ascent finds."""
    field = make(name, kind=kind)
    bound = field.one_sided_bound()
    if bound is None:
        assert kind == "linear" and name in ("skew_potential", "port_hamiltonian")
        return
    found = estimate_one_sided(field, CASES[name].states(10, seed=3), [0.1, 0.5, 0.9], steps=15, rate=0.1)
    assert found <= bound + 1e-12
    assert found > bound - 0.8 * bound.abs() - 0.4  # and not far from it


@pytest.mark.parametrize("name", preserving("contractive", FLAT))
def test_contractive(name):
    """<f(x) - f(y), x - y> <= 0 for points near and far, with any sigma that is allowed."""
    x, y = normal(200, 3, seed=1), normal(200, 3, seed=2)
    for sigma in ("tanh", "relu", "elu", "sigmoid", "hardtanh", "identity"):
        field = make(name, sigma=sigma)
        for scale in (1e-3, 1.0, 100.0):
            z = x + scale * y
            growth = ((field(TIME, z) - field(TIME, x)) * (z - x)).sum(-1)
            assert (growth <= 1e-12 * scale).all()


@pytest.mark.parametrize("name", preserving("energy"))
def test_energy(name):
    """At an instant: kept, or falling where the field dissipates."""
    field, case = make(name), CASES[name]
    z = case.states(30, seed=1)
    velocity = case.velocity(field(TIME, z), z)
    gradient = torch.func.grad(lambda y: field.energy(TIME, y).sum())(z)
    rate = (gradient * velocity).reshape(30, -1).sum(-1)
    if name in FALLS:
        assert (rate < 0).all()
    else:
        assert rate.abs().max() < 1e-13 * gradient.abs().max() * velocity.abs().max()


@pytest.mark.parametrize("name", [name for name in FLAT if isinstance(make(name), EnergyField)])
def test_energy_structure(name):
    """f = B grad E, with B skew-symmetric where E is kept and negative where it falls."""
    field, z = make(name), CASES[name].states(5, seed=1)
    gradient = torch.func.grad(lambda y: field.energy(TIME, y).sum())(z)
    torch.testing.assert_close(field.gradient(TIME, z), gradient, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(field(TIME, z), field.structure(TIME, z, gradient), rtol=1e-12, atol=1e-12)
    v, w = normal(*z.shape, seed=4), normal(*z.shape, seed=5)
    product = (field.structure(TIME, z, v) * v).sum(-1)
    assert (product < 0).all() if name in FALLS else product.abs().max() < 1e-13
    linear = field.structure(TIME, z, v - 2 * w)
    torch.testing.assert_close(linear, field.structure(TIME, z, v) - 2 * field.structure(TIME, z, w))


@pytest.mark.parametrize("name", preserving("volume", FLAT))
def test_divergence(name):
    derivative = jacobian(make(name), TIME, CASES[name].states(20, seed=1))
    trace = derivative.diagonal(dim1=-2, dim2=-1).sum(-1)
    assert trace.abs().max() < 1e-14 * derivative.abs().max()


@pytest.mark.parametrize("name", preserving("symplectic", FLAT))
def test_symplectic(name):
    """J Df is symmetric."""
    derivative = jacobian(make(name), TIME, CASES[name].states(20, seed=1))
    n = derivative.shape[-1] // 2
    turned = torch.cat((derivative[:, n:], -derivative[:, :n]), 1)
    assert (turned - turned.mT).abs().max() < 1e-14 * derivative.abs().max()


@pytest.mark.parametrize("name", [name for name in FLAT if isinstance(make(name), SplitField)])
def test_parts(name):
    """They sum to the field; each flow solves its part, can be undone, and keeps volumes."""
    field, z = make(name), CASES[name].states(3, seed=1)
    h = torch.tensor(0.3, dtype=DTYPE)
    torch.testing.assert_close(sum(part(TIME, z) for part in field.parts), field(TIME, z), rtol=1e-12, atol=1e-12)
    for part in field.parts:
        moved = part.flow(TIME, h, z)
        slope = (part.flow(TIME, h + 1e-5, z) - part.flow(TIME, h - 1e-5, z)) / 2e-5
        torch.testing.assert_close(slope, part(TIME, moved), rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(part.flow(TIME, -h, moved), z, rtol=1e-13, atol=1e-13)
        determinant = torch.linalg.det(jacobian(lambda t, y, move=part: move.flow(t, h, y), TIME, z))
        torch.testing.assert_close(determinant, torch.ones_like(determinant), rtol=1e-13, atol=0)


@pytest.mark.parametrize("name", FLAT)
def test_bad_input(name):
    field, case = make(name), CASES[name]
    with pytest.raises(MvnetError, match="z: found shape"):
        field(TIME, normal(2, 7, seed=1))
    for options, message in (
        ({"sigma": "swish"}, "sigma: found 'swish', expected one of tanh"),
        ({"kind": "cubic"}, "kind: found 'cubic', expected one of constant, linear"),
        ({"intervals": 0}, "intervals: found 0, expected a positive integer"),
        ({"duration": -1.0}, r"duration: found -1\.0, expected a positive number"),
    ):
        with pytest.raises(MvnetError, match=message):
            FIELDS[name](case.first, **{**case.options, **options})
