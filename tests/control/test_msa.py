"""Successive approximations: monotone with the safeguard, fixed points are critical, the printed sign is wrong."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from mvnet.control import MSA, l2, trajectory
from mvnet.errors import MvnetError
from tests.control.problems import F64, half_square, layers, samples


def run(msa, x, y, iterations):
    return [msa.step(x, half_square(y)) for _ in range(iterations)]


@pytest.mark.parametrize("hold_costates", [True, False])
def test_safeguarded_iterations_never_raise_the_loss(hold_costates):
    field, (x, y) = layers(8, 4.0), samples(30)
    msa = MSA(field, field.grid.times(dtype=F64), hold_costates=hold_costates)
    start = msa.evaluate(x, half_square(y))
    found = [i.loss for i in run(msa, x, y, 40)]
    assert all(b <= a for a, b in pairwise([start, *found]))
    assert found[-1] < 0.5 * start
    assert found[-1] == msa.evaluate(x, half_square(y))


def test_basic_method_oscillates():
    """Without rho and safeguard the loss rises somewhere; this is (33), with the sign corrected."""
    field, (x, y) = layers(10, 4.0), samples(40)
    found = [i.loss for i in run(MSA(field, field.grid.times(dtype=F64), rho=0.0, safeguard=False), x, y, 20)]
    assert any(b > a for a, b in pairwise(found))


def test_a_fixed_point_satisfies_the_conditions_of_pontryagin():
    """(34) with a regulariser: the mean of d_theta H vanishes against R's gradient, so that of the loss does."""
    field, (x, y) = layers(3, 1.0), samples(10)
    theta = list(field.parameters())
    times = field.grid.times(dtype=F64)

    def penalty():
        return 0.1 * l2([field.weight, field.bias])

    msa = MSA(field, times, inner=5, regulariser=penalty)
    for _ in range(200):
        msa.step(x, half_square(y))
    path = trajectory(field, x, times, half_square(y))
    residual = [a + b for a, b in zip(path.gradients, torch.autograd.grad(penalty(), theta), strict=True)]
    assert max(float(r.abs().max()) for r in residual) < 3e-5
    assert max(float(g.abs().max()) for g in path.gradients) > 1e-3


def test_mini_batches_reach_a_smaller_loss():
    field, (x, y) = layers(10, 4.0), samples(60)
    msa = MSA(field, field.grid.times(dtype=F64))
    before, generator = msa.evaluate(x, half_square(y)), torch.Generator().manual_seed(0)
    for _ in range(40):
        batch = torch.randperm(len(x), generator=generator)[:20]
        msa.step(x[batch], half_square(y[batch]))
    assert msa.evaluate(x, half_square(y)) < 0.7 * before


def test_float32():
    field, (x, y) = layers(10, 4.0, dtype=torch.float32), samples(40, dtype=torch.float32)
    found = [i.loss for i in run(MSA(field, field.grid.times()), x, y, 30)]
    assert found[-1] < 0.8 * found[0]


def test_bad_arguments_are_named():
    field, (x, y) = layers(), samples()
    times = field.grid.times(dtype=F64)
    with pytest.raises(MvnetError, match="rho: found -1"):
        MSA(field, times, rho=-1)
    with pytest.raises(MvnetError, match="inner: found 0"):
        MSA(field, times, inner=0)
    with pytest.raises(MvnetError, match="field: found no parameters"):
        MSA(nn.Identity(), times)
    with pytest.raises(MvnetError, match="loss: found nan"):
        MSA(field, times).step(x, half_square(y * torch.nan))
