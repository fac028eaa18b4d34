"""Laws of the layers of SPDNet: congruence, finite gradients at repeated eigenvalues, what a batch is moved to."""

import pytest
import torch

from mvnet.errors import MvnetError
from mvnet.manifolds import SPD
from mvnet.nn import BiMap, LogEig, ReEig, SPDBatchNorm
from mvnet.optim import build

N = 5


def _points(count: int = 12, n: int = N) -> torch.Tensor:
    return SPD(n).random_point((count,), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _bimap(n: int, m: int) -> BiMap:
    return BiMap(n, m, generator=torch.Generator().manual_seed(1)).double()


def test_bimap_keeps_matrices_positive_and_its_weight_orthonormal_under_training():
    layer, x = _bimap(N, 3), _points()
    optimizer = build("riemannian-adam", layer, 0.1)
    for _ in range(5):
        optimizer.zero_grad()
        layer(x).diagonal(dim1=-2, dim2=-1).log().sum().backward()
        optimizer.step()
    eye = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(layer.weight.mT @ layer.weight, eye, rtol=0, atol=1e-12)
    assert torch.linalg.eigvalsh(layer(x)).min() > 0
    with pytest.raises(MvnetError, match="m: found 6, expected 1 to n = 5"):
        BiMap(N, 6)


@pytest.mark.parametrize("n", [3, N])
def test_reeig_is_the_eigenvalue_rectification(n):
    x, layer = _points(n=n), ReEig(0.7)
    values, vectors = torch.linalg.eigh(x)
    expected = (vectors * values.clamp(min=0.7).unsqueeze(-2)) @ vectors.mT
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(layer, x[:2].requires_grad_())
    with pytest.raises(MvnetError, match="floor: found 0, expected a positive number"):
        ReEig(0)


@pytest.mark.parametrize("layer", [ReEig(0.5), ReEig(2.0), LogEig(), SPDBatchNorm(N).double()])
def test_gradients_are_finite_at_repeated_eigenvalues(layer):
    x = torch.eye(N, dtype=torch.float64).repeat(3, 1, 1).requires_grad_()
    layer(x).square().sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()


def test_the_norm_of_logeig_is_the_log_euclidean_distance():
    x = _points()
    eye = torch.eye(N, dtype=torch.float64).expand_as(x)
    torch.testing.assert_close(LogEig()(x).norm(dim=-1), SPD(N, "log-euclidean").dist(eye, x))


def test_batch_norm_moves_mean_and_dispersion():
    manifold, x = SPD(N), _points(16)
    layer = SPDBatchNorm(N, eps=0.0).double()
    goal = _points(1)[0]
    with torch.no_grad():
        layer.bias.copy_(goal)
        layer.scale.fill_(0.5)
    found = layer(x)
    torch.testing.assert_close(manifold.mean(found), goal, rtol=0, atol=1e-8)
    dispersion = manifold.squared_dist(found, goal).mean().sqrt()
    torch.testing.assert_close(dispersion, torch.tensor(0.5, dtype=torch.float64), rtol=0, atol=1e-8)


def test_batch_norm_does_not_see_the_unit_of_its_input_and_evaluates_one_matrix():
    x, layer = _points(16), SPDBatchNorm(N).double()
    a = torch.randn(N, N, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    spread = [SPD(N).dist(y[0], y[1]) for y in (layer(x), layer(a @ x @ a.mT))]
    torch.testing.assert_close(spread[0], spread[1])
    for _ in range(60):
        layer(x)
    one = layer.eval()(x[:1])
    torch.testing.assert_close(one, layer.train()(x)[:1], rtol=1e-2, atol=1e-2)
