"""Filters larger than 1: what noise they colour, and bad kernels; charts at the places where formulas break."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from mvnet.errors import MvnetError
from mvnet.invertible import CircleChart, Flow, PeriodicConv, RotationChart, SPDChart, StandardNormal, noise_filter
from mvnet.invertible.manifold_charts import log_det_exp_sym3
from mvnet.linalg import so3, sym3

from .cases import draws


def smooth_filter(size: int = 5, dim: int = 2):
    lags = torch.arange(size, dtype=torch.float64) - size // 2
    one = torch.exp(-lags.square() / 2)
    taps = one if dim == 1 else one[:, None] * one
    return taps / taps.square().sum().sqrt()


@pytest.mark.parametrize("masked", [False, True])
def test_noise_filter_finds_the_filter(masked):
    """Correlations of the coloured noise, to the error of a sample of 20 000 points."""
    taps = smooth_filter()
    white = torch.randn(8, 2, 48, 48, generator=draws(), dtype=torch.float64)
    coloured = PeriodicConv.from_filter(taps)(white)[0]
    mask = torch.rand(8, 1, 48, 48, generator=draws(1)) < 0.5 if masked else None
    found = noise_filter(coloured if mask is None else coloured * mask, 7, mask)
    assert found.shape == (7, 7) and float(found.square().sum()) == pytest.approx(1)
    assert_close(found, found.mT)
    again = PeriodicConv.from_filter(found)(torch.randn(8, 2, 48, 48, generator=draws(2), dtype=torch.float64))[0]

    def correlation(x, lag):
        return float((x * x.roll(lag, -1)).mean() / x.square().mean())

    for lag in (1, 2, 3):
        assert correlation(again, lag) == pytest.approx(correlation(coloured, lag), abs=0.04)
    assert float(again.var()) == pytest.approx(1, abs=0.05)


def test_density_of_coloured_noise_is_gaussian():
    """Flow of a periodic filter against the covariance matrix of the same filter."""
    layer = PeriodicConv(1, 3, 1, generator=draws()).double()
    flow = Flow(StandardNormal(1, 6).double(), layer)
    x = torch.randn(3, 1, 6, generator=draws(1), dtype=torch.float64)
    matrix = torch.stack([layer(e.view(1, 1, 6))[0].flatten() for e in torch.eye(6, dtype=torch.float64)], 1).detach()
    normal = torch.distributions.MultivariateNormal(
        torch.zeros(6, dtype=torch.float64), precision_matrix=matrix.mT @ matrix
    )
    assert_close(flow.log_prob(x).detach(), normal.log_prob(x.flatten(1)), rtol=0, atol=1e-12)


def test_convolutions_without_inverse():
    layer = PeriodicConv.from_filter(torch.tensor([0.5, 0.0, 0.5]))
    with pytest.raises(MvnetError, match="kernel: found a smallest gain"):
        layer.inverse(torch.ones(1, 1, 8))
    assert layer.smallest_gain((8,)) < 1e-6
    with pytest.raises(MvnetError, match="size, dim: found 2 and 2"):
        PeriodicConv(1, 2, 2)
    with pytest.raises(MvnetError, match="at least 3 points"):
        layer(torch.ones(1, 1, 2))
    with pytest.raises(MvnetError, match="latents: found zeros"):
        noise_filter(torch.zeros(1, 1, 8, 8), 3)


def test_log_det_of_the_exponential_at_repeated_eigenvalues():
    """Values against autograd, and finite first derivatives, at multiples of the identity and two equal eigenvalues."""
    s = torch.zeros(4, 6, dtype=torch.float64)
    s[1, :3], s[2, :3], s[3] = 0.7, torch.tensor([1.0, 1, -2]), 1e-4 * torch.arange(6)
    for one in s:
        jacobian = torch.autograd.functional.jacobian(lambda v: sym3.exp(v[None])[0], one)
        assert float(log_det_exp_sym3(one[None])) == pytest.approx(
            float(torch.linalg.slogdet(jacobian).logabsdet), abs=1e-12
        )
    s.requires_grad_()
    (gradient,) = torch.autograd.grad(log_det_exp_sym3(s).sum(), s)
    assert_close(gradient[:2, :3], torch.full((2, 3), 2.0, dtype=torch.float64), rtol=0, atol=1e-7)
    assert torch.isfinite(gradient).all()


def test_volume_of_rotations_and_of_the_circle():
    """Integrals of the inverse's Jacobians: 8 pi^2 and 2 pi."""
    radius = torch.linspace(1e-3, math.pi - 1e-3, 4000, dtype=torch.float64)
    u = torch.zeros(4000, 3, dtype=torch.float64)
    u[:, 0] = radius
    density = RotationChart().inverse(u)[1].exp() * 4 * math.pi * radius.square()
    assert float(torch.trapezoid(density, radius)) == pytest.approx(8 * math.pi**2, rel=1e-3)
    v = torch.linspace(-2000, 2000, 400001, dtype=torch.float64)
    assert float(torch.trapezoid(CircleChart("cayley").inverse(v)[1].exp(), v)) == pytest.approx(2 * math.pi, rel=1e-3)


def test_charts_at_their_ends():
    half = so3.exp(torch.tensor([[0.0, 0.0, math.pi]]))
    for kind in ("exp", "cayley"):
        with pytest.raises(MvnetError, match="x: found rotations of angle 3"):
            RotationChart(kind)(half)
        with pytest.raises(MvnetError, match="x: found angles of angle 3"):
            CircleChart(kind)(torch.tensor([math.pi]))
        chart, near = RotationChart(kind).double(), torch.zeros(1, 3, dtype=torch.float64).requires_grad_()
        u, change = chart(so3.exp(near))
        assert torch.isfinite(torch.autograd.grad(u.sum() + change.sum(), near)[0]).all()
    with pytest.raises(MvnetError, match="x: found matrices that are not positive definite"):
        SPDChart()(torch.tensor([[1.0, 1, -1, 0, 0, 0]]))
    with pytest.raises(MvnetError, match="kind: found 'quaternion'"):
        RotationChart("quaternion")


def test_autocast_leaves_precision():
    x = torch.tensor([[1.0, 2, 3, 0.1, 0.2, 0.3]])
    plain = SPDChart()(x)
    with torch.autocast("cpu", torch.bfloat16):
        cast = SPDChart()(x)
    assert all(torch.equal(a, b) for a, b in zip(plain, cast, strict=True))
