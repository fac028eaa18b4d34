"""Muon: the iteration, its peers, and what it does to equivariant kernels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mvnet.equivariant import GroupConv, field_type, group
from mvnet.equivariant.kernels import taps
from mvnet.linalg.matrix_view import MatrixView
from mvnet.optim.roles import matrix_views
from mvnet.optim.soap import SOAP
from mvnet.optim.spectral import Muon, newton_schulz

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def iterate(g: Tensor, steps: int = 5) -> Tensor:
    """The iteration as it is published: on the matrix itself."""
    a, b, c = COEFFICIENTS
    x = g / g.norm()
    x = x.mT if g.shape[0] > g.shape[1] else x
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if g.shape[0] > g.shape[1] else x


@pytest.mark.parametrize("shape", [(8, 20), (20, 8), (6, 6), (1, 5), (1, 1)])
def test_newton_schulz_on_the_gram_matrix_is_the_iteration(shape):
    g = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = iterate(g)
    torch.testing.assert_close(newton_schulz(g), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(newton_schulz(g.float()).double(), expected, rtol=0, atol=1e-5)
    # singular values near 1
    values = torch.linalg.svdvals(newton_schulz(g))
    assert float(values.min()) > 0.6 and float(values.max()) < 1.3


def test_matrices_of_a_batch_do_not_mix():
    g = torch.randn(4, 5, 7, generator=torch.Generator().manual_seed(1))
    single = torch.stack([newton_schulz(matrix) for matrix in g])
    torch.testing.assert_close(newton_schulz(g), single, rtol=0, atol=1e-5)
    g[2] = 0
    assert torch.equal(newton_schulz(g)[2], torch.zeros(5, 7))


def test_a_linear_layer_against_torch():
    """torch iterates in bfloat16, so that its update is known to 3e-2 only; ours is that of float32."""
    torch.manual_seed(0)
    ours, theirs = nn.Linear(24, 40, bias=False), nn.Linear(24, 40, bias=False)
    theirs.load_state_dict(ours.state_dict())
    gradient, before = torch.randn(40, 24), ours.weight.detach().clone()
    ours.weight.grad, theirs.weight.grad = gradient.clone(), gradient.clone()
    rate = 0.1
    muon = Muon(ours.parameters(), rate, views=matrix_views(ours))
    muon.step()
    peer = torch.optim.Muon(theirs.parameters(), lr=rate, weight_decay=0.0)
    peer.step()
    unit = (before - ours.weight.detach()).div(rate * 40**0.5)
    torch.testing.assert_close(unit, iterate(gradient), rtol=0, atol=1e-5)
    other = before - theirs.weight.detach()
    relative = (unit / unit.norm() - other / other.norm()).norm()
    assert float(relative) < 3e-2


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_the_scale_of_the_gradient_does_not_matter(scale):
    torch.manual_seed(0)
    layer = nn.Linear(12, 16, bias=False, dtype=torch.float64)
    gradient, before, steps = torch.randn(16, 12, dtype=torch.float64), layer.weight.detach().clone(), []
    for factor in (1.0, scale):
        with torch.no_grad():
            layer.weight.copy_(before)
        layer.weight.grad = factor * gradient
        Muon(layer.parameters(), 0.1, views=matrix_views(layer), fewest=1).step()
        steps.append(before - layer.weight.detach())
    torch.testing.assert_close(*steps, rtol=1e-9, atol=0)


def layers(number: int, dtype: torch.dtype = torch.float64) -> list[GroupConv]:
    """Equivariant layers of the plane and of space: tied weights alone, and stored bases beside them."""
    torch.manual_seed(0)
    square, cube = group("D4"), group("Oh")
    plane = field_type(square, {"regular": 2, "trivial": 1})
    space = field_type(cube, {"trivial": 2, "faces": 1, "sym2": 1})
    kinds = ((plane, plane), (space, space))
    return [GroupConv(into, out).to(dtype) for _ in range(number) for into, out in kinds]


def test_the_view_of_an_equivariant_kernel():
    generator = torch.Generator().manual_seed(2)
    for layer in layers(1):
        view, expansion = layer.matrix_view(), layer.expansion
        w = torch.randn(2, expansion.count, generator=generator, dtype=torch.float64)
        d = torch.randn(2, *view.shape, generator=generator, dtype=torch.float64)
        torch.testing.assert_close(view.expand(w)[1], expansion(w[1]).flatten(2), rtol=0, atol=0)
        torch.testing.assert_close(view.project(view.expand(w)), w, rtol=0, atol=1e-12)
        torch.testing.assert_close((view.lift(w) * view.expand(w)).sum(), w.square().sum())
        torch.testing.assert_close((view.lift(w) * d).sum(), (w * view.project(d)).sum())
        torch.testing.assert_close(expansion.adjoint(view.lift(w)), w, rtol=0, atol=1e-12)
        single = w.float()
        torch.testing.assert_close(view.project(view.expand(single)), single, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_muon_of_an_equivariant_kernel_is_exact(dtype, bound):
    """The polar factor of an equivariant gradient is equivariant: the projection changes nothing, and the step is that
    on the expanded kernel of the same layer."""
    for layer in layers(1, dtype):
        view: MatrixView = layer.matrix_view()
        gradient = torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(3), dtype=dtype)
        lifted = view.lift(gradient)
        polar = newton_schulz(lifted.flatten(-2)).view(lifted.shape)
        torch.testing.assert_close(view.expand(view.project(polar)), polar, rtol=0, atol=bound)
        # a plain layer with the kernel as its weight
        plain = nn.Linear(view.shape[1] * view.shape[2], view.shape[0], bias=False, dtype=dtype)
        with torch.no_grad():
            plain.weight.copy_(view.expand(layer.weight).flatten(-2))
        layer.weight.grad, plain.weight.grad = gradient, lifted.flatten(-2).contiguous()
        for module in (layer, plain):
            Muon(module.parameters(), 0.05, views=matrix_views(module), fewest=1).step()
        torch.testing.assert_close(view.expand(layer.weight).flatten(-2), plain.weight, rtol=0, atol=bound)


@pytest.mark.parametrize("method", [Muon, SOAP])
def test_layers_of_one_shape_are_not_mixed(method):
    """Layers in one batch do what each does alone, also when one has no gradient for a step."""
    together, alone = nn.ModuleList(layers(3)), nn.ModuleList(layers(3))
    everything = method(together.parameters(), 1e-2, views=matrix_views(together), fewest=1)
    singles = [method(layer.parameters(), 1e-2, views=matrix_views(layer), fewest=1) for layer in alone]
    for step in range(12):
        generator = torch.Generator().manual_seed(step)
        for number, (a, b) in enumerate(zip(together, alone)):
            for p, q in zip(a.parameters(), b.parameters()):
                gradient = torch.randn(p.shape, generator=generator, dtype=torch.float64)
                p.grad, q.grad = (None, None) if (number, step) in ((1, 4), (2, 0)) else (gradient, gradient.clone())
        everything.step()
        for single in singles:
            single.step()
        # eigenvalues of equivariant kernels repeat: the bases that SOAP begins with are not unique
        for number, (a, b) in enumerate(zip(together, alone)):
            for p, q in zip(a.parameters(), b.parameters()):
                begun, same = everything.state[p], singles[number].state[q]
                for key in [key for key in begun if key.startswith("basis") and begun["step"] == 0]:
                    same[key].copy_(begun[key])
    for a, b in zip(together.parameters(), alone.parameters()):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def polar_factor(m: Tensor) -> Tensor:
    u, _, v = torch.linalg.svd(m, full_matrices=False)
    return u @ v


def test_muon_acts_on_the_blocks_of_schurs_lemma():
    """In bases adapted to the symmetry a kernel is a sum of M_rho (x) 1 with as many entries as the layer has weights,
    and its polar factor is the sum of theirs."""
    layer = layers(1)[0]
    square = layer.fields_in.group
    view = layer.matrix_view()
    turn = square.matrices.double()
    rho_out, rho_in = (
        torch.stack([torch.block_diag(*(rho.matrices[g] for rho in fields.summands())) for g in range(square.order)])
        for fields in (layer.fields_out, layer.fields_in)
    )
    rho_in = torch.stack([torch.kron(a, b.contiguous()) for a, b in zip(rho_in, taps(square, 3).matrices)])
    kernel = view.expand(layer.weight.detach()).flatten(-2)
    # the four homomorphisms to +-1, and the first row of the representation by matrices
    det, swap = torch.linalg.det(turn), turn[:, 0, 0].abs().round() * 2 - 1
    irreducible = [(torch.ones_like(det), 1), (det, 1), (swap, 1), (det * swap, 1), (turn[:, 0, 0], 2)]
    entries, rebuilt = 0, torch.zeros_like(kernel)
    for values, dim in irreducible:
        bases = []
        for rho in (rho_out, rho_in):
            projector = dim / square.order * torch.einsum("g,gij->ij", values, rho)
            vectors = torch.linalg.eigh((projector + projector.T) / 2)
            bases.append((rho, vectors[1][:, vectors[0] > 0.5]))
        block = bases[0][1].T @ kernel @ bases[1][1]  # M_rho
        entries += block.numel()
        factor = polar_factor(block)
        for row in range(dim):
            # the same block between the vectors of every row of the representation
            others = values if row == 0 else turn[:, 1, 0]
            left, right = (dim / square.order * torch.einsum("g,gij->ij", others, rho) @ basis for rho, basis in bases)
            rebuilt += left @ factor @ right.T
    assert entries == layer.weight.numel()
    torch.testing.assert_close(rebuilt, polar_factor(kernel), rtol=0, atol=1e-10)
