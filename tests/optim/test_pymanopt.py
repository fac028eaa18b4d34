"""pymanopt's solvers on modules, and our optimisers at the minimum that they find."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mvnet.errors import MvnetError
from mvnet.manifolds import ManifoldParameter, Sphere, Stiefel
from mvnet.optim import RiemannianAdam, RiemannianSGD, minimise

F64 = torch.float64


def symmetric(n: int) -> torch.Tensor:
    a = torch.randn(n, n, generator=torch.Generator().manual_seed(1), dtype=F64)
    return a + a.mT


class Subspace(nn.Module):
    """tr(D x^T A x), least at the first eigenvectors, and a plain parameter beside it."""

    def __init__(self, dtype: torch.dtype = F64):
        super().__init__()
        space = Stiefel(5, 2)
        self.x = ManifoldParameter(
            space.random_point((), generator=torch.Generator().manual_seed(2), dtype=dtype), space
        )
        self.shift = nn.Parameter(torch.zeros(2, dtype=dtype))
        self.a = symmetric(5).to(dtype)

    def loss(self) -> torch.Tensor:
        weights = torch.tensor([2.0, 1.0], dtype=self.a.dtype)
        return ((self.x * (self.a @ self.x)).sum(0) * weights).sum() + (self.shift - 3).square().sum()


@pytest.mark.parametrize("method", ["trust-regions", "conjugate-gradient", "steepest-descent"])
def test_the_minimum_of_a_module_is_found(method):
    module = Subspace()
    found = minimise(module, module.loss, method, max_iterations=100)
    values, vectors = torch.linalg.eigh(module.a)
    assert found["loss"] == pytest.approx(float(2 * values[0] + values[1]), abs=1e-5)
    assert found["loss"] == pytest.approx(float(module.loss()), abs=1e-9)
    assert_close((vectors[:, :2].mT @ module.x.detach()).abs(), torch.eye(2, dtype=F64), rtol=0, atol=5e-3)
    assert_close(module.shift.detach(), torch.full((2,), 3.0, dtype=F64), rtol=0, atol=5e-3)
    assert set(found) == {"loss", "iterations", "seconds", "gradient_norm"}


def test_riemannian_optimisers_find_the_same_minimum():
    oracle = Subspace()
    least = minimise(oracle, oracle.loss, "conjugate-gradient", max_iterations=100)["loss"]
    for make in (
        lambda p: RiemannianSGD(p, 0.02),
        lambda p: RiemannianAdam(p, 0.2),
        lambda p: RiemannianAdam(p, 0.2, second_moment="entry"),
    ):
        module = Subspace()
        optimizer = make(module.parameters())
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 120)
        for _ in range(120):
            optimizer.zero_grad()
            module.loss().backward()
            optimizer.step()
            schedule.step()
        assert float(module.loss()) == pytest.approx(least, abs=1e-3)


def test_single_precision_stops_where_rounding_begins_and_batches_are_powers():
    module = Subspace(torch.float32)
    found = minimise(module, module.loss, "trust-regions", max_iterations=50)
    assert found["iterations"] < 50 and module.x.dtype == torch.float32
    module.x.manifold.check_point(module.x.detach())
    directions = ManifoldParameter(torch.eye(4, dtype=F64)[:2], Sphere(4))
    batch = nn.ParameterList([directions, nn.Parameter(torch.zeros(1), requires_grad=False)])
    a = symmetric(4)
    minimise(batch, lambda: ((directions @ a) * directions).sum(), "conjugate-gradient")
    values = ((directions @ a) * directions).sum(-1).detach()
    assert_close(values, torch.linalg.eigvalsh(a)[0].expand(2), rtol=0, atol=1e-5)


def test_wrong_arguments_are_named_in_one_line():
    module = Subspace()
    with pytest.raises(MvnetError, match=r"^method: found 'newton', expected one of 'trust-regions', 'conj"):
        minimise(module, module.loss, "newton")
    with pytest.raises(MvnetError, match=r"^module: found no parameter that requires a gradient"):
        minimise(module.requires_grad_(False), module.loss)
