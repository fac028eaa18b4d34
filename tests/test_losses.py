"""Losses: sums of distances, robust, masked; gradients where distances vanish or eigenvalues repeat."""

from __future__ import annotations

import math

import pytest
import torch

from mvnet.linalg import so3, sym3
from mvnet.losses import KINDS, manifold_loss
from mvnet.manifolds import SPD, Circle, Rotations, SPDField, Sphere

SHAPE = (2, 4, 3)  # batch and two spatial dims


def normal(*shape: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def values(manifold: str, seed: int) -> torch.Tensor:
    if manifold == "spd":
        return sym3.exp(normal(SHAPE[0], 6, *SHAPE[1:], seed=seed, scale=0.5))
    if manifold == "circle":
        return math.pi * normal(*SHAPE, seed=seed).tanh()
    return so3.exp(normal(*SHAPE, 3, seed=seed))


def oracle(manifold: str, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Distances by textbook formulas."""
    if manifold == "spd":  # |log of the eigenvalues of X^-1 Y|
        x, y = sym3.unpack(x), sym3.unpack(y)
        return torch.linalg.eigvals(torch.linalg.solve(x, y)).real.log().square().sum(-1).sqrt()
    if manifold == "circle":
        return torch.exp(1j * (x - y)).angle().abs()
    trace = torch.einsum("...ij,...ij->...", x, y)
    return ((trace - 1) / 2).clamp(-1, 1).arccos()


GEOMETRIES = {"spd": SPDField(), "circle": Circle(), "rotations": Rotations()}
MANIFOLDS = tuple(GEOMETRIES)


@pytest.mark.parametrize("manifold", MANIFOLDS)
def test_sum_of_distances(manifold):
    """Paper section 2.3: L = sum_ij d(prediction_ij, target_ij)."""
    x, y = values(manifold, 0), values(manifold, 1)
    expected = oracle(manifold, x, y)
    torch.testing.assert_close(manifold_loss(x, y, GEOMETRIES[manifold]), expected.sum(), rtol=1e-10, atol=1e-10)
    per_voxel = manifold_loss(x, y, GEOMETRIES[manifold], reduction="none")
    assert per_voxel.shape == SHAPE
    torch.testing.assert_close(per_voxel, expected, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(manifold_loss(x, y, GEOMETRIES[manifold], reduction="mean"), expected.mean())


@pytest.mark.parametrize("manifold", MANIFOLDS)
def test_squared_and_huber(manifold):
    x, y = values(manifold, 0), values(manifold, 1)
    d = manifold_loss(x, y, GEOMETRIES[manifold], reduction="none")
    torch.testing.assert_close(manifold_loss(x, y, GEOMETRIES[manifold], kind="squared"), d.square().sum())
    delta = d.median().item()
    huber = manifold_loss(x, y, GEOMETRIES[manifold], kind="huber", delta=delta, reduction="none")
    torch.testing.assert_close(huber, torch.nn.functional.huber_loss(d, 0 * d, reduction="none", delta=delta))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("manifold", MANIFOLDS)
def test_masked_voxels_are_never_looked_at(manifold, kind):
    """Neither in the value nor in the gradient, though they hold nan and infinity."""
    x, y = values(manifold, 0), values(manifold, 1)
    inside = torch.rand(SHAPE, generator=torch.Generator().manual_seed(2)) > 0.5
    expected = (manifold_loss(x, y, GEOMETRIES[manifold], kind=kind, reduction="none") * inside).sum()

    x, y = x.clone(), y.clone()
    spread = inside.unsqueeze(1).expand_as(x) if manifold == "spd" else _over_points(inside, x)
    x[~spread], y[~spread] = math.nan, -math.inf
    x.requires_grad_()
    loss = manifold_loss(x, y, GEOMETRIES[manifold], kind=kind, mask=inside)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        manifold_loss(x, y, GEOMETRIES[manifold], kind=kind, mask=inside, reduction="mean"), expected / inside.sum()
    )
    (gradient,) = torch.autograd.grad(loss, x)
    assert gradient.isfinite().all()
    assert (gradient[~spread] == 0).all() and (gradient[spread] != 0).any()


def _over_points(inside: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return inside.reshape(*inside.shape, *(1,) * (x.ndim - inside.ndim)).expand_as(x)


def test_weights_and_broadcasting():
    x, y = values("spd", 0), values("spd", 1)
    weights = torch.rand(1, 1, SHAPE[2], generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    d = manifold_loss(x, y, reduction="none")
    torch.testing.assert_close(manifold_loss(x, y, mask=weights), (weights * d).sum())
    mean = manifold_loss(x, y, mask=weights, reduction="mean")
    torch.testing.assert_close(mean, (weights * d).sum() / weights.expand(SHAPE).sum())


def test_an_empty_mask_gives_zero():
    x, y = values("spd", 0).requires_grad_(), values("spd", 1)
    for reduction in ("sum", "mean"):
        loss = manifold_loss(x, y, mask=torch.zeros(SHAPE, dtype=torch.bool), reduction=reduction)
        assert loss == 0
        assert (torch.autograd.grad(loss, x)[0] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("manifold", MANIFOLDS)
def test_gradient_is_finite_where_prediction_is_target(manifold, dtype, kind):
    x = values(manifold, 0).to(dtype)
    loss = manifold_loss(x.requires_grad_(), x.detach().clone(), GEOMETRIES[manifold], kind=kind)
    (gradient,) = torch.autograd.grad(loss, x)
    assert loss.dtype == dtype
    assert gradient.isfinite().all()
    assert loss < (1e-3 if dtype == torch.float32 else 1e-11)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("eigenvalues", [(1.0, 1.0, 1.0), (2.0, 2.0, 0.5), (0.3, 2.0, 2.0)])
def test_gradient_at_repeated_eigenvalues(eigenvalues, dtype, kind):
    """x = 2 y, y = diag(l): d = sqrt(3) log 2, and the gradient of d in x_ii is 1 / (sqrt(3) x_ii)."""
    y = torch.tensor([[*eigenvalues, 0, 0, 0]], dtype=dtype)[..., None]
    x = (2 * y).requires_grad_()
    (gradient,) = torch.autograd.grad(manifold_loss(x, y, kind=kind, delta=0.5), x)
    d = math.sqrt(3) * math.log(2)
    slope = {"distance": 1.0, "squared": 2 * d, "huber": 0.5}[kind]
    expected = torch.zeros_like(x)
    expected[0, :3, 0] = slope / math.sqrt(3) / x.detach()[0, :3, 0]
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("manifold", MANIFOLDS)
def test_gradcheck(manifold, kind):
    x, y = values(manifold, 0)[:1, ..., :2], values(manifold, 1)[:1, ..., :2]
    if manifold == "rotations":
        x, y = values(manifold, 0)[:1, :2], values(manifold, 1)[:1, :2]
        w = torch.zeros(*x.shape[:-1], dtype=torch.float64).requires_grad_()  # stay on the group
        assert torch.autograd.gradcheck(lambda w: manifold_loss(so3.exp(w) @ x, y, GEOMETRIES[manifold], kind=kind), w)
    else:
        x = x.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda x: manifold_loss(x, y, GEOMETRIES[manifold], kind=kind), x)


def test_point_layout_equals_field_layout():
    x, y = values("spd", 0), values("spd", 1)
    mask = torch.rand(SHAPE, generator=torch.Generator().manual_seed(4)) > 0.3
    point = manifold_loss(sym3.unpack(x), sym3.unpack(y), SPD(3), mask=mask)
    torch.testing.assert_close(point, manifold_loss(x, y, mask=mask))


def test_any_manifold():
    sphere = Sphere(2)
    generator = torch.Generator().manual_seed(5)
    x, y = (sphere.random_point(SHAPE, generator=generator, dtype=torch.float64) for _ in range(2))
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask[0] = True
    expected = sphere.dist(x, y)[0].sum()
    x[1] = math.nan
    torch.testing.assert_close(manifold_loss(x, y, sphere, mask=mask), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"manifold": "torus"}, r"manifold: found 'torus', expected a Manifold such as Circle\(\)"),
        ({"kind": "cubed"}, "kind: found 'cubed', expected one of distance, squared, huber"),
        ({"reduction": "max"}, "reduction: found 'max', expected one of sum, mean, none"),
        ({"delta": 0.0}, "delta: found 0.0, expected a positive number"),
        (
            {"mask": torch.ones(3, 3)},
            r"mask: found shape \(3, 3\), expected one that broadcasts to \(2, 4, 3\)",
        ),
        ({"target": torch.ones(2, 6)}, r"target: found shape \(2, 6\), expected \(2, 6, 4, 3\)"),
        ({"manifold": SPD(3)}, r"prediction: found shape \(2, 6, 4, 3\), expected \(..., 3, 3\)"),
        ({"manifold": Rotations()}, r"prediction: found shape \(2, 6, 4, 3\), expected \(..., 3, 3\)"),
    ],
)
def test_refusals(arguments, message):
    arguments = {"target": values("spd", 1), **arguments}
    with pytest.raises(ValueError, match=message):
        manifold_loss(values("spd", 0), **arguments)


def test_refuses_a_field_without_six_planes():
    with pytest.raises(ValueError, match=r"prediction: found shape \(2, 3, 3\), expected 6 Mandel planes at dim 1"):
        manifold_loss(torch.eye(3).expand(2, 3, 3), torch.eye(3).expand(2, 3, 3))
