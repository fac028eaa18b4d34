"""Steerable kernels off the grid: the constraint, exactness on the grid, accuracy off it, and the band-limit."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import nn
from torch.testing import assert_close

from mvnet.equivariant import FieldType, Regular, Sign, Trivial, Vector, export, group
from mvnet.equivariant.groups import rotation_2d
from mvnet.equivariant.harmonics import (
    Harmonic,
    HarmonicConv,
    Ring,
    coefficients,
    default_rings,
    harmonic_basis,
    sample_harmonics,
)

from .cases import field, generator, randomise

GROUPS = ["C4", "D4", "C6", "C8", "D8", "C16"]
RINGS = (Ring(0.0, 0.5, 0), Ring(1.2, 0.6, 2))


def kinds(g):
    """Scalars, signed, irreps, regular."""
    return [Trivial(g), Sign(g), Vector(g), Harmonic(g, 2), Harmonic(g, 3), Regular(g)]


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("frequency", [0, 1, 2, 5])
def test_harmonics_are_a_representation_that_turns_the_functions(name, frequency):
    g = group(name)
    rho = Harmonic(g, frequency)
    products = torch.einsum("aij,bjk->abik", rho.matrices, rho.matrices)
    assert_close(rho.matrices[g.table], products, atol=1e-12, rtol=0)
    points = torch.randn(20, 2, generator=generator(0), dtype=torch.float64)

    def functions(x):
        angle = frequency * torch.atan2(x[:, 1], x[:, 0])
        return torch.stack([angle.cos(), angle.sin()])[: rho.size]

    for matrix, turn in zip(g.matrices, rho.matrices):
        assert_close(functions(points @ matrix.mT), turn @ functions(points), atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("frequency", [0, 1, 2])
def test_coefficients_are_all_the_fixed_vectors(name, frequency):
    g = group(name)
    turn = Harmonic(g, frequency)
    trace = [rho.matrices.diagonal(dim1=1, dim2=2).sum(1) for rho in (*kinds(g), turn)]
    for out, out_trace in zip(kinds(g), trace):
        for in_, in_trace in zip(kinds(g), trace):
            found = coefficients(out, in_, frequency)
            moved = torch.einsum("gab,gcd,gef,nbdf->gnace", out.matrices, in_.matrices, turn.matrices, found)
            assert_close(moved, found.expand_as(moved), atol=1e-12, rtol=0)
            flat = found.flatten(1)
            assert_close(flat @ flat.mT, torch.eye(len(found), dtype=flat.dtype), atol=1e-12, rtol=0)
            assert len(found) == round(float((out_trace * in_trace * trace[-1]).mean()))


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("size", [3, 5])
def test_kernels_solve_the_constraint_where_taps_meet_taps(name, size):
    """k(g x) = rho_2(g) k(x) rho_1(g)^-1 for every g that maps the grid onto itself."""
    g = group(name)
    line = torch.arange(size) - size // 2
    grid = torch.cartesian_prod(line, line).double()
    for out in kinds(g):
        for in_ in kinds(g):
            basis = harmonic_basis(out, in_, size, default_rings(size))
            for element in range(g.order):
                if g.on_grid[element]:
                    moved = (grid @ g.matrices[element].mT).round().long() + size // 2
                    at_image = basis[..., moved[:, 0] * size + moved[:, 1]]
                    expected = torch.einsum("ab,nbcx,dc->nadx", out.matrices[element], basis, in_.matrices[element])
                    assert_close(at_image, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["C8", "D8"])
def test_entries_have_the_variance_of_a_weight(name):
    g = group(name)
    conv = HarmonicConv(FieldType((4, Regular(g))), FieldType((4, Regular(g))), 5)
    assert conv.expansion.fan_in() == conv.fields_in.channels * 25
    weights = torch.randn(conv.expansion.count, generator=generator(0), dtype=torch.float64)
    assert abs(float(conv.expansion(weights).square().mean()) - 1) < 0.1


@pytest.mark.parametrize("dtype, bound", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("size", [1, 3, 5, 7])
@pytest.mark.parametrize("name", GROUPS)
def test_exact_where_pixels_meet_pixels(name, size, dtype, bound):
    g = group(name)
    fields = FieldType(*((1, rho) for rho in kinds(g)))
    conv = HarmonicConv(fields, fields, size).to(dtype).eval()
    randomise(conv)
    x = field(fields, dtype, size=9)
    with torch.no_grad():
        y = conv(x)
        for element in range(g.order):
            if g.on_grid[element]:
                error = (conv(fields.act(element, x)) - fields.act(element, y)).abs().max()
                assert float(error / y.abs().max()) < bound


def waves(size, angle):
    """Thirty plane waves of 0.12 radians per pixel (standard deviation) turned by `angle`, (1, 1, size, size)."""
    draws = generator(0)
    line = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    points = torch.cartesian_prod(line, line) @ rotation_2d(angle)
    waves = 0.12 * torch.randn(30, 2, generator=draws, dtype=torch.float64)
    phases = 2 * math.pi * torch.rand(30, generator=draws, dtype=torch.float64)
    return (points @ waves.mT + phases).cos().sum(1).view(1, 1, size, size)


def turned(x, angle):
    """A field turned by fifth-order splines."""
    n = x.shape[-1]
    line = torch.arange(n, dtype=torch.float64) - (n - 1) / 2
    points = torch.cartesian_prod(line, line) @ rotation_2d(angle) + (n - 1) / 2
    return torch.from_numpy(map_coordinates(x[0, 0].numpy(), points.mT.numpy(), order=5)).view(x.shape)


@pytest.mark.parametrize("name, fields, size, bound", [("C8", 2, 5, 8e-3), ("C16", 1, 5, 1.2e-2), ("D8", 1, 5, 8e-3)])
def test_accurate_off_the_grid(name, fields, size, bound):
    """Four layers with ReLU on a smooth image, relative root mean square error in the interior."""
    g, errors, plain = group(name), [0.0, 0.0], [0.0, 0.0]  # squared norms of the difference and of the output
    image, hidden = FieldType((1, Trivial(g))), FieldType((fields, Regular(g)))
    inside = (..., slice(16, 45), slice(16, 45))
    with torch.no_grad():
        for seed in range(3):
            convs = [
                HarmonicConv(*pair, size)
                for pair in ((image, hidden), (hidden, hidden), (hidden, hidden), (hidden, image))
            ]
            constrained = nn.Sequential(convs[0], *(part for conv in convs[1:] for part in (nn.ReLU(), conv)))
            unconstrained = export(nn.Sequential(*constrained.children()))
            for net, found in ((constrained, errors), (unconstrained, plain)):
                randomise(net.double().eval(), seed)
                y = net(waves(61, 0.0))
                for k in range(1, 4):
                    angle = k * math.pi / 4
                    difference = (net(waves(61, angle)) - turned(y, angle))[inside]
                    found[0] += float(difference.square().sum())
                    found[1] += float(y[inside].square().sum())
    assert errors[0] < bound**2 * errors[1]
    assert plain[0] > (10 * bound) ** 2 * plain[1]


@pytest.mark.parametrize("frequency", [0, 1, 2, 3])
def test_sampling_keeps_apart_what_it_resolves(frequency):
    """Frequencies that differ by less than four are orthogonal at the taps, as they are in the plane."""
    ring = Ring(1.6, 0.5, 3)
    for other in range(4):
        if other != frequency:
            product = sample_harmonics(ring, frequency, 5) @ sample_harmonics(ring, other, 5).mT
            if (frequency - other) % 4 and (frequency + other) % 4:
                assert float(product.abs().max()) < 1e-12


@pytest.mark.parametrize("fields", ["regular", "harmonic"])
def test_gradients(fields):
    g = group("C8")
    rho = Regular(g) if fields == "regular" else Harmonic(g, 1)
    conv = HarmonicConv(FieldType((1, rho)), FieldType((1, rho)), 5, rings=RINGS).double()
    x = field(conv.fields_in, size=6, batch=1).requires_grad_()
    names = [name for name, _ in conv.named_parameters()]

    def call(x, *parameters):
        return torch.func.functional_call(conv, dict(zip(names, parameters)), (x,))

    assert torch.autograd.gradcheck(call, (x, *conv.parameters()), fast_mode=True)


def test_export_is_a_plain_convolution_that_computes_the_same():
    fields = FieldType((2, Regular(group("C8"))))
    conv = HarmonicConv(fields, fields, 5).double().eval()
    plain = export(conv)
    assert type(plain) is nn.Conv2d
    x = field(fields, size=8)
    with torch.no_grad():
        assert_close(plain(x), conv(x), atol=1e-12, rtol=0)


def test_state_dict_holds_weights_alone():
    fields = FieldType((2, Regular(group("C8"))))
    assert set(HarmonicConv(fields, fields).state_dict()) == {"weight", "bias"}


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: default_rings(4), "size"),
        (lambda: default_rings(0), "size"),
        (lambda: Ring(0.0, 0.5, 1), "radius 0"),
        (lambda: Ring(-1.0, 0.5, 0), "radius"),
        (lambda: Ring(1.0, 0.0, 0), "width"),
        (lambda: Harmonic(group("Oh"), 1), "plane"),
        (lambda: Harmonic(group("C8"), -1), "frequency"),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
