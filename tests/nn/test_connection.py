"""The connection filter against the plain sum, its gradient, and waves that its carrier follows."""

import pytest
import torch
import torch.nn.functional as F

from mvnet.equivariant import field_type, group
from mvnet.errors import MvnetError
from mvnet.nn.connection import ConnectionFilter
from mvnet.nn.connection_sum import apply_connection
from mvnet.nn.stencil import Stencil


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size, dilation", [(3, 1), (5, 3), (3, 2)])
def test_a_connection_is_the_sum_over_the_taps(size, dilation):
    n, m = 3, 4
    z = torch.randn(2, 2 * n, 2 * m, generator=generator(), dtype=torch.complex128)
    kernel = torch.randn(2, 4, size**2, n, m, generator=generator(1), dtype=torch.complex128)
    planes, parts = (torch.stack([x.real, x.imag], 1) for x in (z, kernel))
    out = apply_connection(planes, parts, Stencil(size, dilation))
    radius = dilation * (size // 2)
    around = F.pad(z, (radius,) * 4)
    for row, column in ((0, 0), (1, 2), (4, 5), (5, 7)):
        window = around[:, row : row + 2 * radius + 1 : dilation, column : column + 2 * radius + 1 : dilation]
        weights = kernel[:, 2 * (row % 2) + column % 2, :, row // 2, column // 2]
        expected = (weights * window.flatten(1)).sum(1)
        torch.testing.assert_close(torch.complex(*out[:, :, row, column].unbind(1)), expected)


def test_a_connection_gradient():
    planes = torch.randn(1, 2, 4, 6, generator=generator(), dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(1, 2, 4, 9, 2, 3, generator=generator(1), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z, k: apply_connection(z, k, Stencil(3, 3)), (planes, kernel))


class Given(torch.nn.Module):
    def __init__(self, values: torch.Tensor):
        super().__init__()
        self.values = values

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return self.values.expand(len(h), -1, *h.shape[2:])


def test_a_kernel_around_a_carrier_follows_fringes():
    """A plane wave of the predicted frequency comes through any positive kernel of sum one as it is."""
    layer = ConnectionFilter(field_type(group("D4xZ2"), {"trivial": 1}), 5, 3, carrier=1).double()
    theta = torch.tensor([0.7, -1.9], dtype=torch.float64)
    layer._modules["frequency"] = Given(theta.view(1, 2, 1, 1))
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (32, 40)), indexing="ij")
    planes = torch.view_as_real(torch.polar(torch.ones_like(x), theta[0] * y + theta[1] * x)).permute(2, 0, 1)[None]
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            out = layer(torch.zeros(1, 1, 16, 20, dtype=torch.float64), planes)
        torch.testing.assert_close(out[..., 6:-6, 6:-6], planes[..., 6:-6, 6:-6])


def test_a_kernel_around_a_chirp_follows_fringes_that_bend():
    """A wave whose frequency changes as predicted comes through any positive kernel of sum one as it is."""
    layer = ConnectionFilter(field_type(group("D4xZ2"), {"trivial": 1}), 5, 3, carrier=2).double()
    radius, change = 6, torch.tensor([[0.3, -0.8], [-0.8, 0.5]], dtype=torch.float64)
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (32, 40)), indexing="ij")
    place = torch.stack([y, x]).requires_grad_()
    phase = 0.7 * place[0] - 1.9 * place[1] + torch.einsum("iyx,ij,jyx->yx", place, change, place) / (2 * radius)
    (theta,) = torch.autograd.grad(phase.sum(), place)
    layer._modules["chirp"] = Given(change.view(1, 4, 1, 1))
    planes = torch.view_as_real(torch.polar(torch.ones_like(x), phase.detach())).permute(2, 0, 1)[None]
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):  # the prediction is for a block, here right for one corner of it
        here = (..., slice(corner[0], None, 2), slice(corner[1], None, 2))
        layer._modules["frequency"] = Given(theta[None][here])
        for grad in (True, False):
            with torch.set_grad_enabled(grad):
                out = layer(torch.zeros(1, 1, 16, 20, dtype=torch.float64), planes)
            torch.testing.assert_close(out[here][..., 3:-3, 3:-3], planes[here][..., 3:-3, 3:-3])


def test_an_even_size_is_refused():
    with pytest.raises(MvnetError, match="size: found 4, expected an odd number"):
        ConnectionFilter(field_type(group("D4xZ2"), {"trivial": 1}), 4)
