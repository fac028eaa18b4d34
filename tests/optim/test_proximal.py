"""Proximal maps: against their definition, batched, differentiable; and as the end of an optimiser's step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.optim import L1, AdamW, Muon, Simplex, add_proximal_step, project_l1_ball, project_simplex, soft_threshold

DTYPES = [torch.float32, torch.float64]


def random(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_soft_threshold_minimises(dtype: torch.dtype) -> None:
    x = random(50, dtype=dtype)
    z = soft_threshold(x, 0.7)
    # 0 is a subgradient of |z - x|^2 / 2 + t |z|_1
    torch.testing.assert_close((x - z)[z != 0], 0.7 * z[z != 0].sign())
    assert bool(((x - z)[z == 0].abs() <= 0.7).all()) and bool((z == 0).any())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("total", [0.2, 1.0, 30.0])
def test_simplex_projection_is_feasible_and_optimal(dtype: torch.dtype, total: float) -> None:
    x = random(5, 4, 8, dtype=dtype)
    z = project_simplex(x, total)
    tolerance = 20 * torch.finfo(dtype).eps * total
    assert bool((z >= 0).all())
    torch.testing.assert_close(z.sum(-1), torch.full_like(z[..., 0], total), rtol=0, atol=tolerance)
    # variational inequality: (x - z) . (v - z) <= 0 for every vertex v
    inner = total * (x - z) - ((x - z) * z).sum(-1, keepdim=True)
    assert float(inner.max()) <= 100 * tolerance
    assert torch.allclose(project_simplex(z, total), z, atol=tolerance)


def test_simplex_projection_equals_a_solver_of_quadratic_programmes() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    x = random(8)
    found = optimize.minimize(
        lambda z: 0.5 * ((z - x.numpy()) ** 2).sum(),
        x0=[3 / 8] * 8,
        jac=lambda z: z - x.numpy(),
        method="SLSQP",
        bounds=[(0, None)] * 8,
        constraints={"type": "eq", "fun": lambda z: z.sum() - 3.0},
        options={"ftol": 1e-14, "maxiter": 200},
    ).x
    torch.testing.assert_close(project_simplex(x, 3.0), torch.from_numpy(found), rtol=0, atol=1e-7)


def test_simplex_along_any_axis_with_totals_of_their_own() -> None:
    x, totals = random(3, 6, 2), torch.tensor([[1.0, 2.0], [0.5, 3.0], [4.0, 1.5]], dtype=torch.float64)
    z = project_simplex(x, totals, dim=1)
    torch.testing.assert_close(z.sum(1), totals)
    torch.testing.assert_close(z[1, :, 0], project_simplex(x[1, :, 0], 0.5))


def test_l1_ball() -> None:
    x = random(6, 8)
    x[0] *= 1e-2
    z = project_l1_ball(x, 1.5)
    assert torch.equal(z[0], x[0])
    torch.testing.assert_close(z[1:].abs().sum(-1), torch.full((5,), 1.5, dtype=torch.float64))
    # outside, the projection is a soft threshold
    t = (x[1:] - z[1:]).abs().amax(-1, keepdim=True)
    torch.testing.assert_close(z[1:], soft_threshold(x[1:], t))


def test_gradients() -> None:
    x = random(3, 5).requires_grad_()
    total = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64, requires_grad=True)
    for function in (project_simplex, project_l1_ball):
        assert torch.autograd.gradcheck(function, (x, total))
    assert torch.autograd.gradcheck(lambda x: soft_threshold(x, 0.3), x)


@pytest.mark.parametrize("size", [1, 2])
def test_small_and_extreme_simplices(size: int) -> None:
    x = torch.full((size,), 1e30)
    assert project_simplex(x, 3.0).sum().item() == pytest.approx(3.0)
    assert project_simplex(-x, 3.0).sum().item() == pytest.approx(3.0)


def test_bad_input() -> None:
    with pytest.raises(MvnetError, match="x: found no entries"):
        project_simplex(torch.zeros(3, 0))
    with pytest.raises(MvnetError, match=r"total: found 0\.0"):
        project_simplex(torch.zeros(3), 0.0)
    with pytest.raises(MvnetError, match=r"strength: found -1\.0"):
        L1(-1.0)
    with pytest.raises(MvnetError, match="parameters: found one"):
        add_proximal_step(AdamW([nn.Parameter(torch.zeros(2))]), nn.Parameter(torch.zeros(2)), Simplex())


# ---- after a step ----


def test_proximal_gradient_solves_the_lasso() -> None:
    """The optimality conditions of min |A x - b|^2 / 2 + s |x|_1."""
    a, b, strength = random(30, 10), random(30), 15.0
    x = nn.Parameter(torch.zeros(10, dtype=torch.float64))
    optimizer = torch.optim.SGD([x], 1 / float(torch.linalg.matrix_norm(a, 2)) ** 2)
    add_proximal_step(optimizer, x, L1(strength))
    for _ in range(300):
        optimizer.zero_grad()
        ((a @ x - b).square().sum() / 2).backward()
        optimizer.step()
    force = a.T @ (b - a @ x.detach())
    zero = x.detach() == 0
    assert 0 < int(zero.sum()) < 10
    torch.testing.assert_close(force[~zero], strength * x.detach()[~zero].sign(), rtol=1e-8, atol=0)
    assert bool((force[zero].abs() <= strength).all())


@pytest.mark.parametrize(("kind", "accuracy"), [(torch.optim.SGD, 1e-5), (torch.optim.Adam, 0.2), (Muon, 0.2)])
def test_time_steps_stay_on_their_simplex(kind: Callable[..., torch.optim.Optimizer], accuracy: float) -> None:
    steps, other = nn.Parameter(torch.full((6,), 0.5)), nn.Parameter(torch.ones(3))
    optimizer = kind([{"params": [steps]}, {"params": [other], "lr": 0.1}], lr=0.05)
    handle = add_proximal_step(optimizer, [steps], Simplex(total=3.0))
    target = torch.tensor([2.0, 1.5, 0.1, -0.2, 0.0, 0.1])
    for _ in range(100):
        optimizer.zero_grad()
        ((steps - target).square().sum() + other.square().sum()).backward()
        optimizer.step()
        assert steps.sum().item() == pytest.approx(3.0, abs=1e-5) and bool((steps >= 0).all())
    torch.testing.assert_close(steps.detach(), project_simplex(target, 3.0), rtol=0, atol=accuracy)
    assert other.sum().item() != pytest.approx(3.0)
    handle.remove()
    optimizer.step()
    assert steps.sum().item() != pytest.approx(3.0, abs=1e-5)
