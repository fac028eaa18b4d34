"""Adaptive methods: the accuracy asked for, samples that do not see each other, gradients of the accepted steps."""

from __future__ import annotations

import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from mvnet.fields import ActingField
from mvnet.integrators import METHODS, Adaptive, Translation, odeint, solve_adaptively

DTYPE = torch.float64
ADAPTIVE = [name for name, method in METHODS.items() if isinstance(method, Adaptive)]
TIMES = [0.0, 0.3, 1.0, 2.5]


def pendulum(t: Tensor, z: Tensor, w: Tensor) -> Tensor:
    """q'' = -w^2 sin q + cos 3 t, z = (q, q'); w (B, 1) or a number."""
    q, p = z[..., :1], z[..., 1:]
    return torch.cat((p, -w * w * q.sin() + torch.cos(3 * t)), -1)


def samples(n: int = 4) -> tuple[Tensor, Tensor]:
    """Starts and frequencies, from slow to fast."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 2, generator=generator, dtype=DTYPE), torch.linspace(0.5, 8, n, dtype=DTYPE)[:, None]


def reference(z0: Tensor, w: Tensor, t) -> Tensor:
    """(n, 2) by scipy."""

    def slope(s, y):
        return pendulum(torch.tensor(s, dtype=DTYPE), torch.from_numpy(y), w).numpy()

    found = solve_ivp(slope, (t[0], t[-1]), z0.numpy(), method="DOP853", rtol=1e-12, atol=1e-13, t_eval=t)
    return torch.from_numpy(found.y.T)


def curved(t: Tensor, z: Tensor, *_: Tensor) -> Tensor:
    """Nonlinear and non-autonomous, (..., 2)."""
    x, y = z[..., 0], z[..., 1]
    return torch.stack(((3 * y + t).tanh(), -(4 * x).sin() - t * y), -1)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_order_of_the_steps(method):
    """Steps of fixed size; the estimate is of the order of the embedded method."""
    chosen, z0 = METHODS[method], torch.tensor([[0.5, 1.0]], dtype=DTYPE)
    assert isinstance(chosen, Adaptive)
    acting, errors, estimates = ActingField.of(curved, z0, Translation()), [], []
    found = solve_ivp(
        lambda s, y: curved(torch.tensor(s), torch.from_numpy(y)).numpy(),
        (0, 1),
        z0[0],
        "DOP853",
        rtol=3e-14,
        atol=1e-15,
    )
    for n in (30, 60):
        z, h = z0, torch.tensor(1 / n, dtype=DTYPE)
        for k in range(n):
            z, estimate, _ = chosen.step(acting, k * h, h, z, ())
            if k == 0 and estimate is not None:
                estimates.append(estimate.norm())
        errors.append((z - torch.from_numpy(found.y[:, -1])).norm())
    assert torch.log2(errors[0] / errors[1]).item() == pytest.approx(chosen.order, abs=0.1)
    expected = chosen.tableau.embedded_order + 1
    assert torch.log2(estimates[0] / estimates[1]).item() == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_accuracy_follows_the_tolerance(method):
    z0, w = samples()
    expected = torch.stack([reference(z, x, TIMES) for z, x in zip(z0, w)], 1)
    for tolerance in (1e-3, 1e-5):
        options = {"rtol": tolerance, "atol": tolerance, "per_sample": (0,)}
        found = odeint(pendulum, z0, TIMES, args=(w,), method=method, **options)
        assert (found - expected).abs().max() < 200 * tolerance
        torch.testing.assert_close(found[0], z0, rtol=0, atol=0)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_batch_is_its_samples(method):
    """The same steps and states, also with times of their own."""
    z0, w = samples()
    times = torch.tensor([[0, 0.3, 1.0], [0, 0.5, 0.7], [0, -1, -2], [1, 1.5, 2]], dtype=DTYPE)
    options = {"method": method, "rtol": 1e-5, "per_sample": (0,)}
    together = solve_adaptively(pendulum, z0, times, args=(w,), **options)
    for i in range(4):
        alone = solve_adaptively(pendulum, z0[i : i + 1], times[i], args=(w[i : i + 1],), **options)
        torch.testing.assert_close(together.states[:, i : i + 1], alone.states, rtol=1e-14, atol=1e-14)
        for a, b in zip(together.statistics, alone.statistics):
            assert a[i] == b[0]
    last = odeint(pendulum, z0, times, args=(w,), save="last", **options)
    torch.testing.assert_close(last, together.states[-1], rtol=0, atol=0)


def test_finished_samples_are_not_evaluated():
    z0, w = samples()
    seen: list[int] = []

    def counted(t, z, w):
        assert t.shape == (len(z), 1) and len(w) == len(z)
        seen.append(len(z))
        return pendulum(t, z, w)

    _, (accepted, rejected, evaluations) = solve_adaptively(counted, z0, [0.0, 2.0], args=(w,), per_sample=(0,))
    assert sum(seen) == evaluations.sum() and seen == sorted(seen, reverse=True) and seen[-1] == 1
    assert (evaluations == 2 + 6 * (accepted + rejected)).all()
    assert accepted[-1] > 4 * accepted[0]


def test_gradients_of_start_arguments_and_times():
    z0, w = samples(2)
    inputs = tuple(x.clone().requires_grad_() for x in (z0, w, torch.tensor([0.0, 0.4, 1.0], dtype=DTYPE)))

    def solve(z0, w, t):
        options = {"rtol": 1e-7, "atol": 1e-7, "per_sample": (0,)}
        return odeint(pendulum, z0, t, args=(w,), method="tsit5", **options)

    assert torch.autograd.gradcheck(solve, inputs, fast_mode=True, eps=1e-5, atol=1e-4)


def test_a_rejected_step_out_of_the_domain_leaves_the_gradient_alone():
    """z' = -c sqrt(z): a first step that is too long leaves the domain, which is NaN there."""
    c = torch.tensor([0.01, 1.0], dtype=DTYPE)[:, None].requires_grad_()
    z0 = torch.tensor([[1.0], [1.0]], dtype=DTYPE)
    left: list[bool] = []

    def field(t, z, c):
        left.append(bool((z < 0).any()))
        return -c * z.sqrt()

    end = odeint(field, z0, [0.0, 1.9], args=(c,), method="dopri5", rtol=1e-3, per_sample=(0,), save="last")
    assert any(left)
    torch.testing.assert_close(end, (1 - 0.95 * c).square(), rtol=1e-2, atol=1e-4)
    (gradient,) = torch.autograd.grad(end.sum(), c)
    torch.testing.assert_close(gradient, -1.9 * (1 - 0.95 * c.detach()), rtol=1e-2, atol=2e-3)


