"""Matrix functions behind SPD(n): first and second derivatives, also where eigenvalues (nearly) meet."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mvnet.manifolds import SPD
from mvnet.manifolds.spd import _spectral

from .cases import generator

F64 = torch.float64
SPECTRA = {
    "distinct": [0.5, 1.0, 2.0, 7.0],
    "equal": [1.0, 1.0, 1.0, 1.0],
    "two pairs": [0.5, 0.5, 3.0, 3.0],
    "nearly equal": [1.0, 1.0 + 1e-9, 1.0 + 1e-5, 2.0],
    "condition 1e4": [1e-2, 1e-1, 1.0, 1e2],
}
FUNCTIONS = {"log": _spectral.LOG, "exp": _spectral.EXP, "sqrt": _spectral.SQRT}


def with_spectrum(values: list[float]) -> torch.Tensor:
    q = torch.linalg.qr(torch.randn(len(values), len(values), generator=generator(0), dtype=F64))[0]
    return q @ torch.diag(torch.tensor(values, dtype=F64)) @ q.mT


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_first_and_second_derivatives(name, spectrum):
    if (name, spectrum) == ("exp", "condition 1e4"):
        pytest.skip("exp(100) leaves finite differences no digits")
    function = getattr(_spectral, name)
    a = with_spectrum(SPECTRA[spectrum]).requires_grad_()
    step = 1e-6 * min(SPECTRA[spectrum])
    scale = 1 / max(1.0, function(a).abs().max().item())
    assert torch.autograd.gradcheck(lambda a: scale * function(a), a, eps=step, atol=1e-4, rtol=1e-4)
    assert torch.autograd.gradgradcheck(lambda a: scale * function(a), a, eps=step, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_divided_differences_match_exact_arithmetic(name):
    """Against the quotient where the nodes are apart and the derivative where they meet."""
    f = FUNCTIONS[name]
    x = torch.tensor([0.1, 0.7, 1.0, 1.0 + 1e-12, 1.0 + 1e-3, 4.0], dtype=F64)
    slope = f.slope(x.unsqueeze(-1), x.unsqueeze(-2))
    leaf = x.clone().requires_grad_()
    (derivative,) = torch.autograd.grad(f.value(leaf).sum(), leaf)
    assert_close(slope.diagonal(), derivative, rtol=1e-13, atol=0)
    apart = (f.value(x[:, None]) - f.value(x)) / (x[:, None] - x)
    far = (x[:, None] - x).abs() > 0.05
    assert_close(slope[far], apart[far], rtol=1e-12, atol=0)
    assert_close(slope[2, 3], derivative[2], rtol=1e-11, atol=0)
    second = _spectral.second_divided_difference(f, x)
    assert_close(second, second.transpose(-1, -3), rtol=1e-9, atol=0)
    half_second = f.taylor(x)[0]
    assert_close(second[2, 2, 2], half_second[2], rtol=1e-12, atol=0)
    # continuity across the switch to the Taylor form, at separation eps^(1/4) = 1.2e-4
    for gap in (1e-5, 1.1e-4, 1.3e-4, 1e-3):
        nodes = torch.tensor([1.0, 1.0 + gap / 3, 1.0 + gap], dtype=F64)
        value = _spectral.second_divided_difference(f, nodes)[0, 1, 2]
        middle = f.taylor(nodes.mean())[0]
        assert abs(value - middle) < gap**2 + 1e-10


@pytest.mark.parametrize("metric", ["affine-invariant", "log-euclidean"])
def test_three_by_three_kernels_agree_with_the_general_path(metric, monkeypatch):
    g = generator(3)
    m = SPD(3, metric)
    x, y = m.random_point((20,), generator=g, dtype=F64), m.random_point((20,), generator=g, dtype=F64)
    v = m.random_tangent(x, generator=g)
    fused = [m.exp(x, v), m.log(x, y), m.dist(x, y), m.transport(x, y, v)]
    monkeypatch.setattr(_spectral, "_SYM3_SIZE", 0)
    from mvnet.manifolds.spd import metrics

    monkeypatch.setitem(metrics.METRICS, "affine-invariant", lambda n: metrics.AffineInvariant())
    for a, b in zip(fused, [m.exp(x, v), m.log(x, y), m.dist(x, y), m.transport(x, y, v)], strict=True):
        assert_close(a, b, rtol=1e-10, atol=1e-11)


def test_project_repairs_and_reports():
    m = SPD(3)
    bad = torch.tensor([[1.0, 0.2, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -0.5]], dtype=F64)
    with pytest.raises(ValueError, match=r"^tensor: found 1 of 1 points off SPD"):
        m.check_point(bad, "tensor")
    fixed = m.project(bad)
    m.check_point(fixed)
    assert_close(fixed[:2, :2], torch.tensor([[1.0, 0.1], [0.1, 1.0]], dtype=F64))
    m.check_point(m.project(torch.zeros(3, 3)))
    assert m.violation(torch.full((3, 3), float("nan"))) == float("inf")


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"^n: found 0"):
        SPD(0)
    with pytest.raises(
        ValueError, match=r"^metric: found 'euclid', expected one of 'affine-invariant', 'log-euclidean'"
    ):
        SPD(3, "euclid")
