"""Regularisers are the norms of the paper; proximal maps solve their minimisations."""

import pytest
import torch
from scipy.optimize import lsq_linear
from torch import nn

from mvnet.control import TotalVariation, h1, l1, l2, over_layers, prox_total_variation, total_variation
from mvnet.errors import MvnetError

F64 = torch.float64


def test_h1_converges_to_the_integral():
    """theta(t) = (cos t, 2 sin t) on [0, 3]: 1 + int sin^2 + 4 cos^2 = 1 + 7.5 + (3/4) sin 6."""
    exact = 1 + 7.5 + 0.75 * torch.tensor(6.0, dtype=F64).sin()
    errors = []
    for count in (100, 200, 400):
        t = torch.arange(count, dtype=F64) * 3 / count
        errors.append(float(h1([t.cos(), 2 * t.sin()], 3.0) - exact))
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.05)
    assert errors[1] / errors[2] == pytest.approx(2, abs=0.05)


def test_h1_of_constants_is_their_square():
    theta = torch.ones(6, 2, 3, dtype=F64)
    assert float(h1(theta)) == 6


def test_layers_become_functions_of_time():
    layers = [nn.Linear(2, 3) for _ in range(4)]
    theta = over_layers(layers)
    assert [tuple(x.shape) for x in theta] == [(4, 3, 2), (4, 3)]
    h1(theta).backward()
    assert all(p.grad is not None for layer in layers for p in layer.parameters())


def test_bad_parameters_are_named():
    with pytest.raises(MvnetError, match=r"theta: found shapes \[\(2, 3\), \(3, 3\)\]"):
        h1([torch.ones(2, 3), torch.ones(3, 3)])
    with pytest.raises(MvnetError, match="layers: found"):
        over_layers([nn.Linear(2, 3), nn.Linear(3, 2)])
    with pytest.raises(MvnetError, match="layers: found"):
        over_layers([])


def test_l1_and_l2_are_integrals():
    theta = [torch.full((5, 2), -3.0, dtype=F64), torch.ones(5, dtype=F64)]
    assert float(l1(theta, 2.0)) == pytest.approx(2 * 7)
    assert float(l2(theta, 2.0)) == pytest.approx(2 * 19)
    assert float(l2(theta, 5)) == pytest.approx(95)  # the sum over the layers


def test_total_variation_of_a_monotone_function_is_its_rise():
    t = torch.linspace(0, 1, 9, dtype=F64)
    assert float(total_variation([t.square(), -3 * t])) == pytest.approx(4)


@pytest.mark.parametrize("count", [1, 2, 3, 25])
@pytest.mark.parametrize("strength", [0.0, 0.05, 0.7, 50.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 3e-5), (F64, 2e-14)])
def test_proximal_map_of_the_total_variation(count, strength, dtype, tolerance):
    """Optimality: u_k = sum of the first k of x - z lies in [-t, t], is -t sign(jump) where z jumps, and ends at 0."""
    x = torch.randn(count, 6, 5, dtype=F64, generator=torch.Generator().manual_seed(0)).to(dtype)
    z = TotalVariation(2.0)(x, strength / 2)
    u, jumps = (x - z).cumsum(0), z.diff(dim=0)
    assert z.shape == x.shape
    assert float(u[-1].abs().max()) <= tolerance * max(1, strength)
    if count > 1:
        assert float(u.abs().max()) <= strength + tolerance
        assert float((u[:-1] * jumps + strength * jumps.abs()).abs().max()) <= tolerance * max(1, strength)
    if strength == 50.0:
        torch.testing.assert_close(z, x.mean(0, keepdim=True).expand_as(x), rtol=0, atol=tolerance * 10)


def test_proximal_map_against_a_brute_force_minimum():
    """The dual, min |x - D^T u|^2 over |u| <= t, by a solver of bounded least squares."""
    x = torch.randn(12, dtype=F64, generator=torch.Generator().manual_seed(4))
    differences = torch.eye(12, dtype=F64).diff(dim=0)
    u = lsq_linear(differences.T.numpy(), x.numpy(), (-0.4, 0.4), method="bvls", tol=1e-14).x
    expected = x - differences.T @ torch.from_numpy(u)
    torch.testing.assert_close(prox_total_variation(x, 0.4), expected, rtol=0, atol=1e-12)


def test_proximal_map_makes_jumps_exactly_zero():
    x = torch.randn(30, 4, dtype=F64, generator=torch.Generator().manual_seed(5))
    z = prox_total_variation(x, 0.5)
    assert (z.diff(dim=0) == 0).sum() > 60
    assert float(total_variation(z)) < 0.5 * float(total_variation(x))


def test_negative_strength_is_named():
    with pytest.raises(MvnetError, match="strength: found -1"):
        TotalVariation(-1)
