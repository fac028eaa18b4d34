"""Modes of gradient: equal to autograd through the steps, in the memory promised, never silently missing."""

from __future__ import annotations

import functools
import warnings
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from mvnet.integrators import METHODS, RungeKutta, odeint
from mvnet.integrators.explicit import advance, stages
from mvnet.integrators.gradients.reversible import COUPLING
from tests.integrators.flows import PAIRS

DTYPE = torch.float64
EXACT = ("checkpoint", "symplectic_adjoint")


class Skew(nn.Module):
    """tanh((S - S^T) z + b cos t) with an argument w sin t: distances neither grow nor shrink much."""

    def __init__(self, n: int = 4, seed: int = 0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.s = nn.Parameter(torch.randn(n, n, generator=generator, dtype=DTYPE))
        self.b = nn.Parameter(torch.randn(n, generator=generator, dtype=DTYPE))

    def forward(self, t: Tensor, z: Tensor, w: Tensor) -> Tensor:
        return torch.tanh(z @ (self.s - self.s.T) + self.b * torch.cos(3 * t)) + w * torch.sin(2 * t)


class Contractive(Skew):
    """-A^T tanh(A z + b), paper eq. (16)."""

    def forward(self, t: Tensor, z: Tensor, w: Tensor) -> Tensor:
        return -torch.tanh(z @ self.s.T + self.b * torch.cos(3 * t)) @ self.s + w * torch.sin(2 * t)

    def one_sided_bound(self) -> Tensor:
        return -self.s.detach().square().sum()


def start(n: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    z, w = torch.randn(3, n, generator=generator, dtype=DTYPE), torch.randn(n, generator=generator, dtype=DTYPE)
    return z.requires_grad_(), w.requires_grad_()


def grid(steps: int, end: float = 1.0) -> Tensor:
    return torch.linspace(0, end, steps + 1, dtype=DTYPE).requires_grad_()


def pull(states: Tensor, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    weights = torch.arange(1, states.numel() + 1, dtype=DTYPE).reshape(states.shape) / states.numel()
    return torch.autograd.grad((weights * states.sin()).sum(), tensors)


def assert_equal(found: tuple[Tensor, ...], expected: tuple[Tensor, ...], tolerance: float) -> None:
    for a, b in zip(found, expected, strict=True):
        assert (a - b).norm() <= tolerance * b.norm()


@pytest.mark.parametrize("gradient", EXACT)
@pytest.mark.parametrize("save", ["all", "last"])
@pytest.mark.parametrize(("method", "flow"), PAIRS)
def test_exact_modes_are_autograd_for_every_method(method, flow, save, gradient):
    """Start, arguments and times, on every group."""
    inputs = tuple(
        x.clone().requires_grad_() for x in (flow.z0, flow.theta, torch.tensor([0.0, 0.3, 0.5], dtype=DTYPE))
    )

    def solve(mode):
        z0, theta, t = inputs
        return odeint(flow.field, z0, t, args=(theta,), action=flow.action, method=method, gradient=mode, save=save)

    expected, found = solve("discrete"), solve(gradient)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-14)
    assert_equal(pull(found, inputs), pull(expected, inputs), 1e-12)


@pytest.mark.parametrize(("field", "gradient"), [(Skew(), "checkpoint"), (Contractive(), "symplectic_adjoint")])
def test_exact_modes_over_a_thousand_steps(field, gradient):
    z0, w = start()
    t, tensors = grid(1000, 10.0), (z0, w, *field.parameters())
    expected, found = (
        pull(odeint(field, z0, t.detach(), args=(w,), method="midpoint", gradient=mode, save="last"), tensors)
        for mode in ("discrete", gradient)
    )
    assert_equal(found, expected, 1e-12)


def test_checkpoints_as_often_as_asked_for():
    field, (z0, w) = Skew(), start()
    tensors = (z0, w, *field.parameters())
    options = {"args": (w,), "method": "rk4", "gradient": "checkpoint"}
    found = [pull(odeint(field, z0, grid(7), every=every, **options), tensors) for every in (1, 3, 7, None)]
    for other in found[1:]:
        assert_equal(other, found[0], 1e-13)


def coupled(field, z0: Tensor, times: Tensor, args: tuple[Tensor, ...], method: str) -> Tensor:
    """The reversible pair as printed, autograd through it."""
    chosen = METHODS[method]
    assert isinstance(chosen, RungeKutta)
    tableau = chosen.tableau

    def increment(t, h, z):
        slopes = stages(tableau, field, h, [t + c * h for c in tableau.c], z, args)
        return advance(z, h, tableau.b, slopes) - z

    y = z = z0
    for a, b in pairwise(times):
        y = COUPLING * y + (1 - COUPLING) * z + increment(a, b - a, z)
        z = z - increment(b, a - b, y)
    return y


@pytest.mark.parametrize("method", ["euler", "heun", "rk4"])
def test_reversible_is_autograd_through_the_coupled_pair(method):
    field, (z0, w), t = Skew(), start(), grid(12)
    tensors = (z0, w, t, *field.parameters())
    found = odeint(field, z0, t, args=(w,), method=method, gradient="reversible", save="last")
    expected = coupled(field, z0, t, (w,), method)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)
    assert_equal(pull(found, tensors), pull(expected, tensors), 1e-12)
    states = odeint(field, z0, t, args=(w,), method=method, gradient="reversible")
    each = torch.stack([z0, *(coupled(field, z0, t[: k + 1], (w,), method) for k in range(1, 13))])
    assert_equal(pull(states, tensors), pull(each, tensors), 1e-12)


@pytest.mark.parametrize(("end", "tolerance"), [(1.0, 1e-12), (10.0, 1e-11)])
def test_reversible_over_many_steps(end, tolerance):
    """The states that come back on the way are the ones that went, up to rounding."""
    field, (z0, w), t = Skew(), start(), grid(300, end).detach()
    tensors = (z0, w, *field.parameters())
    found = odeint(field, z0, t, args=(w,), method="midpoint", gradient="reversible", save="last")
    assert_equal(pull(found, tensors), pull(coupled(field, z0, t, (w,), "midpoint"), tensors), tolerance)


def test_the_reversible_solution_keeps_the_order():
    field, (z0, w) = Skew(), start()
    fine = odeint(field, z0, grid(200), args=(w,), method="rk4", save="last")
    errors = [
        (odeint(field, z0, grid(n), args=(w,), method="rk4", gradient="reversible", save="last") - fine).norm()
        for n in (20, 40)
    ]
    assert (errors[0] / errors[1]).log2().item() == pytest.approx(4, abs=0.3)


def test_the_continuous_gradient_converges_with_the_order_of_the_method():
    field, (z0, w) = Skew(), start()
    tensors, errors = (z0, w, *field.parameters()), []
    for steps in (40, 80):
        t = grid(steps)
        found, exact = (
            pull(odeint(field, z0, t, args=(w,), method="heun", gradient=mode, save="last"), (*tensors, t))
            for mode in ("continuous", "discrete")
        )
        ends = [x[-1][[0, -1]] for x in (found, exact)]  # those in between move no exact solution
        found, exact = (*found[:-1], ends[0]), (*exact[:-1], ends[1])
        errors.append(max(float((a - b).norm() / b.norm()) for a, b in zip(found, exact)))
    assert errors[1] < 2e-3 and errors[0] / errors[1] > 3


def test_bounds_decide_what_may_be_solved_backwards():
    field, (z0, w), t = Contractive(), start(), grid(4)
    with pytest.raises(
        ValueError, match=r"field: found a Contractive of one-sided bound -.* with gradient 'reversible'"
    ):
        odeint(field, z0, t, args=(w,), method="rk4", gradient="reversible")
    with pytest.warns(UserWarning, match="'symplectic_adjoint' is exact"):
        odeint(field, z0, t, args=(w,), method="rk4", gradient="continuous")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        odeint(Skew(), z0, t, args=(w,), method="rk4", gradient="continuous")


@pytest.mark.parametrize("gradient", ["symplectic_adjoint", "reversible", "continuous"])
class TestClosures:
    """What a field closes over is a parameter, an argument, an input, or an error."""

    def solve(self, field, gradient, **options):
        z0, _ = start()
        t = torch.linspace(0, 1, 17, dtype=DTYPE)
        return odeint(field, z0, t, method="midpoint", gradient=gradient, save="last", **options)

    def test_a_leaf_is_named(self, gradient):
        scale = torch.ones(4, dtype=DTYPE, requires_grad=True)
        with pytest.raises(ValueError, match=rf"inputs: found .* of shape \(4,\) .* gradient '{gradient}'"):
            self.solve(lambda t, z: (scale * z).sin(), gradient)

    def test_so_is_what_was_computed_before(self, gradient):
        scale = torch.ones(4, dtype=DTYPE, requires_grad=True).exp()
        with pytest.raises(ValueError, match=r"inputs: found .* made by ExpBackward"):
            self.solve(lambda t, z: (scale * z).sin(), gradient)
        with torch.no_grad():  # nothing is missing here
            self.solve(lambda t, z: (scale * z).sin(), gradient)

    def test_inputs_have_gradients(self, gradient):
        leaf = torch.full((4,), 0.3, dtype=DTYPE, requires_grad=True)
        gradients = []
        for mode in (gradient, "discrete"):
            scale = leaf.exp()
            end = self.solve(lambda t, z, scale=scale: (scale * z).sin(), mode, inputs=(scale,))
            gradients.append(torch.autograd.grad(end.sum(), leaf)[0])
        tolerance = 1e-13 if gradient == "symplectic_adjoint" else 0.02
        torch.testing.assert_close(gradients[0], gradients[1], rtol=tolerance, atol=0)

    def test_parameters_of_methods_and_partial_arguments(self, gradient):
        field, (_, w) = Skew(), start()
        named = functools.partial(field.forward, w=w)
        end = self.solve(named, gradient)
        assert all(g.abs().sum() > 0 for g in torch.autograd.grad(end.sum(), (w, *field.parameters())))

    def test_a_value_made_from_a_parameter(self, gradient):
        class Cached(Skew):
            def forward(self, t, z):
                return z * self.cache + self.b

        field = Cached()
        field.cache = field.b.exp()
        with pytest.raises(ValueError, match=r"inputs: found .* made from another input or a parameter"):
            self.solve(field, gradient, inputs=(field.cache,))

    def test_no_second_derivative(self, gradient):
        z0, w = start()
        end = odeint(Skew(), z0, [0.0, 1.0], args=(w,), method="euler", gradient=gradient)
        with pytest.raises(ValueError, match=f"create_graph: found True with gradient '{gradient}'"):
            torch.autograd.grad(end.sum(), z0, create_graph=True)

    def test_no_transform(self, gradient):
        z0, w = (x.detach() for x in start())
        with pytest.raises(ValueError, match="inside a transform"):
            torch.func.jacrev(lambda z: odeint(Skew(), z, [0.0, 1.0], args=(w,), method="rk4", gradient=gradient))(z0)

    def test_complex_states(self, gradient):
        w = torch.tensor([0.3 + 1j, -0.2 + 2j], dtype=torch.complex128, requires_grad=True)
        t = torch.linspace(0, 1, 33, dtype=DTYPE).requires_grad_()
        z0 = torch.tensor([1.0 + 1j, 0.5j], dtype=torch.complex128, requires_grad=True)
        gradients = []
        for mode in ("discrete", gradient):
            end = odeint(lambda s, z, w: w * z, z0, t, args=(w,), method="rk4", gradient=mode, save="last")
            found = torch.autograd.grad(end.abs().sum(), (z0, w, t))
            gradients.append((*found[:2], found[2][[0, -1]]))
        assert_equal(gradients[1], gradients[0], 1e-5)


@pytest.mark.parametrize(
    ("method", "gradient"),
    [("dopri5", "checkpoint"), ("dopri5", "symplectic_adjoint"), ("rkmk4", "reversible"), ("cf4", "continuous")],
)
def test_combinations_that_do_not_work_name_both(method, gradient):
    z0, w = start()
    with pytest.raises(ValueError, match=f"gradient: found '{gradient}' with method '{method}'"):
        odeint(Skew(), z0, [0.0, 1.0], args=(w,), method=method, gradient=gradient)


def saved_bytes(gradient: str, steps: int) -> int:
    """What autograd keeps of a solve."""
    field, (z0, w), kept = Skew(), start(), {}

    def pack(x: Tensor) -> Tensor:
        kept[x.data_ptr()] = x.numel() * x.element_size()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        end = odeint(field, z0, grid(steps).detach(), args=(w,), method="rk4", gradient=gradient, save="last")
    assert end.requires_grad
    return sum(kept.values())


def test_what_each_mode_keeps():
    state = 3 * 4 * 8
    assert saved_bytes("symplectic_adjoint", 60) - saved_bytes("symplectic_adjoint", 20) <= 1.05 * 40 * (state + 8)
    for gradient in ("reversible", "continuous"):
        assert saved_bytes(gradient, 60) - saved_bytes(gradient, 20) <= 40 * 8  # the times
    assert saved_bytes("discrete", 60) - saved_bytes("discrete", 20) > 10 * 40 * state