def test_single_precision():
    z0, w = (x.float() for x in samples())
    found = odeint(pendulum, z0, TIMES, args=(w,), method="dopri5", rtol=1e-5, atol=1e-5, per_sample=(0,))
    assert found.dtype == torch.float32
    expected = torch.stack([reference(z.double(), x.double(), TIMES) for z, x in zip(z0, w)], 1)
    assert (found - expected).abs().max() < 2e-3


def test_nothing_to_do():
    z0, w = samples()
    options = {"args": (w,), "method": "dopri5", "per_sample": (0,)}
    torch.testing.assert_close(odeint(pendulum, z0, [1.0], **options), z0[None])
    assert odeint(pendulum, z0[:0], [0.0, 1.0], args=(w[:0],), method="dopri5", per_sample=(0,)).shape == (2, 0, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_steps": 3}, r"max_steps: found 3 steps of sample 0 up to t = 0\.\d+, expected to reach 2\.5"),
        ({"min_step": 0.9}, r"min_step: found a step of 0\.\d+ for sample \d at t = .*, expected at least 0\.9"),
        ({"rtol": -1.0}, "rtol: found -1.0, expected a number of at least 0"),
        ({"rtol": 0.0, "atol": 0.0}, "rtol: found 0 with atol 0"),
        ({"max_steps": 0}, "max_steps: found 0, expected at least 1"),
        ({"min_step": -0.1}, "min_step: found -0.1, expected a number of at least 0"),
        ({"per_sample": (1,)}, "args: found 1 of them for index 1 of per_sample"),
        (
            {"tolerance": 1e-3},
            "tolerance: found as an option of method 'dopri5', expected one of rtol, atol, max_steps",
        ),
    ],
)
def test_limits_and_settings_are_named(options, message):
    z0, w = samples()
    with pytest.raises(ValueError, match=message):
        odeint(pendulum, z0, TIMES, args=(w,), **{"method": "dopri5", "per_sample": (0,), **options})


def test_a_pole_and_an_empty_domain_are_named():
    z0 = torch.tensor([[-1.0], [3.0]], dtype=DTYPE)
    with pytest.raises(ValueError, match=r"min_step: found a step of .* for sample 1 at t = 0\.333333"):
        odeint(lambda t, z: z * z, z0, [0.0, 2.0], method="dopri5")
    with pytest.raises(ValueError, match=r"sample 1 at t = 0\.5.*, where the field gives NaN or infinite values"):
        odeint(lambda t, z: (0.5 - t).clamp(max=0.25 * (z < 0)).sqrt() + 1 + z, z0, [0.0, 0.5, 1.0], method="bosh3")
    with pytest.raises(ValueError, match="field: found NaN or infinite values for sample 0 at t = 0"):
        odeint(lambda t, z: z.log(), z0, [0.0, 1.0], method="tsit5")
    with pytest.raises(ValueError, match=r"z0: found shape \(2,\), expected samples \(B, ...\); z0\[None\]"):
        odeint(lambda t, z: -z, z0[:, 0], [0.0, 1.0], method="tsit5")
    with pytest.raises(ValueError, match="method: found 'rk4', expected one of bosh3, dopri5, tsit5"):
        solve_adaptively(lambda t, z: -z, z0, [0.0, 1.0], method="rk4")
