"""SOAP: a reference written out, the law of bases, scales."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mvnet.optim.roles import matrix_views
from mvnet.optim.soap import SOAP

RATE, B1, B2, BETA, EPS, EVERY = 0.01, 0.9, 0.95, 0.95, 1e-8, 3


def reference(weight: Tensor, gradients: list[Tensor]) -> Tensor:
    """SOAP of one matrix, step by step."""
    weight = weight.clone()
    left, right = (1 - BETA) * gradients[0] @ gradients[0].T, (1 - BETA) * gradients[0].T @ gradients[0]
    q_left, q_right = torch.linalg.eigh(left)[1].flip(1), torch.linalg.eigh(right)[1].flip(1)
    m, v = torch.zeros_like(weight), torch.zeros_like(weight)
    for k, g in enumerate(gradients[1:], 1):
        turned = q_left.T @ g @ q_right
        m, v = B1 * m + (1 - B1) * turned, B2 * v + (1 - B2) * turned**2
        step = (m / (1 - B1**k)) / ((v / (1 - B2**k)).sqrt() + EPS)
        weight -= RATE * q_left @ step @ q_right.T
        left, right = BETA * left + (1 - BETA) * g @ g.T, BETA * right + (1 - BETA) * g.T @ g
        if k % EVERY == 0:
            new_left, new_right = torch.linalg.qr(left @ q_left)[0], torch.linalg.qr(right @ q_right)[0]
            p, s = new_left.T @ q_left, new_right.T @ q_right
            m, v = p @ m @ s.T, p**2 @ v @ (s**2).T
            q_left, q_right = new_left, new_right
    return weight


def descend(layer: nn.Linear, gradients: list[Tensor], **options) -> Tensor:
    arguments = {"beta1": B1, "beta2": B2, "shampoo_beta": BETA, "eps": EPS, "every": EVERY, **options}
    optimizer = SOAP(layer.parameters(), RATE, views=matrix_views(layer), **arguments)
    for gradient in gradients:
        layer.weight.grad = gradient.clone()
        optimizer.step()
    return layer.weight.detach()


def make_gradients(*shape: int, count: int = 8, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype) for _ in range(count)]


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_a_linear_layer_is_the_reference(dtype, bound):
    layer = nn.Linear(6, 6, bias=False, dtype=dtype)
    expected = reference(layer.weight.detach().double(), make_gradients(6, 6))
    found = descend(layer, make_gradients(6, 6, dtype=dtype))
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=bound)


def test_the_order_of_a_basis_does_not_matter():
    """Reordering the eigenvectors together with the moments is no change."""
    gradients, weights = make_gradients(4, 6), []
    for shuffled in (False, True):
        torch.manual_seed(0)
        layer = nn.Linear(6, 4, bias=False, dtype=torch.float64)
        optimizer = SOAP(layer.parameters(), RATE, views=matrix_views(layer), every=100)
        for number, gradient in enumerate(gradients):
            if number == 4 and shuffled:
                entry, order = optimizer.state[layer.weight], torch.tensor([2, 0, 3, 1])
                entry["basis_out"] = entry["basis_out"][:, order].clone()
                for name in ("exp_avg", "exp_avg_sq"):
                    entry[name] = entry[name][order].clone()
            layer.weight.grad = gradient.clone()
            optimizer.step()
        weights.append(layer.weight.detach())
    torch.testing.assert_close(*weights, rtol=0, atol=1e-12)


def test_a_change_of_basis_carries_the_moments_along():
    """Where the new basis is a permutation of the old one, with signs, the moments are permuted, with signs."""
    layer = nn.Linear(3, 3, bias=False, dtype=torch.float64)
    optimizer = SOAP(layer.parameters(), RATE, views=matrix_views(layer), every=10)
    layer.weight.grad = torch.diag(torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64))
    optimizer.step()
    entry = optimizer.state[layer.weight]
    eye, turn = torch.eye(3, dtype=torch.float64), torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]).double()
    entry["basis_out"], entry["basis_in"] = turn.clone(), eye.clone()
    entry["moment_out"], entry["moment_in"] = torch.diag(torch.tensor([3.0, 2.0, 1.0])).double(), eye.clone()
    m, v = torch.randn(3, 1, 3).double(), torch.rand(3, 1, 3).double()
    entry["exp_avg"], entry["exp_avg_sq"] = m.clone(), v.clone()
    optimizer._turn(list(layer.parameters()), ["out", "in"])
    p = optimizer.state[layer.weight]["basis_out"].T @ turn
    s = optimizer.state[layer.weight]["basis_in"].T @ eye
    found = optimizer.state[layer.weight]
    torch.testing.assert_close(found["exp_avg"][:, 0], p @ m[:, 0] @ s.T)
    torch.testing.assert_close(found["exp_avg_sq"][:, 0], p.abs() @ v[:, 0] @ s.T.abs())


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_scale_of_the_gradient_does_not_matter(scale):
    weights = []
    for factor in (1.0, scale):
        torch.manual_seed(0)
        layer = nn.Linear(5, 5, bias=False, dtype=torch.float64)
        weights.append(descend(layer, [factor * gradient for gradient in make_gradients(5, 5)], eps=1e-14))
    torch.testing.assert_close(*weights, rtol=0, atol=1e-9)


def test_a_side_that_is_too_large_keeps_its_channels():
    """Without any basis SOAP is Adam."""
    torch.manual_seed(0)
    layer, plain = nn.Linear(5, 4, bias=False), nn.Linear(5, 4, bias=False)
    plain.load_state_dict(layer.state_dict())
    gradients = make_gradients(4, 5, dtype=torch.float32)
    found = descend(layer, gradients, largest=3)
    adam = torch.optim.Adam(plain.parameters(), RATE, betas=(B1, B2), eps=EPS)
    for gradient in gradients[1:]:  # the first only begins the moments
        plain.weight.grad = gradient.clone()
        adam.step()
    torch.testing.assert_close(found, plain.weight.detach(), rtol=0, atol=1e-6)
