"""Divergence-free fields beside the battery: the functions they come from, and volume under compositions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.fields import PairwiseHamiltonianField, SkewPotentialField
from tests.fields.cases import DTYPE, TIME, generator, make, normal


def test_skew_potential():
    """f_i = sum_j d_j Psi_ij, Psi = sum_k S_k gamma(a_k . z + b_k), S_k skew."""
    field = SkewPotentialField(3, generator=generator(0)).double()
    a, v, b = (x[0] for x in (field.weight, field.direction, field.bias))

    def psi(z: Tensor) -> Tensor:
        outer = v[:, :, None] * a[:, None, :]
        skew = (outer - outer.mT) / a.square().sum(-1)[:, None, None]
        return (skew * field.sigma.antiderivative(a @ z + b)[:, None, None]).sum(0)

    z = normal(3, seed=1)
    derivative = torch.func.jacrev(psi)(z)  # (i, j, k)
    torch.testing.assert_close(field(TIME, z), derivative.diagonal(dim1=1, dim2=2).sum(-1))


def test_planes():
    """f is the sum of the Hamiltonian fields of H_i in the planes (i, i + 1)."""
    field = PairwiseHamiltonianField(4, hidden=3, generator=generator(0)).double()
    z = normal(4, seed=1)
    expected = torch.zeros(4, dtype=DTYPE)
    for i in range(3):
        a, b = field.weight[0, 3 * i : 3 * i + 3], field.bias[0, 3 * i : 3 * i + 3]
        gradient = torch.func.grad(lambda y, a=a, b=b: field.sigma.antiderivative(a @ y + b).sum())(z)
        expected[i] += gradient[i + 1]
        expected[i + 1] -= gradient[i]
    torch.testing.assert_close(field(TIME, z), expected)


@pytest.mark.parametrize("name", ["skew_potential", "pairwise_hamiltonian"])
def test_a_composition_keeps_volume(name):
    """A step of 1 of the composed flows, and the same step of Euler's method, which does not."""
    field, z, h = make(name), normal(20, 3, seed=1), torch.tensor(1.0, dtype=DTYPE)

    def compose(y: Tensor) -> Tensor:
        for part in field.parts:
            y = part.flow(TIME, h, y)
        return y

    for move, kept in ((compose, True), (lambda y: y + h * field(TIME, y), False)):
        volume = torch.linalg.det(torch.func.vmap(torch.func.jacrev(move))(z))
        assert bool(((volume - 1).abs() < 1e-12).all()) == kept


def test_one_dimension_is_refused():
    for kind in (SkewPotentialField, PairwiseHamiltonianField):
        with pytest.raises(MvnetError, match="features: found 1, expected at least 2"):
            kind(1)
